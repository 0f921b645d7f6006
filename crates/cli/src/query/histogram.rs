//! A native histogram as bars.

use super::answer::Histogram;
use super::number::short;
use super::palette::Palette;

/// Characters of the longest bar.
const BAR_WIDTH: f64 = 40.0;
/// Buckets that are drawn; more are left out and said.
const BUCKETS_MAX: usize = 24;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Count, sum, and a bar per bucket.
pub(super) fn render(histogram: &Histogram, index: usize, palette: Palette) -> String {
    let mut out = format!("count {}, sum {}\n", histogram.count, histogram.sum);
    let most = histogram.buckets.iter().map(|bucket| bucket.count).fold(0.0, f64::max);
    let shown = &histogram.buckets[..histogram.buckets.len().min(BUCKETS_MAX)];
    let width = shown.iter().map(|bucket| bucket.bounds.chars().count()).max().unwrap_or(0);
    for bucket in shown {
        let bar = palette.series(index, &bar(bucket.count / most));
        out += &format!("  {:>width$}  {bar} {}\n", bucket.bounds, short(bucket.count));
    }
    if histogram.buckets.len() > shown.len() {
        out += &format!("  … and {} more buckets\n", histogram.buckets.len() - shown.len());
    }
    out
}

/// A bar of a share of the full width, to an eighth of a character.
fn bar(share: f64) -> String {
    if !share.is_finite() || share <= 0.0 {
        return String::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and eight times the width"
    )]
    let eighths = (share.min(1.0) * BAR_WIDTH * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
