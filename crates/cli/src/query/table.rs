//! One line per series: value, then labels; over a range also the least and the greatest value.

use super::answer::{SampleValue, Series};
use super::histogram;
use super::number::short;
use super::palette::Palette;

pub(super) fn render(series: &[Series], palette: Palette) -> String {
    let is_range = series.iter().any(|series| series.samples.len() > 1);
    let rows: Vec<Vec<String>> = series.iter().map(|series| row(series, is_range)).collect();
    let mut out = String::new();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    if is_range {
        for (width, title) in widths.iter_mut().zip(HEADER) {
            *width = (*width).max(title.len());
        }
        let titles: Vec<String> = HEADER.iter().map(|title| (*title).to_owned()).collect();
        out += &palette.dim(&line(&titles, &widths, "series"));
        out.push('\n');
    }
    for (index, (row, series)) in rows.iter().zip(series).enumerate() {
        out += &line(row, &widths, &series.title());
        out.push('\n');
        if let Some(SampleValue::Histogram(value)) = series.samples.last().map(|sample| &sample.value) {
            out += &histogram::render(value, index, palette);
        }
    }
    out
}

const HEADER: [&str; 4] = ["last", "min", "max", "points"];

fn line(cells: &[String], widths: &[usize], title: &str) -> String {
    let mut out = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        out += &format!("{cell:>width$}  ");
    }
    out + title
}

fn row(series: &Series, is_range: bool) -> Vec<String> {
    let last = match series.samples.last().map(|sample| &sample.value) {
        Some(SampleValue::Number(_, text)) => text.clone(),
        Some(SampleValue::Histogram(_)) => "histogram".to_owned(),
        None => String::new(),
    };
    if !is_range {
        return vec![last];
    }
    let values = || series.points().map(|(_, value)| value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let bound = |value: f64| if value.is_finite() { short(value) } else { String::new() };
    vec![last, bound(least), bound(most), series.samples.len().to_string()]
}
