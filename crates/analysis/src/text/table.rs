//! ASCII tables that align by display width, and wrapping of sentences.

#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

pub(super) struct Table {
    columns: Vec<(String, Align)>,
    /// Cells, and the ANSI code of the row's colour.
    rows: Vec<(Vec<String>, Option<&'static str>)>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>, color: Option<&'static str>) {
        self.rows.push((cells.into(), color));
    }

    pub(super) fn lines(&self, color: bool) -> Vec<String> {
        let width_of = |index: usize| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(index));
            let names = self.columns.get(index).map(|(name, _)| name);
            cells.chain(names).map(|text| display_width(text)).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width_of).collect();
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let rule = format!("+{}+", rule.join("+"));
        let names: Vec<_> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut lines = vec![rule.clone(), self.line(&names, &widths, None), rule.clone()];
        for (cells, row_color) in &self.rows {
            lines.push(self.line(cells, &widths, row_color.filter(|_| color)));
        }
        lines.push(rule);
        lines
    }

    fn line(&self, cells: &[String], widths: &[usize], color: Option<&str>) -> String {
        let mut line = String::from("|");
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let padding = " ".repeat(width - display_width(cell).min(*width));
            let padded = match align {
                Align::Left => format!("{cell}{padding}"),
                Align::Right => format!("{padding}{cell}"),
            };
            let padded = color.map_or(padded.clone(), |code| format!("\x1b[{code}m{padded}\x1b[0m"));
            line.push_str(&format!(" {padded} |"));
        }
        line
    }
}

/// Columns that a terminal uses for `text`: wide for East Asian scripts, none for combining marks.
pub(super) fn display_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE4F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Names from outside, fit for one line of a terminal.
pub(super) fn clean(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Lines of at most `width` columns, broken at spaces; a longer word keeps its line.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && display_width(line) + 1 + display_width(word) > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
