//! The string dictionary of a page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use codec::{Cursor, put_bytes, put_varint};

use super::PageError;

/// Gives strings codes in the order of their first use; `""` is 0.
pub(super) struct StringsWriter<'a> {
    codes: HashMap<&'a str, u32, foldhash::fast::RandomState>,
    list: Vec<&'a str>,
}

impl<'a> StringsWriter<'a> {
    pub(super) fn new() -> Self {
        let mut writer = Self { codes: HashMap::default(), list: Vec::new() };
        writer.code("");
        writer
    }

    pub(super) fn code(&mut self, text: &'a str) -> u32 {
        let next = self.list.len() as u32;
        let code = *self.codes.entry(text).or_insert(next);
        if code == next {
            self.list.push(text);
        }
        code
    }

    pub(super) fn put_code(&mut self, out: &mut Vec<u8>, text: &'a str) {
        put_varint(out, u64::from(self.code(text)));
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let bytes: usize = self.list.iter().map(|text| text.len() + 2).sum();
        let mut out = Vec::with_capacity(bytes + 4);
        put_varint(&mut out, self.list.len() as u64);
        for text in &self.list {
            put_bytes(&mut out, text.as_bytes());
        }
        out
    }
}

/// A dictionary as read. Strings become shared allocations when first asked for.
pub(crate) struct Strings<'a> {
    bytes: Cow<'a, [u8]>,
    ranges: Vec<Range<u32>>,
    shared: Vec<Option<Arc<str>>>,
}

impl<'a> Strings<'a> {
    pub(super) fn read(bytes: Cow<'a, [u8]>) -> Result<Self, PageError> {
        let mut cursor = Cursor::new(&bytes);
        let count = cursor.varint()?;
        if count > cursor.remaining().len() as u64 {
            return Err(PageError::Invalid("more strings than bytes"));
        }
        let mut ranges = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let text = cursor.bytes()?;
            if std::str::from_utf8(text).is_err() {
                return Err(PageError::Invalid("string is not UTF-8"));
            }
            let end = cursor.offset() as u32;
            ranges.push(end - text.len() as u32..end);
        }
        let shared = vec![None; ranges.len()];
        Ok(Self { bytes, ranges, shared })
    }

    /// The text of a code.
    pub(crate) fn text(&self, code: u32) -> Result<&str, PageError> {
        let range = self.ranges.get(code as usize).ok_or(PageError::Invalid("string code out of range"))?;
        let bytes = self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| PageError::Invalid("string is not UTF-8"))
    }

    /// The code of a text, if the page has it.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let is_same = |range: &Range<u32>| {
            range.len() == text.len()
                && self.bytes.get(range.start as usize..range.end as usize) == Some(text.as_bytes())
        };
        self.ranges.iter().position(is_same).map(|code| code as u32)
    }

    pub(super) fn shared(&mut self, code: u32) -> Result<Arc<str>, PageError> {
        if let Some(Some(text)) = self.shared.get(code as usize) {
            return Ok(Arc::clone(text));
        }
        let text: Arc<str> = self.text(code)?.into();
        if let Some(cell) = self.shared.get_mut(code as usize) {
            *cell = Some(Arc::clone(&text));
        }
        Ok(text)
    }

    /// Reads a code and answers its text.
    pub(super) fn read_shared(&mut self, cursor: &mut Cursor<'_>) -> Result<Arc<str>, PageError> {
        self.shared(read_code(cursor)?)
    }
}

pub(super) fn read_code(cursor: &mut Cursor<'_>) -> Result<u32, PageError> {
    u32::try_from(cursor.varint()?).map_err(|_| PageError::Invalid("code is larger than 32 bits"))
}
