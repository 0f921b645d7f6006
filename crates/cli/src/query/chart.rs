//! A chart in the terminal: series as lines of braille dots, or as letters where there are no colours.
//!
//! ```text
//!   1.5k ┤      ⢀⠔⠊⠉⠑⠢⡀          a cell has 2 × 4 dots, so a line is four times as fine as the text
//!     1k ┤  ⢀⠔⠊⠁      ⠈⠑⠢⢄
//!    500 ┤⠔⠊              ⠉
//!        └┬─────────────────┬
//!     10:00             10:30 UTC
//!   ━ 812.5  req{job="a"}         the last value of each series
//! ```
//! A gap in the samples is a gap in the line.

mod canvas;
mod scale;

use super::answer::Series;
use super::number::short;
use super::palette::Palette;
use canvas::Canvas;
use scale::Scale;

/// Series that are drawn; more are left out and said.
const SERIES_MAX: usize = 10;
/// Characters left of the axis.
const LABEL_WIDTH: usize = 8;

/// How much room there is, in characters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) width: usize,
    /// Rows of the lines themselves.
    pub(super) rows: usize,
}

impl Size {
    /// As wide as the terminal, within reason; 80 where there is none.
    pub(super) fn of_terminal() -> Self {
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        Self { width: width.clamp(40, 160), rows: 12 }
    }
}

/// Lines, axes and legend.
pub(super) fn render(series: &[Series], size: Size, palette: Palette) -> String {
    let mut drawn: Vec<&Series> = series.iter().filter(|series| series.points().next().is_some()).collect();
    let left_out = series.len() - drawn.len().min(SERIES_MAX);
    drawn.truncate(SERIES_MAX);
    let points = || drawn.iter().flat_map(|series| series.points());
    let Some((start, end)) = bounds(points().map(|(time, _)| time)) else {
        return "no numbers to draw; use -o table".to_owned();
    };
    let (low, high) = bounds(points().map(|(_, value)| value)).unwrap_or((0.0, 1.0));
    let scale = Scale::new(low, high, size.rows);
    let columns = size.width - LABEL_WIDTH - 2;
    let mut canvas = Canvas::new(columns, size.rows);
    let step = step_of(&drawn);
    for (index, series) in drawn.iter().enumerate() {
        draw(series, index, (start, end), step, &scale, &mut canvas);
    }
    let letters = !palette.is_coloured() && drawn.len() > 1;
    let mut out = String::new();
    for row in 0..size.rows {
        let label = scale.label(row).unwrap_or_default();
        let axis = if label.is_empty() { '│' } else { '┤' };
        out += &format!("{label:>LABEL_WIDTH$} {axis}{}\n", canvas.row(row, letters, palette).trim_end());
    }
    out += &time_axis(start, end, columns);
    for (index, series) in drawn.iter().enumerate() {
        let mark = if letters { canvas::letter(index).to_string() } else { palette.series(index, "━━") };
        let last = series.points().last().map_or_else(String::new, |(_, value)| short(value));
        let room = size.width - LABEL_WIDTH - 6;
        out += &format!("{last:>LABEL_WIDTH$} {mark} {}\n", cut(&series.title(), room));
    }
    if left_out > 0 {
        out += &format!("{:>LABEL_WIDTH$} … and {left_out} more series: use -o table\n", "");
    }
    out
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| {
        let (least, most) = bounds.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}

/// The usual time between two samples: the least there is.
fn step_of(series: &[&Series]) -> f64 {
    let pairs = series.iter().flat_map(|series| series.samples.windows(2));
    pairs.map(|pair| pair[1].time - pair[0].time).fold(f64::INFINITY, f64::min)
}

fn draw(
    series: &Series,
    index: usize,
    (start, end): (f64, f64),
    step: f64,
    scale: &Scale,
    canvas: &mut Canvas,
) {
    let (width, height) = canvas.dots();
    let across = |time: f64| if end > start { (time - start) / (end - start) * (width - 1.0) } else { 0.0 };
    let mut before: Option<(f64, f64, f64)> = None;
    for (time, value) in series.points() {
        let dot = (across(time), (1.0 - scale.share(value)) * (height - 1.0));
        let from = before.filter(|(earlier, ..)| time - earlier <= step * 1.5);
        let (x, y) = from.map_or(dot, |(_, x, y)| (x, y));
        canvas.line((x, y), dot, index);
        before = Some((time, dot.0, dot.1));
    }
}

/// The line under the chart, and the times of its start, middle and end.
fn time_axis(start: f64, end: f64, columns: usize) -> String {
    let middle = columns / 2;
    let line: String = (0..columns)
        .map(|column| if [0, middle, columns - 1].contains(&column) { '┬' } else { '─' })
        .collect();
    let texts = [start, start + (end - start) / 2.0, end].map(|time| scale::time(time, end - start));
    let mut times = vec![' '; LABEL_WIDTH + 2 + columns + 4];
    for (text, column) in texts.iter().zip([0, middle, columns - 1]) {
        let length = text.chars().count();
        let at =
            (LABEL_WIDTH + 2 + column).saturating_sub(length / 2).min(LABEL_WIDTH + 2 + columns - length);
        times.splice(at..at + length, text.chars());
    }
    let times: String = times.into_iter().collect();
    let padding = " ".repeat(LABEL_WIDTH + 1);
    format!("{padding}└{line}\n{} \n", format!("UTC{}", &times[3..]).trim_end()).replace(" \n", "\n")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
