//! Attribute values.

use std::borrow::Cow;

/// Longest string value in bytes; longer ones are cut at a character.
pub(crate) const STRING_BYTES_MAX: usize = 4096;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Str(Cow<'static, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Value {
    pub(crate) fn limited(self) -> Self {
        match self {
            Self::Str(text) if text.len() > STRING_BYTES_MAX => Self::Str(limit(text)),
            other => other,
        }
    }
}

pub(crate) fn limit(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= STRING_BYTES_MAX {
        return text;
    }
    let end = text.floor_char_boundary(STRING_BYTES_MAX);
    Cow::Owned(text[..end].to_owned())
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

/// Beyond `i64::MAX` the value is `i64::MAX`: OTLP has no larger integer.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Beyond `i64::MAX` the value is `i64::MAX`: OTLP has no larger integer.
impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}
