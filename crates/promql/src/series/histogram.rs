//! `{{schema:1 sum:4.5 count:3 buckets:[1 2] offset:-1 …}}`: a native histogram in words.
//!
//! Nothing is checked or derived: a count may disagree with its buckets, as tests want it.

use model::{BucketSpan, Buckets, Histogram, ResetHint};

use super::ItemError;

/// What was read.
pub(super) struct Literal {
    pub(super) histogram: Histogram,
    /// Whether a reset hint was written.
    pub(super) has_hint: bool,
}

const KEYS: [&str; 11] = [
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "buckets",
    "offset",
    "n_buckets",
    "n_offset",
    "custom_values",
    "counter_reset_hint",
];

/// Reads the literal at the start of `text`; answers it and its length.
pub(super) fn parse(text: &str) -> Result<(Literal, usize), ItemError> {
    let mut cursor = Cursor { text, position: 2 };
    if !text.starts_with("{{") {
        return Err(ItemError::new(0, format!("expected a histogram, got {text:?}")));
    }
    let mut fields = Fields::default();
    let mut seen: Vec<&str> = Vec::new();
    loop {
        let had_blank = cursor.skip_blanks();
        if cursor.accept("}}") {
            return Ok((fields.literal(), cursor.position));
        }
        let at = cursor.position;
        let key = cursor.word();
        if key.is_empty() {
            return Err(cursor.unexpected());
        }
        if seen.is_empty() && had_blank {
            return Err(ItemError::new(at, format!("unexpected {key:?} in series values")));
        }
        if !KEYS.contains(&key) {
            return Err(ItemError::new(at, format!("bad histogram descriptor found: {key:?}")));
        }
        if !cursor.accept(":") {
            return Err(ItemError::new(at, "missing `:` for histogram descriptor"));
        }
        if seen.contains(&key) {
            let message = format!("duplicate key {key:?} in histogram");
            return Err(ItemError { place: super::Place::LineStart, message });
        }
        seen.push(key);
        fields.read(key, &mut cursor)?;
    }
}

#[derive(Default)]
struct Fields {
    histogram: Histogram,
    has_hint: bool,
    offset: i32,
    negative_offset: i32,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl Fields {
    fn read(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), ItemError> {
        match key {
            "schema" => self.histogram.schema = cursor.integer()?,
            "sum" => self.histogram.sum = cursor.number()?,
            "count" => self.histogram.count = cursor.number()?,
            "z_bucket" => self.histogram.zero_count = cursor.number()?,
            "z_bucket_w" => self.histogram.zero_threshold = cursor.number()?,
            "buckets" => self.positive = cursor.numbers()?,
            "offset" => self.offset = cursor.integer()?,
            "n_buckets" => self.negative = cursor.numbers()?,
            "n_offset" => self.negative_offset = cursor.integer()?,
            "custom_values" => self.histogram.custom_bounds = cursor.numbers()?.into(),
            _ => {
                self.histogram.reset_hint = cursor.hint()?;
                self.has_hint = true;
            }
        }
        Ok(())
    }

    fn literal(self) -> Literal {
        let mut histogram = self.histogram;
        histogram.is_float = true;
        histogram.positive = one_span(self.offset, self.positive);
        histogram.negative = one_span(self.negative_offset, self.negative);
        Literal { histogram, has_hint: self.has_hint }
    }
}

fn one_span(offset: i32, counts: Vec<f64>) -> Buckets {
    let length = u32::try_from(counts.len()).unwrap_or(u32::MAX);
    let spans = if counts.is_empty() { Vec::new() } else { vec![BucketSpan { offset, length }] };
    Buckets { spans, counts }
}

struct Cursor<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn skip_blanks(&mut self) -> bool {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.position += blanks;
        blanks > 0
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        self.position += if found { wanted.len() } else { 0 };
        found
    }

    fn word(&mut self) -> &'t str {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let rest = self.rest();
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    fn unexpected(&self) -> ItemError {
        let what = self.rest().chars().next().map_or_else(String::new, String::from);
        ItemError::new(self.position, format!("unexpected {what:?} in series values"))
    }

    fn number_text(&mut self) -> Result<&'t str, ItemError> {
        let rest = self.rest();
        let end = rest
            .find(|character: char| character.is_whitespace() || "}]".contains(character))
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.unexpected());
        }
        self.position += end;
        Ok(&rest[..end])
    }

    fn number(&mut self) -> Result<f64, ItemError> {
        let at = self.position;
        let text = self.number_text()?;
        super::parse_value(text).map_err(|error| ItemError::new(at, error))
    }

    fn integer(&mut self) -> Result<i32, ItemError> {
        let at = self.position;
        let text = self.number_text()?;
        text.parse().map_err(|_| ItemError::new(at, format!("bad integer {text:?}")))
    }

    /// `[1 2 3]`: a blank after the bracket is refused, more between numbers are not.
    fn numbers(&mut self) -> Result<Vec<f64>, ItemError> {
        if !self.accept("[") || self.rest().starts_with(char::is_whitespace) {
            return Err(self.unexpected());
        }
        let mut numbers = Vec::new();
        while !self.accept("]") {
            numbers.push(self.number()?);
            self.skip_blanks();
        }
        Ok(numbers)
    }

    fn hint(&mut self) -> Result<ResetHint, ItemError> {
        let at = self.position;
        match self.word() {
            "unknown" => Ok(ResetHint::Unknown),
            "reset" => Ok(ResetHint::Reset),
            "not_reset" => Ok(ResetHint::NotReset),
            "gauge" => Ok(ResetHint::Gauge),
            other => Err(ItemError::new(at, format!("bad histogram descriptor found: {other:?}"))),
        }
    }
}
