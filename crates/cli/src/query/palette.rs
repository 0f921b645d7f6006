//! Colours of series, or none where there is no terminal.

const SERIES: [&str; 8] =
    ["\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m", "\x1b[34m", "\x1b[31m", "\x1b[96m", "\x1b[93m"];

/// How things are marked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Palette {
    coloured: bool,
}

impl Palette {
    pub(super) const PLAIN: Self = Self { coloured: false };

    pub(super) fn of_stdout(coloured: bool) -> Self {
        if coloured { Self { coloured } } else { Self::PLAIN }
    }

    pub(super) fn is_coloured(self) -> bool {
        self.coloured
    }

    fn paint(self, escape: &str, text: &str) -> String {
        if self.coloured && !text.is_empty() { format!("{escape}{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Something of series `index`.
    pub(super) fn series(self, index: usize, text: &str) -> String {
        self.paint(SERIES[index % SERIES.len()], text)
    }

    /// Something that matters less.
    pub(super) fn dim(self, text: &str) -> String {
        self.paint("\x1b[2m", text)
    }

    /// Something that is wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.paint("\x1b[1;31m", text)
    }
}
