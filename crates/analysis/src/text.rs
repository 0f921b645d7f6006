//! The report for a terminal.
//!
//! ```text
//!  services table · the bottleneck in one sentence, its evidence · next ranks · before and after
//! ```
//! Tables are drawn in ASCII and align by display width, so Chinese lines up too. Names come from outside: control
//! characters never reach the terminal.

mod table;
mod words;

use crate::{Bottleneck, Compare, EntryChange, EntryPoint, Lang, Report};
use table::{Align, Table, clean, wrap};
use words::Words;

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether to use ANSI colours.
    pub color: bool,
    /// Columns of the terminal; sentences are wrapped at it, tables are not.
    pub width: usize,
    pub lang: Lang,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 100, lang: Lang::En }
    }
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn hot(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// Entry points shown in full.
const ENTRIES_SHOWN: usize = 3;
/// Contributions shown of a comparison; the rest is one line.
const CONTRIBUTIONS_SHOWN: usize = 8;

/// The report as text, ending in a line break.
pub fn render_text(report: &Report, compare: Option<&Compare>, style: Style) -> String {
    let words = Words::of(style.lang);
    let mut out = vec![style.bold(&words.title(report.traces, report.window.seconds())), String::new()];
    out.extend(services_table(report, words, style));
    if report.entry_points.is_empty() {
        out.extend([String::new(), words.no_traces.to_owned()]);
    }
    for (index, entry) in report.entry_points.iter().take(ENTRIES_SHOWN).enumerate() {
        out.push(String::new());
        entry_lines(&mut out, entry, index == 0, words, style);
    }
    if let Some(compare) = compare.or(report.compare.as_ref()) {
        out.extend([String::new(), render_compare(compare, style)]);
        return out.join("\n");
    }
    out.push(String::new());
    out.join("\n")
}

/// A comparison as text, ending in a line break.
pub fn render_compare(compare: &Compare, style: Style) -> String {
    let words = Words::of(style.lang);
    let mut out = Vec::new();
    if compare.entry_points.is_empty() {
        out.push(words.nothing_to_compare.to_owned());
    }
    for (index, change) in compare.entry_points.iter().take(ENTRIES_SHOWN).enumerate() {
        if index > 0 {
            out.push(String::new());
        }
        change_lines(&mut out, change, words, style);
    }
    out.push(String::new());
    out.join("\n")
}

fn services_table(report: &Report, words: &Words, style: Style) -> Vec<String> {
    let [service, requests, rate, avg, errors] = words.service_columns;
    let mut table = Table::new(&[
        (service, Align::Left),
        (requests, Align::Right),
        (rate, Align::Right),
        (avg, Align::Right),
        ("P50 ms", Align::Right),
        ("P95 ms", Align::Right),
        ("P99 ms", Align::Right),
        (errors, Align::Right),
    ]);
    for row in &report.services {
        let hot = report.service_graph.nodes.iter().any(|node| node.hot && node.id == row.service);
        let cells = [
            clean(&row.service),
            row.requests.to_string(),
            format!("{:.1}", row.rate_per_s),
            format!("{:.1}", row.avg_ms),
            format!("{:.1}", row.p50_ms),
            format!("{:.1}", row.p95_ms),
            format!("{:.1}", row.p99_ms),
            format!("{:.2}", row.error_ratio * 100.0),
        ];
        table.row(cells, if hot { Some("1;31") } else { None });
    }
    table.lines(style.color)
}

fn entry_lines(out: &mut Vec<String>, entry: &EntryPoint, in_full: bool, words: &Words, style: Style) {
    let name = format!("{} {}", clean(&entry.service), clean(&entry.operation));
    let figures = format!("P50 {:.1} ms, P99 {:.1} ms", entry.p50_ms, entry.p99_ms);
    out.push(style.bold(&words.entry(&name, &figures, entry.traces)));
    let Some(first) = entry.bottlenecks.first() else {
        out.push(words.no_bottleneck.to_owned());
        return;
    };
    headline(out, first, entry.p99_ms, words, style);
    if !in_full {
        return;
    }
    for sentence in &first.cause.evidence {
        for (index, line) in wrap(&clean(sentence), style.width.saturating_sub(6)).into_iter().enumerate() {
            out.push(format!("    {} {line}", if index == 0 { "-" } else { " " }));
        }
    }
    let agreeing = first.votes.iter().filter(|vote| vote.agrees).count();
    out.push(format!("    {}", style.dim(&words.confidence(first.confidence, agreeing, first.votes.len()))));
    if entry.bottlenecks.len() > 1 {
        out.push(String::new());
        out.extend(ranks_table(&entry.bottlenecks, words, style));
    }
}

fn headline(out: &mut Vec<String>, first: &Bottleneck, p99_ms: f64, words: &Words, style: Style) {
    let name = format!("{} / {}", clean(&first.service), clean(&first.operation));
    let cause = words.cause(first.cause.kind);
    out.push(format!("  {} {}: {cause}", style.hot(words.bottleneck), style.hot(&name)));
    out.push(format!("    {}", words.saving(first.saving_p99_ms, p99_ms, first.saving_reference)));
}

fn ranks_table(bottlenecks: &[Bottleneck], words: &Words, style: Style) -> Vec<String> {
    let [rank, operation, cause, share, lift, saving] = words.rank_columns;
    let mut table = Table::new(&[
        (rank, Align::Right),
        (operation, Align::Left),
        (cause, Align::Left),
        (share, Align::Right),
        (lift, Align::Right),
        (saving, Align::Right),
    ]);
    for bottleneck in bottlenecks {
        table.row(
            [
                bottleneck.rank.to_string(),
                format!("{} / {}", clean(&bottleneck.service), clean(&bottleneck.operation)),
                words.cause(bottleneck.cause.kind).to_owned(),
                format!("{:.0} %", bottleneck.critical_path_share * 100.0),
                format!("{:.1}x", bottleneck.tail_lift),
                format!("{:.1}", bottleneck.saving_p99_ms),
            ],
            None,
        );
    }
    table.lines(style.color)
}

fn change_lines(out: &mut Vec<String>, change: &EntryChange, words: &Words, style: Style) {
    let name = format!("{} {}", clean(&change.service), clean(&change.operation));
    out.push(style.bold(&words.change(&name)));
    let [what, before, after, difference] = words.change_columns;
    let mut table = Table::new(&[
        (what, Align::Left),
        (before, Align::Right),
        (after, Align::Right),
        (difference, Align::Right),
    ]);
    let mut figure = |name: &str, before: f64, after: f64| {
        let cells = [name.to_owned(), format!("{before:.1}"), format!("{after:.1}"), signed(after - before)];
        table.row(cells, None);
    };
    figure("P99 ms", change.before.p99_ms, change.after.p99_ms);
    figure("P50 ms", change.before.p50_ms, change.after.p50_ms);
    figure(words.mean, change.before.mean_ms, change.after.mean_ms);
    out.extend(table.lines(style.color));
    out.push(words.where_from.to_owned());
    let visible = change.contributions.iter().take_while(|contribution| contribution.delta_ms.abs() >= 0.005);
    let shown = visible.count().min(CONTRIBUTIONS_SHOWN);
    let (shown, rest) = change.contributions.split_at(shown);
    for contribution in shown {
        let name = format!("{} / {}", clean(&contribution.service), clean(&contribution.operation));
        out.push(format!("  {:>9} ms  {name}", signed(contribution.delta_ms)));
    }
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|contribution| contribution.delta_ms).sum();
        out.push(format!("  {:>9} ms  {}", signed(sum), words.others(rest.len())));
    }
}

fn signed(ms: f64) -> String {
    format!("{ms:+.2}")
}

#[cfg(test)]
mod tests;
