//! A bar on a terminal, nothing elsewhere: the answer says what was done.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` steps of `what`.
pub(super) fn bar(what: &str, length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:<32} {bar:30.cyan} {pos}/{len}  {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
