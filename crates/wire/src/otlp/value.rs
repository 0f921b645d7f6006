//! `AnyValue`, `KeyValue` and the strings they share.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use model::{AttributeValue, Attributes};

use crate::DecodeError;
use crate::protobuf::{Field, Fields};

/// Deepest nesting of arrays and maps; deeper values are refused, so that recursion is bounded.
const DEPTH_MAX: usize = 32;

/// Longest string that is looked up; longer ones rarely repeat.
const SHARED_BYTES_MAX: usize = 64;

/// Most slots of [`Strings`].
const SLOTS_MAX: usize = 1024;

/// Strings of one request. Keys, names and short values repeat in almost every span: one allocation serves all.
///
/// A table of fixed size, in which a string's hash is its place and a newcomer takes the place over: what repeats often
/// stays, what is unique (ids, say) costs no growing map, and colliding strings are merely not shared.
pub(super) struct Strings<'a> {
    slots: Vec<Slot<'a>>,
    empty: Arc<str>,
}

type Slot<'a> = Option<(&'a [u8], Arc<str>)>;

impl<'a> Strings<'a> {
    /// A table for a request of this size.
    pub(super) fn new(body_bytes: usize) -> Self {
        let slots = (body_bytes / 64).next_power_of_two().clamp(16, SLOTS_MAX);
        Self { slots: vec![None; slots], empty: Arc::from("") }
    }

    /// The text of a string field. Bytes that are not UTF-8 become U+FFFD, so that one bad attribute does not cost a
    /// whole request.
    pub(super) fn text(&mut self, field: &Field<'a>) -> Result<Arc<str>, DecodeError> {
        let bytes = field.bytes()?;
        if bytes.is_empty() {
            return Ok(self.empty());
        }
        if bytes.len() > SHARED_BYTES_MAX {
            return Ok(owned(bytes));
        }
        let place = self.place(bytes);
        let Some(slot) = self.slots.get_mut(place) else { return Ok(owned(bytes)) };
        if let Some((shared, text)) = slot
            && *shared == bytes
        {
            return Ok(Arc::clone(text));
        }
        let text = owned(bytes);
        *slot = Some((bytes, Arc::clone(&text)));
        Ok(text)
    }

    /// The number of slots is a power of two.
    fn place(&self, bytes: &[u8]) -> usize {
        FixedState::default().hash_one(bytes) as usize & (self.slots.len() - 1)
    }

    /// The one `Arc` of the empty string in this request.
    pub(super) fn empty(&self) -> Arc<str> {
        Arc::clone(&self.empty)
    }

    /// Reads a `KeyValue` and appends it; `false` when it has no key and is left out.
    pub(super) fn push_attribute(
        &mut self,
        field: &Field<'a>,
        out: &mut Attributes,
    ) -> Result<bool, DecodeError> {
        self.push_nested_attribute(field, out, DEPTH_MAX)
    }

    fn push_nested_attribute(
        &mut self,
        field: &Field<'a>,
        out: &mut Attributes,
        depth_left: usize,
    ) -> Result<bool, DecodeError> {
        let (mut key, mut value) = (None, AttributeValue::Empty);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => key = Some(self.text(&field)?),
                2 => value = self.value(&field, depth_left)?,
                _ => {}
            }
        }
        let key = key.filter(|key| !key.is_empty());
        let has_key = key.is_some();
        out.extend(key.map(|key| (key, value)));
        Ok(has_key)
    }

    fn value(&mut self, field: &Field<'a>, depth_left: usize) -> Result<AttributeValue, DecodeError> {
        if depth_left == 0 {
            return Err(field.malformed(format!("value is nested deeper than the limit of {DEPTH_MAX}")));
        }
        let mut value = AttributeValue::Empty;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            value = match field.number {
                1 => AttributeValue::String(self.text(&field)?),
                2 => AttributeValue::Bool(field.varint()? != 0),
                3 => AttributeValue::Int(field.int()?),
                4 => AttributeValue::Double(field.double()?),
                5 => AttributeValue::Array(self.array(field.message()?, depth_left - 1)?),
                6 => AttributeValue::Map(self.map(field.message()?, depth_left - 1)?),
                7 => AttributeValue::Bytes(field.bytes()?.into()),
                _ => value,
            };
        }
        Ok(value)
    }

    fn array(
        &mut self,
        mut fields: Fields<'a>,
        depth_left: usize,
    ) -> Result<Vec<AttributeValue>, DecodeError> {
        let mut values = Vec::new();
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                values.push(self.value(&field, depth_left)?);
            }
        }
        Ok(values)
    }

    fn map(&mut self, mut fields: Fields<'a>, depth_left: usize) -> Result<Attributes, DecodeError> {
        let mut pairs = Attributes::new();
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                self.push_nested_attribute(&field, &mut pairs, depth_left)?;
            }
        }
        Ok(pairs)
    }
}

fn owned(bytes: &[u8]) -> Arc<str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes).into(),
    }
}
