//! A walk over protobuf bytes that borrows everything and knows where it is.
//!
//! ```text
//! message := (key varint | value)*        key = field number << 3 | wire type
//! value   := varint (0) | 8 bytes (1) | length varint, payload (2) | 4 bytes (5)
//! ```
//! Groups (wire types 3 and 4) ended with proto1 and are refused. Unknown fields are the caller's to skip: the walk
//! has already stepped over their value.

use codec::{Cursor, put_bytes, put_varint, unzigzag, zigzag};

use crate::DecodeError;

/// Most values of one packed repeated varint: twice the buckets of the largest histogram.
const VARINTS_MAX: usize = 131_072;

/// What the bytes claim to be, for error messages, and where they start in the body.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    format: &'static str,
    base: usize,
    cursor: Cursor<'a>,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    format: &'static str,
    offset: usize,
    value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The fields of a whole body.
    pub(crate) fn new(format: &'static str, body: &'a [u8]) -> Self {
        Self { format, base: 0, cursor: Cursor::new(body) }
    }

    /// The fields of a message that starts at offset `base` of the body.
    pub(crate) fn at(format: &'static str, base: usize, message: &'a [u8]) -> Self {
        Self { format, base, cursor: Cursor::new(message) }
    }

    /// The next field, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let start = self.cursor.offset();
        match self.field() {
            Ok(field) => Ok(Some(field)),
            Err(wrong) => Err(self.malformed(start, &wrong)),
        }
    }

    #[inline]
    fn field(&mut self) -> Result<Field<'a>, Wrong> {
        let key = self.cursor.varint().map_err(|_| Wrong::Cut("field key"))?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0);
        let number = number.ok_or(Wrong::Number(key >> 3))?;
        let mut offset = self.base + self.cursor.offset();
        let value = match key & 7 {
            0 => Value::Varint(self.cursor.varint().map_err(|_| Wrong::Cut("varint"))?),
            1 => Value::Fixed64(u64::from_le_bytes(
                self.cursor.array().map_err(|_| Wrong::Cut("8-byte value"))?,
            )),
            2 => {
                let bytes = self.cursor.bytes().map_err(|_| Wrong::Cut("length-delimited value"))?;
                offset = self.base + self.cursor.offset() - bytes.len();
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(
                self.cursor.array().map_err(|_| Wrong::Cut("4-byte value"))?,
            )),
            _ => return Err(Wrong::WireType(key)),
        };
        Ok(Field { number, format: self.format, offset, value })
    }

    #[cold]
    fn malformed(&self, start: usize, wrong: &Wrong) -> DecodeError {
        let detail = match wrong {
            Wrong::Cut(what) => format!("{what} is cut short or too long"),
            Wrong::Number(number) => format!("field number {number} is out of range"),
            Wrong::WireType(key) => format!("field {} has unknown wire type {}", key >> 3, key & 7),
        };
        DecodeError::Malformed { format: self.format, offset: self.base + start, detail }
    }
}

/// What is wrong with a field: small, as it is part of every step of the walk.
enum Wrong {
    Cut(&'static str),
    Number(u64),
    WireType(u64),
}

impl<'a> Field<'a> {
    /// An error about this field.
    #[cold]
    pub(crate) fn malformed(&self, detail: impl Into<String>) -> DecodeError {
        DecodeError::Malformed { format: self.format, offset: self.offset, detail: detail.into() }
    }

    #[cold]
    fn not_a(&self, what: &str) -> DecodeError {
        self.malformed(format!("field {} is not a {what}", self.number))
    }

    /// A length-delimited value.
    #[inline]
    pub(crate) fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.not_a("byte string")),
        }
    }

    /// A string.
    #[inline]
    pub(crate) fn str(&self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|error| self.malformed(format!("text is {error}")))
    }

    /// An embedded message.
    #[inline]
    pub(crate) fn message(&self) -> Result<Fields<'a>, DecodeError> {
        self.message_after(0)
    }

    /// An embedded message, without its first `skipped` bytes, which the caller has read.
    #[inline]
    pub(crate) fn message_after(&self, skipped: usize) -> Result<Fields<'a>, DecodeError> {
        let rest = self.bytes()?.get(skipped..).unwrap_or_default();
        Ok(Fields { format: self.format, base: self.offset + skipped, cursor: Cursor::new(rest) })
    }

    /// An unsigned integer, enum or bool.
    #[inline]
    pub(crate) fn varint(&self) -> Result<u64, DecodeError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.not_a("varint")),
        }
    }

    /// An `int64` or `int32` (not zigzag).
    #[inline]
    pub(crate) fn int(&self) -> Result<i64, DecodeError> {
        self.varint().map(u64::cast_signed)
    }

    /// A `uint32`; larger values are cut, as other decoders do.
    pub(crate) fn uint32(&self) -> Result<u32, DecodeError> {
        self.varint().map(|value| value as u32)
    }

    /// A `sint64`.
    pub(crate) fn sint64(&self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }

    /// A `sint32`; larger values are cut, as other decoders do.
    pub(crate) fn sint32(&self) -> Result<i32, DecodeError> {
        self.sint64().map(|value| value as i32)
    }

    /// A `fixed64`.
    #[inline]
    pub(crate) fn fixed64(&self) -> Result<u64, DecodeError> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(self.not_a("fixed64")),
        }
    }

    /// A `fixed32`.
    pub(crate) fn fixed32(&self) -> Result<u32, DecodeError> {
        match self.value {
            Value::Fixed32(value) => Ok(value),
            _ => Err(self.not_a("fixed32")),
        }
    }

    /// A `double`.
    #[inline]
    pub(crate) fn double(&self) -> Result<f64, DecodeError> {
        self.fixed64().map(f64::from_bits)
    }

    /// Appends the values of a repeated `fixed64` or `double`, packed or not, as bits.
    pub(crate) fn repeated_fixed64(&self, out: &mut Vec<u64>) -> Result<(), DecodeError> {
        match self.value {
            Value::Fixed64(value) => out.push(value),
            Value::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(self.malformed(format!("{} packed bytes are no multiple of 8", bytes.len())));
                }
                out.extend(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
            }
            _ => return Err(self.not_a("repeated fixed64")),
        }
        Ok(())
    }

    /// Appends the values of a repeated varint, packed or not; more than [`VARINTS_MAX`] are refused, as each is eight
    /// times as large in memory as on the wire.
    pub(crate) fn repeated_varint(&self, out: &mut Vec<u64>) -> Result<(), DecodeError> {
        match self.value {
            Value::Varint(value) => out.push(value),
            Value::Bytes(bytes) => {
                let mut cursor = Cursor::new(bytes);
                while !cursor.is_empty() {
                    if out.len() >= VARINTS_MAX {
                        return Err(self
                            .malformed(format!("more than {VARINTS_MAX} values in field {}", self.number)));
                    }
                    out.push(
                        cursor
                            .varint()
                            .map_err(|_| self.malformed("packed varint is cut short or too long"))?,
                    );
                }
            }
            _ => return Err(self.not_a("repeated varint")),
        }
        Ok(())
    }

    /// Appends the values of a repeated `sint64`, packed or not.
    pub(crate) fn repeated_sint64(&self, out: &mut Vec<i64>) -> Result<(), DecodeError> {
        let mut raw = Vec::new();
        self.repeated_varint(&mut raw)?;
        out.extend(raw.into_iter().map(unzigzag));
        Ok(())
    }
}

/// Appends a varint field, unless it is zero (the default of proto3).
pub(crate) fn put_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_oneof_uint(out, number, value);
    }
}

/// Appends a varint field even when it is zero: members of a `oneof` are present by being there.
pub(crate) fn put_oneof_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, 0);
    put_varint(out, value);
}

/// Appends a `sint64` or `sint32` field, unless it is zero.
pub(crate) fn put_sint(out: &mut Vec<u8>, number: u32, value: i64) {
    put_uint(out, number, zigzag(value));
}

/// Appends a packed repeated varint, unless there is no value.
pub(crate) fn put_packed_varint(out: &mut Vec<u8>, number: u32, values: impl Iterator<Item = u64>) {
    let begun = begin_message(out, number);
    values.for_each(|value| put_varint(out, value));
    end_packed(out, begun);
}

/// Appends a packed repeated `sint64`, unless there is no value.
pub(crate) fn put_packed_sint(out: &mut Vec<u8>, number: u32, values: impl Iterator<Item = i64>) {
    put_packed_varint(out, number, values.map(zigzag));
}

/// Appends a packed repeated `double`, unless there is no value.
pub(crate) fn put_packed_double(out: &mut Vec<u8>, number: u32, values: impl Iterator<Item = f64>) {
    let begun = begin_message(out, number);
    values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    end_packed(out, begun);
}

/// Ends a packed field; one without values is taken back.
fn end_packed(out: &mut Vec<u8>, begun: Begun) {
    if out.len() == begun.length_at + 1 {
        out.truncate(begun.key_at);
    } else {
        end_message(out, begun);
    }
}

/// Appends a `double` field, unless it is zero.
pub(crate) fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    put_fixed64(out, number, value.to_bits());
}

/// Appends a `fixed64` field, unless it is zero.
pub(crate) fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_oneof_fixed64(out, number, value);
    }
}

/// Appends a `fixed64` or `double` field even when it is zero.
pub(crate) fn put_oneof_fixed64(out: &mut Vec<u8>, number: u32, bits: u64) {
    put_key(out, number, 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a `fixed32` field, unless it is zero.
pub(crate) fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    if value != 0 {
        put_key(out, number, 5);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a string or byte string field, unless it is empty.
pub(crate) fn put_blob(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_oneof_blob(out, number, bytes);
    }
}

/// Appends a string or byte string field even when it is empty.
pub(crate) fn put_oneof_blob(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, 2);
    put_bytes(out, bytes);
}

/// Appends an embedded message, which `write` appends to the same buffer.
pub(crate) fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let begun = begin_message(out, number);
    write(out);
    end_message(out, begun);
}

/// Where the length of an embedded message goes.
#[must_use]
pub(crate) struct Begun {
    key_at: usize,
    length_at: usize,
}

/// Starts an embedded message: what is appended until [`end_message`] is its payload.
///
/// The length stands before the payload but is known after it. Most messages are under 128 bytes, so one byte is kept
/// free for it; a longer payload moves.
pub(crate) fn begin_message(out: &mut Vec<u8>, number: u32) -> Begun {
    let key_at = out.len();
    put_key(out, number, 2);
    out.push(0);
    Begun { key_at, length_at: out.len() - 1 }
}

/// Ends the message that `begun` started.
pub(crate) fn end_message(out: &mut Vec<u8>, begun: Begun) {
    let at = begun.length_at;
    let length = out.len() - at - 1;
    if length < 0x80 {
        if let Some(byte) = out.get_mut(at) {
            *byte = length as u8;
        }
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, length as u64);
    out.splice(at..=at, prefix);
}

#[inline]
fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u64) {
    put_varint(out, u64::from(number) << 3 | wire_type);
}
