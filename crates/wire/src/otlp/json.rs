//! OTLP JSON to protobuf and back, driven by the tables of [`schema`](super::schema).
//!
//! Reading streams: each JSON value is written as protobuf where it stands, and no tree is built in memory. It takes
//! 64-bit integers as strings or numbers, enums as numbers or names, ids as hex or base64, and `null` as absent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{Field, Kind, Message};
use crate::protobuf::{
    Fields, begin_message, end_message, put_fixed32, put_oneof_blob, put_oneof_fixed64, put_oneof_uint,
    put_sint,
};
use crate::{DecodeError, excerpt};

/// Translates a JSON body of type `message` into protobuf.
///
/// # Errors
/// [`DecodeError::Malformed`] with the byte offset.
pub(super) fn to_protobuf(
    format: &'static str,
    message: &'static Message,
    body: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(body.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(MessageVisitor { message, out: &mut out }).and_then(|()| json.end());
    read.map_err(|error| DecodeError::Malformed {
        format,
        offset: offset_of(body, error.line(), error.column()),
        detail: excerpt_of(&error),
    })?;
    Ok(out)
}

/// The byte at a line (from 1) and column (from 0, in bytes).
fn offset_of(body: &[u8], line: usize, column: usize) -> usize {
    let line_starts = body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index + 1);
    let start = line.checked_sub(2).and_then(|index| line_starts.clone().nth(index)).unwrap_or(0);
    (start + column).min(body.len())
}

fn excerpt_of(error: &serde_json::Error) -> String {
    error.to_string().chars().take(300).collect()
}

struct MessageVisitor<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for MessageVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as an object", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(KeySeed(self.message))? {
            match field {
                Some(field) => map.next_value_seed(ValueSeed { field, is_element: false, out: self.out })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds the field that a key names.
struct KeySeed(&'static Message);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a field of {}", self.0.name)
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(key))
    }
}

/// Writes a JSON value as the protobuf field.
struct ValueSeed<'o> {
    field: &'static Field,
    /// Inside the array of a repeated field already.
    is_element: bool,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let array = if self.field.is_repeated && !self.is_element { "an array of " } else { "" };
        let kind = match self.field.kind {
            Kind::Text => "string",
            Kind::Bool => "boolean",
            Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Int64
            | Kind::Fixed64
            | Kind::Sfixed64
            | Kind::Fixed32 => "integer",
            Kind::Double => "number",
            Kind::Id => "id in hex",
            Kind::Blob => "base64",
            Kind::Enum(_) => "enum number or name",
            Kind::Message(message) => message.name,
        };
        write!(f, "{array}{kind} for {:?}", self.field.json)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => put_oneof_uint(self.out, self.field.number, u64::from(value)),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.put_integer(i128::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.put_integer(i128::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            put_oneof_fixed64(self.out, self.field.number, value.to_bits());
            return Ok(());
        }
        // Some encoders write 5.0 or 1e9 for an integer.
        let is_exact_integer = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
        if is_exact_integer {
            return self.put_integer(value as i128);
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let invalid = |this: &Self| E::invalid_value(serde::de::Unexpected::Str(excerpt(text)), this);
        let number = self.field.number;
        match self.field.kind {
            Kind::Text => put_oneof_blob(self.out, number, text.as_bytes()),
            Kind::Id => {
                let bytes = id_bytes(text).ok_or_else(|| invalid(&self))?;
                put_oneof_blob(self.out, number, &bytes);
            }
            Kind::Blob => {
                let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
                put_oneof_blob(self.out, number, &bytes.map_err(|_| invalid(&self))?);
            }
            Kind::Double => {
                let value = double_of(text).ok_or_else(|| invalid(&self))?;
                put_oneof_fixed64(self.out, number, value.to_bits());
            }
            Kind::Enum(names) => {
                let position = names.iter().position(|name| *name == text);
                match (position, text.parse::<u32>()) {
                    (Some(position), _) => put_oneof_uint(self.out, number, position as u64),
                    (None, Ok(value)) => put_oneof_uint(self.out, number, u64::from(value)),
                    (None, Err(_)) => return Err(invalid(&self)),
                }
            }
            Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Int64
            | Kind::Fixed64
            | Kind::Sfixed64
            | Kind::Fixed32 => {
                let value = text.parse::<i128>().map_err(|_| invalid(&self))?;
                return self.put_integer(value);
            }
            Kind::Bool | Kind::Message(_) => return Err(invalid(&self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if !self.field.is_repeated || self.is_element {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let field = self.field;
        while seq.next_element_seed(ValueSeed { field, is_element: true, out: self.out })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        let begun = begin_message(self.out, self.field.number);
        MessageVisitor { message, out: self.out }.visit_map(map)?;
        end_message(self.out, begun);
        Ok(())
    }
}

impl ValueSeed<'_> {
    fn put_integer<E: Error>(self, value: i128) -> Result<(), E> {
        let out_of_range = |this: &Self| E::custom(format_args!("{value} is no {}", Expected(this)));
        let number = self.field.number;
        match self.field.kind {
            Kind::Double => put_oneof_fixed64(self.out, number, (value as f64).to_bits()),
            Kind::Uint32 | Kind::Enum(_) => {
                let value = u32::try_from(value).map_err(|_| out_of_range(&self))?;
                put_oneof_uint(self.out, number, u64::from(value));
            }
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| out_of_range(&self))?;
                put_fixed32(self.out, number, value);
            }
            Kind::Int64 | Kind::Sfixed64 => {
                let bits = i64::try_from(value).map_err(|_| out_of_range(&self))?.cast_unsigned();
                if matches!(self.field.kind, Kind::Int64) {
                    put_oneof_uint(self.out, number, bits);
                } else {
                    put_oneof_fixed64(self.out, number, bits);
                }
            }
            Kind::Uint64 => {
                let value = u64::try_from(value).map_err(|_| out_of_range(&self))?;
                put_oneof_uint(self.out, number, value);
            }
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| out_of_range(&self))?;
                put_sint(self.out, number, i64::from(value));
            }
            Kind::Fixed64 => {
                let value = u64::try_from(value).map_err(|_| out_of_range(&self))?;
                put_oneof_fixed64(self.out, number, value);
            }
            Kind::Text | Kind::Bool | Kind::Id | Kind::Blob | Kind::Message(_) => {
                return Err(out_of_range(&self));
            }
        }
        Ok(())
    }
}

/// What a [`ValueSeed`] expects, printed.
struct Expected<'a, 'o>(&'a ValueSeed<'o>);

impl fmt::Display for Expected<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Visitor::expecting(self.0, f)
    }
}

/// Hex, or the base64 of plain proto-JSON: 8 and 16 bytes are told apart by their length.
fn id_bytes(text: &str) -> Option<Vec<u8>> {
    let is_base64 = matches!(text.len(), 12 | 24) && text.ends_with('=');
    if is_base64 {
        return STANDARD.decode(text).ok();
    }
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(hex_digit(*high)? << 4 | hex_digit(*low)?)).collect()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn double_of(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => number.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Writes protobuf that our encoder made as JSON. Fields come in the order of the table.
pub(super) fn from_protobuf(message: &'static Message, bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    let written = write_message(&mut out, message, &Fields::new("OTLP", bytes));
    debug_assert!(written.is_ok(), "BUG: our own encoding does not decode: {written:?}");
    out
}

fn write_message(
    out: &mut String,
    message: &'static Message,
    fields: &Fields<'_>,
) -> Result<(), DecodeError> {
    out.push('{');
    let mut is_first = true;
    for field in message.fields {
        let mut count = 0;
        let mut rest = fields.clone();
        while let Some(value) = rest.next()? {
            if value.number != field.number {
                continue;
            }
            if count == 0 {
                out.push_str(if std::mem::take(&mut is_first) { "\"" } else { ",\"" });
                out.push_str(field.json);
                out.push_str(if field.is_repeated { "\":[" } else { "\":" });
            } else {
                out.push(',');
            }
            write_value(out, field, &value)?;
            count += 1;
        }
        if count > 0 && field.is_repeated {
            out.push(']');
        }
    }
    out.push('}');
    Ok(())
}

fn write_value(
    out: &mut String,
    field: &'static Field,
    value: &crate::protobuf::Field<'_>,
) -> Result<(), DecodeError> {
    match field.kind {
        Kind::Text => push_json(out, &value.str()?),
        Kind::Bool => push_json(out, &(value.varint()? != 0)),
        Kind::Uint32 | Kind::Enum(_) => push_json(out, &value.varint()?),
        Kind::Int64 => push_json(out, &value.int()?.to_string()),
        Kind::Uint64 => push_json(out, &value.varint()?.to_string()),
        Kind::Sint32 => push_json(out, &value.sint32()?),
        Kind::Fixed64 => push_json(out, &value.fixed64()?.to_string()),
        Kind::Sfixed64 => push_json(out, &value.fixed64()?.cast_signed().to_string()),
        Kind::Fixed32 => push_json(out, &value.fixed32()?),
        Kind::Double => match value.double()? {
            double if double.is_finite() => push_json(out, &double),
            double if double.is_nan() => out.push_str("\"NaN\""),
            double => out.push_str(if double > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
        },
        Kind::Id => {
            let hex: String = value.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
            push_json(out, &hex);
        }
        Kind::Blob => push_json(out, &STANDARD.encode(value.bytes()?)),
        Kind::Message(message) => write_message(out, message, &value.message()?)?,
    }
    Ok(())
}

fn push_json(out: &mut String, value: &impl serde::Serialize) {
    let text = serde_json::to_string(value);
    debug_assert!(text.is_ok(), "BUG: a plain value is always JSON");
    out.push_str(&text.unwrap_or_default());
}
