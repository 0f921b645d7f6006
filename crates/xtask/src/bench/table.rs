//! The figures as a table for people, also valid Markdown.

use super::rows::Row;

/// One line per row.
pub(super) fn render(rows: &[Row]) -> String {
    let number = |value: Option<f64>| match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    };
    let mut out = String::from("| row | ours | peer | ratio | goal | met |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let met = row.met.map_or("-", |met| if met { "yes" } else { "no" });
        let cells =
            [&row.row, &number(row.ours), &number(row.peer), &number(row.ratio), &number(row.goal), met];
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}
