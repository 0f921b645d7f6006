//! Attribute values one by one: what is nested in arrays and maps, and the attributes of resources and scopes.
//!
//! ```text
//! pairs  := count (key code | tag u8 | value)*
//! value  := ""                 0 empty
//!         | code               1 string
//!         | u8                 2 bool
//!         | zigzag             3 int
//!         | f64 little-endian  4 double
//!         | bytes              5 bytes
//!         | count (tag value)* 6 array
//!         | pairs              7 map
//! ```

use codec::{Cursor, put_bytes, put_varint, zigzag};
use model::{AttributeValue, Attributes};

use super::PageError;
use super::strings::{Strings, StringsWriter};

/// Deepest nesting of arrays and maps in a value.
pub(crate) const VALUE_DEPTH_MAX: usize = 32;

pub(super) const EMPTY: u8 = 0;
pub(super) const STRING: u8 = 1;
pub(super) const BOOL: u8 = 2;
pub(super) const INT: u8 = 3;
pub(super) const DOUBLE: u8 = 4;
pub(super) const BYTES: u8 = 5;
pub(super) const ARRAY: u8 = 6;
pub(super) const MAP: u8 = 7;

pub(super) fn tag(value: &AttributeValue) -> u8 {
    match value {
        AttributeValue::Empty => EMPTY,
        AttributeValue::String(_) => STRING,
        AttributeValue::Bool(_) => BOOL,
        AttributeValue::Int(_) => INT,
        AttributeValue::Double(_) => DOUBLE,
        AttributeValue::Bytes(_) => BYTES,
        AttributeValue::Array(_) => ARRAY,
        AttributeValue::Map(_) => MAP,
    }
}

/// Appends a value without its tag. Nesting is bounded by admission.
pub(super) fn put_value<'a>(out: &mut Vec<u8>, strings: &mut StringsWriter<'a>, value: &'a AttributeValue) {
    match value {
        AttributeValue::Empty => {}
        AttributeValue::String(text) => strings.put_code(out, text),
        AttributeValue::Bool(value) => out.push(u8::from(*value)),
        AttributeValue::Int(value) => put_varint(out, zigzag(*value)),
        AttributeValue::Double(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        AttributeValue::Bytes(bytes) => put_bytes(out, bytes),
        AttributeValue::Array(values) => {
            put_varint(out, values.len() as u64);
            for value in values {
                out.push(tag(value));
                put_value(out, strings, value);
            }
        }
        AttributeValue::Map(pairs) => put_pairs(out, strings, pairs),
    }
}

pub(super) fn put_pairs<'a>(out: &mut Vec<u8>, strings: &mut StringsWriter<'a>, pairs: &'a Attributes) {
    put_varint(out, pairs.len() as u64);
    for (key, value) in pairs {
        strings.put_code(out, key);
        out.push(tag(value));
        put_value(out, strings, value);
    }
}

pub(super) fn read_pairs(
    cursor: &mut Cursor<'_>,
    strings: &mut Strings<'_>,
    depth: usize,
) -> Result<Attributes, PageError> {
    let count = read_count(cursor)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let key = strings.read_shared(cursor)?;
        let tag = cursor.u8()?;
        pairs.push((key, read_value(cursor, strings, tag, depth + 1)?));
    }
    Ok(pairs)
}

pub(super) fn read_value(
    cursor: &mut Cursor<'_>,
    strings: &mut Strings<'_>,
    tag: u8,
    depth: usize,
) -> Result<AttributeValue, PageError> {
    if depth > VALUE_DEPTH_MAX + 1 {
        return Err(PageError::Invalid("value is nested too deep"));
    }
    Ok(match tag {
        EMPTY => AttributeValue::Empty,
        STRING => AttributeValue::String(strings.read_shared(cursor)?),
        BOOL => AttributeValue::Bool(cursor.u8()? != 0),
        INT => AttributeValue::Int(cursor.signed_varint()?),
        DOUBLE => AttributeValue::Double(f64::from_bits(u64::from_le_bytes(cursor.array()?))),
        BYTES => AttributeValue::Bytes(cursor.bytes()?.into()),
        ARRAY => {
            let count = read_count(cursor)?;
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                let tag = cursor.u8()?;
                values.push(read_value(cursor, strings, tag, depth + 1)?);
            }
            AttributeValue::Array(values)
        }
        MAP => AttributeValue::Map(read_pairs(cursor, strings, depth)?),
        _ => return Err(PageError::Invalid("unknown value tag")),
    })
}

/// Steps over a value of a column.
pub(super) fn skip_value(cursor: &mut Cursor<'_>, tag: u8) -> Result<(), PageError> {
    match tag {
        EMPTY => {}
        STRING | INT => drop(cursor.varint()?),
        BOOL => drop(cursor.u8()?),
        DOUBLE => drop(cursor.take(8)?),
        BYTES | ARRAY | MAP => drop(cursor.bytes()?),
        _ => return Err(PageError::Invalid("unknown value tag")),
    }
    Ok(())
}

/// A count of things that take at least one byte each.
pub(super) fn read_count(cursor: &mut Cursor<'_>) -> Result<usize, PageError> {
    let count = cursor.varint()?;
    if count > cursor.remaining().len() as u64 {
        return Err(PageError::Invalid("more values than bytes"));
    }
    Ok(count as usize)
}
