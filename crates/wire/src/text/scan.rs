//! The scanner: one line of text at a time, by bytes.
//!
//! ```text
//! 0.0.4        blanks are free between tokens; a line "# anything" is a comment; blank lines are skipped
//! OpenMetrics  one space between tokens, none elsewhere; no comments, no blank lines; "# EOF" ends the text
//! ```

use std::borrow::Cow;

use model::MetricKind;

use super::number::{float, milliseconds, seconds_as_ms};
use super::series::{Series, unescape, unescape_help_004};
use super::{Exemplar, Format, Line, ParseError, excerpt};

/// A line, with the timestamp as it is written.
pub(super) enum Scanned<'a> {
    Sample { series: Series<'a>, value: f64, ts_ms: Option<i64>, exemplar: Option<Exemplar<'a>> },
    Metadata(Line<'a>),
}

/// Position in a text of one of the two formats.
pub(super) struct Scanner<'a> {
    is_open_metrics: bool,
    body: &'a str,
    bytes: &'a [u8],
    at: usize,
    line_start: usize,
    line: usize,
    is_done: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(format: Format, body: &'a str) -> Self {
        let is_open_metrics = format == Format::OpenMetrics;
        Self { is_open_metrics, body, bytes: body.as_bytes(), at: 0, line_start: 0, line: 0, is_done: false }
    }

    /// The next line that says something, or `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Scanned<'a>>, ParseError> {
        loop {
            self.line += 1;
            self.line_start = self.at;
            self.skip_blanks();
            match self.peek() {
                _ if self.is_done => return Ok(None),
                None if self.is_open_metrics => {
                    return Err(self.error("the text does not end with \"# EOF\""));
                }
                None => return Ok(None),
                Some(b'\n') if self.is_open_metrics => return Err(self.error("blank line")),
                Some(b'\n') => self.at += 1,
                Some(b'#') => {
                    if let Some(line) = self.comment()? {
                        return Ok(Some(Scanned::Metadata(line)));
                    }
                }
                Some(_) => return self.sample().map(Some),
            }
        }
    }

    /// An error at the current position.
    #[cold]
    pub(super) fn error(&self, detail: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.at - self.line_start + 1, detail: detail.into() }
    }

    #[cold]
    fn expected(&self, what: &str) -> ParseError {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let found = rest.split('\n').next().unwrap_or_default();
        let found: String = found.chars().take(20).collect();
        let found = if found.is_empty() { "the end of the line".to_owned() } else { format!("{found:?}") };
        self.error(format!("expected {what}, found {found}"))
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn text(&self, start: usize, end: usize) -> &'a str {
        self.body.get(start..end).unwrap_or_default()
    }

    /// Blanks mean something in OpenMetrics: there they are never skipped.
    #[inline]
    fn skip_blanks(&mut self) {
        if !self.is_open_metrics {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
        }
    }

    /// What stands between two tokens: in OpenMetrics exactly one space.
    #[inline]
    fn separator(&mut self) -> Result<(), ParseError> {
        if !self.is_open_metrics {
            self.skip_blanks();
            return Ok(());
        }
        if self.peek() != Some(b' ') {
            return Err(self.expected("one space"));
        }
        self.at += 1;
        Ok(())
    }

    fn rest_of_line(&mut self) -> &'a str {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.text(start, self.at)
    }

    /// Steps over the end of the line. OpenMetrics wants the newline; the last line of 0.0.4 may lack it.
    #[inline]
    fn end_line(&mut self) -> Result<(), ParseError> {
        match self.peek() {
            Some(b'\n') => self.at += 1,
            None if !self.is_open_metrics => {}
            _ => return Err(self.expected("the end of the line")),
        }
        Ok(())
    }
}

/// Samples.
impl<'a> Scanner<'a> {
    #[inline]
    fn sample(&mut self) -> Result<Scanned<'a>, ParseError> {
        let series = self.series()?;
        self.separator()?;
        let value = self.value()?;
        let (ts_ms, exemplar) = if self.is_open_metrics { self.tail()? } else { (self.tail_004()?, None) };
        self.end_line()?;
        Ok(Scanned::Sample { series, value, ts_ms, exemplar })
    }

    #[inline]
    fn series(&mut self) -> Result<Series<'a>, ParseError> {
        let start = self.at;
        self.skip_name(true);
        let mut end = self.at;
        let mut has_name = end > start;
        self.skip_blanks();
        if self.peek() == Some(b'{') {
            has_name = self.labels(has_name)?;
            end = self.at;
        }
        if has_name { Ok(Series(self.text(start, end))) } else { Err(self.expected("a metric name")) }
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`, without colons for labels; nothing when there is no such name.
    #[inline]
    fn skip_name(&mut self, colons: bool) {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return;
        }
        while self.peek().is_some_and(is_part) {
            self.at += 1;
        }
    }

    /// From `{` to behind `}`. A quoted name without a value is the metric's, if it has none yet. Returns whether
    /// the metric has a name now.
    fn labels(&mut self, mut has_name: bool) -> Result<bool, ParseError> {
        self.at += 1;
        self.skip_blanks();
        while self.peek() != Some(b'}') {
            let is_quoted = self.peek() == Some(b'"');
            if is_quoted {
                self.quoted()?;
            } else {
                let start = self.at;
                self.skip_name(false);
                if self.at == start {
                    return Err(self.expected("a label name or \"}\""));
                }
            }
            self.skip_blanks();
            if self.peek() == Some(b'=') {
                self.at += 1;
                self.skip_blanks();
                self.quoted()?;
            } else if is_quoted && !has_name {
                has_name = true;
            } else {
                return Err(self.expected("\"=\" after a label name"));
            }
            self.skip_blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_blanks();
                }
                Some(b'}') => {}
                _ => return Err(self.expected("\",\" or \"}\" after a label")),
            }
        }
        self.at += 1;
        Ok(has_name)
    }

    /// Steps over a quoted string.
    #[inline]
    fn quoted(&mut self) -> Result<(), ParseError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a quoted string"));
        }
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += plain_prefix(rest);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if !matches!(self.bytes.get(self.at + 1), None | Some(b'\n')) => self.at += 2,
                _ => {
                    self.at = start;
                    return Err(self.expected("a closing quote"));
                }
            }
        }
    }

    #[inline]
    fn token(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|byte| !matches!(byte, b' ' | b'\t' | b'\n')) {
            self.at += 1;
        }
        self.text(start, self.at)
    }

    #[inline]
    fn value(&mut self) -> Result<f64, ParseError> {
        let start = self.at;
        let token = self.token();
        float(token).ok_or_else(|| self.bad_token(start, "a number", token))
    }

    #[cold]
    fn bad_token(&self, start: usize, what: &str, token: &str) -> ParseError {
        if token.is_empty() {
            return self.expected(what);
        }
        let detail = format!("expected {what}, found {:?}", excerpt(token));
        ParseError { line: self.line, column: start - self.line_start + 1, detail }
    }

    /// An optional timestamp in milliseconds.
    #[inline]
    fn tail_004(&mut self) -> Result<Option<i64>, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let token = self.token();
        if token.is_empty() {
            return Ok(None);
        }
        let ts_ms = milliseconds(token);
        let ts_ms = ts_ms.ok_or_else(|| self.bad_token(start, "a timestamp in milliseconds", token))?;
        self.skip_blanks();
        Ok(Some(ts_ms))
    }

    /// An optional timestamp in seconds and an optional exemplar.
    #[inline]
    fn tail(&mut self) -> Result<(Option<i64>, Option<Exemplar<'a>>), ParseError> {
        let mut ts_ms = None;
        if self.peek() == Some(b' ') && self.bytes.get(self.at + 1) != Some(&b'#') {
            ts_ms = Some(self.seconds()?);
        }
        let exemplar = if self.peek() == Some(b' ') { Some(self.exemplar()?) } else { None };
        Ok((ts_ms, exemplar))
    }

    fn seconds(&mut self) -> Result<i64, ParseError> {
        self.at += 1;
        let start = self.at;
        let token = self.token();
        seconds_as_ms(token).ok_or_else(|| self.bad_token(start, "a timestamp in seconds", token))
    }

    /// ` # {labels} value`, and a timestamp if it has one.
    #[cold]
    fn exemplar(&mut self) -> Result<Exemplar<'a>, ParseError> {
        if !self.text(self.at, self.bytes.len()).starts_with(" # {") {
            return Err(self.expected("an exemplar, \" # {\""));
        }
        self.at += 3;
        let start = self.at;
        // An exemplar has no metric name; `true` keeps a bare quoted string from becoming one.
        self.labels(true)?;
        let labels = Series(self.text(start, self.at));
        self.separator()?;
        let value = self.value()?;
        let ts_ms = if self.peek() == Some(b' ') { Some(self.seconds()?) } else { None };
        Ok(Exemplar { labels, value, ts_ms })
    }
}

/// Metadata and comments.
impl<'a> Scanner<'a> {
    /// A line that starts with `#`; `None` for comments and for `# EOF`.
    fn comment(&mut self) -> Result<Option<Line<'a>>, ParseError> {
        let line_at = self.at;
        self.at += 1;
        let has_blank = matches!(self.peek(), Some(b' ' | b'\t'));
        if has_blank && self.separator().is_ok() {
            let keyword_at = self.at;
            self.skip_name(false);
            let keyword = self.text(keyword_at, self.at);
            let is_followed = matches!(self.peek(), Some(b' ' | b'\t'));
            match keyword {
                "HELP" if is_followed => return self.help().map(Some),
                "TYPE" if is_followed => return self.kind().map(Some),
                "UNIT" if is_followed && self.is_open_metrics => return self.unit().map(Some),
                "EOF" if self.is_open_metrics => return self.end_of_text().map(|()| None),
                _ => {}
            }
        }
        if self.is_open_metrics {
            self.at = line_at;
            return Err(self.expected("\"# HELP \", \"# TYPE \", \"# UNIT \" or \"# EOF\""));
        }
        self.rest_of_line();
        self.end_line().map(|()| None)
    }

    fn end_of_text(&mut self) -> Result<(), ParseError> {
        if self.peek() == Some(b'\n') {
            self.at += 1;
        }
        if self.peek().is_some() {
            return Err(self.expected("nothing after \"# EOF\""));
        }
        self.is_done = true;
        Ok(())
    }

    fn help(&mut self) -> Result<Line<'a>, ParseError> {
        let family = self.family()?;
        let text = self.metadata_text()?;
        let text = if self.is_open_metrics { unescape(text) } else { unescape_help_004(text) };
        Ok(Line::Help { family, text })
    }

    fn kind(&mut self) -> Result<Line<'a>, ParseError> {
        let family = self.family()?;
        let kind_at = self.at;
        let text = self.metadata_text()?;
        let kind = match (text, self.is_open_metrics) {
            ("counter", _) => MetricKind::Counter,
            ("gauge", _) => MetricKind::Gauge,
            ("histogram", _) => MetricKind::Histogram,
            ("summary", _) => MetricKind::Summary,
            ("untyped", false) | ("unknown", true) => MetricKind::Unknown,
            ("gaugehistogram", true) => MetricKind::GaugeHistogram,
            ("info", true) => MetricKind::Info,
            ("stateset", true) => MetricKind::StateSet,
            _ => {
                let detail = format!("unknown metric type {:?}", excerpt(text));
                return Err(ParseError { line: self.line, column: kind_at - self.line_start + 1, detail });
            }
        };
        Ok(Line::Type { family, kind })
    }

    fn unit(&mut self) -> Result<Line<'a>, ParseError> {
        let family = self.family()?;
        let unit_at = self.at;
        let unit = self.metadata_text()?;
        let is_suffix = family.strip_suffix(unit).is_some_and(|stem| unit.is_empty() || stem.ends_with('_'));
        if !is_suffix {
            let detail = format!("unit {:?} is no suffix of metric {:?}", excerpt(unit), excerpt(&family));
            return Err(ParseError { line: self.line, column: unit_at - self.line_start + 1, detail });
        }
        Ok(Line::Unit { family, unit })
    }

    /// The family's name after the keyword, plain or quoted.
    fn family(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.separator()?;
        let start = self.at;
        if self.peek() == Some(b'"') {
            self.quoted()?;
            return Ok(unescape(self.text(start + 1, self.at - 1)));
        }
        self.skip_name(true);
        if self.at == start {
            return Err(self.expected("a metric name"));
        }
        Ok(self.text(start, self.at).into())
    }

    /// What follows the family's name, to the end of the line.
    fn metadata_text(&mut self) -> Result<&'a str, ParseError> {
        let is_cut = matches!(self.peek(), None | Some(b'\n'));
        if self.is_open_metrics || !is_cut {
            if !matches!(self.peek(), Some(b' ' | b'\t')) {
                return Err(self.expected("a space after the metric name"));
            }
            self.separator()?;
        }
        let text = self.rest_of_line();
        self.end_line()?;
        Ok(if self.is_open_metrics { text } else { text.trim_ascii_end() })
    }
}

/// Length of the start of `bytes` without quote, backslash and newline, eight bytes at a time.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let found = zero_bytes(word ^ splat(b'"'))
            | zero_bytes(word ^ splat(b'\\'))
            | zero_bytes(word ^ splat(b'\n'));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let done = chunks.len() * 8;
    let rest = bytes.get(done..).unwrap_or_default();
    done + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n')).unwrap_or(rest.len())
}

const fn splat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of each byte that is zero. Bits above the lowest one set may be wrong, and are not looked at.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(splat(1)) & !word & splat(0x80)
}
