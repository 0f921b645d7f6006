//! Spans, as OpenTelemetry defines them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid id {text:?}: {detail}")]
pub struct IdError {
    pub text: String,
    pub detail: &'static str,
}

/// 128 bits that name a trace; never all zero on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// 64 bits that name a span within its trace; never all zero on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// Whether all bits are zero, which no valid trace has.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 16]
    }
}

impl SpanId {
    /// Whether all bits are zero, which no valid span has.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 8]
    }
}

/// Hexadecimal, 1 to 32 digits (shorter ones mean leading zeros, as Jaeger and Tempo write them); dashes of a UUID are skipped.
impl FromStr for TraceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

/// Hexadecimal, 1 to 16 digits.
impl FromStr for SpanId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text).map(Self)
    }
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let error = |detail| IdError { text: text.chars().take(64).collect(), detail };
    let mut bytes = [0; N];
    let mut nibbles = 0;
    for digit in text.bytes().rev().filter(|byte| *byte != b'-') {
        let value = char::from(digit).to_digit(16).ok_or_else(|| error("not hexadecimal"))?;
        let byte = N.checked_sub(1 + nibbles / 2).and_then(|index| bytes.get_mut(index));
        let byte = byte.ok_or_else(|| error("too many digits"))?;
        *byte |= (value as u8) << (4 * (nibbles % 2));
        nibbles += 1;
    }
    if nibbles == 0 { Err(error("empty")) } else { Ok(bytes) }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl serde::Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for SpanId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Role of a span in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    /// OTLP's number.
    pub fn from_otlp(number: u64) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// OTLP's number.
    pub fn to_otlp(self) -> u64 {
        match self {
            Self::Unspecified => 0,
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// Lower-case name as in Jaeger's `span.kind` tag; `""` when unspecified.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// Outcome of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

/// Outcome of a span with the reason of an error.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SpanStatus {
    pub code: StatusCode,
    pub message: Arc<str>,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    Empty,
    String(Arc<str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Arc<[u8]>),
    Array(Vec<AttributeValue>),
    Map(Attributes),
}

/// Key-value pairs in the order of the wire; keys should be unique, the first one counts.
pub type Attributes = Vec<(Arc<str>, AttributeValue)>;

/// Value of the attribute `key`, if present.
pub fn attribute<'a>(attributes: &'a [(Arc<str>, AttributeValue)], key: &str) -> Option<&'a AttributeValue> {
    attributes.iter().find(|(candidate, _)| &**candidate == key).map(|(_, value)| value)
}

impl AttributeValue {
    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl AttributeValue {
    /// Whether the value, or one element of an array, is written like `text`.
    pub fn reads_as(&self, text: &str) -> bool {
        match self {
            Self::String(value) => &**value == text,
            Self::Array(values) => {
                values.iter().any(|value| value.reads_as(text)) || self.to_string().as_str() == text
            }
            other => other.to_string().as_str() == text,
        }
    }
}

/// Plain text as users search for it: strings without quotes, arrays and maps as JSON-like text.
impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::String(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Bytes(bytes) => write_hex(f, bytes),
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { "," }, Quoted(value))?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key:?}:{}", if index == 0 { "" } else { "," }, Quoted(value))?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Quoted<'a>(&'a AttributeValue);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AttributeValue::String(text) => write!(f, "{text:?}"),
            other => other.fmt(f),
        }
    }
}

/// Who produced the spans: a service instance. `service` is the attribute `service.name`, or `unknown_service`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub service: Arc<str>,
    pub attributes: Attributes,
}

impl Resource {
    /// A resource of these attributes.
    pub fn new(attributes: Attributes) -> Self {
        let service = attribute(&attributes, "service.name").and_then(AttributeValue::as_str);
        let service = service.filter(|name| !name.is_empty()).unwrap_or("unknown_service").into();
        Self { service, attributes }
    }
}

/// The instrumentation library that made the spans.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Scope {
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub attributes: Attributes,
}

/// Something that happened during a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    pub time_ns: u64,
    pub name: Arc<str>,
    pub attributes: Attributes,
    pub dropped_attributes: u32,
}

/// A span of this or another trace that this one relates to.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub trace_state: Arc<str>,
    pub attributes: Attributes,
    pub flags: u32,
}

/// One operation of one service, `start_ns <= end_ns`, Unix nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    pub trace_state: Arc<str>,
    pub flags: u32,
    pub name: Arc<str>,
    pub kind: SpanKind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub status: SpanStatus,
    pub attributes: Attributes,
    pub events: Vec<SpanEvent>,
    pub links: Vec<SpanLink>,
    pub dropped_attributes: u32,
    pub dropped_events: u32,
    pub dropped_links: u32,
    pub resource: Arc<Resource>,
    pub scope: Arc<Scope>,
}

impl Span {
    /// Service that made the span.
    pub fn service(&self) -> &Arc<str> {
        &self.resource.service
    }

    /// `end - start`.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Value of the span's own attribute `key`.
    pub fn attribute(&self, key: &str) -> Option<&AttributeValue> {
        attribute(&self.attributes, key)
    }

    /// Whether the status is an error.
    pub fn is_error(&self) -> bool {
        self.status.code == StatusCode::Error
    }
}

/// Spans of one request.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    pub spans: Vec<Arc<Span>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_and_write_hex() {
        let id: TraceId = "463ac35c9f6413ad48485a3953bb6124".parse().expect("valid");
        assert_eq!(id.to_string(), "463ac35c9f6413ad48485a3953bb6124");
        assert_eq!(
            "2f".parse::<SpanId>().expect("short ids have leading zeros").to_string(),
            "000000000000002f"
        );
        let uuid: TraceId = "463ac35c-9f64-13ad-4848-5a3953bb6124".parse().expect("dashes are skipped");
        assert_eq!(uuid, id);
    }

    #[test]
    fn bad_ids_say_why() {
        assert_eq!("xyz".parse::<TraceId>().expect_err("not hex").detail, "not hexadecimal");
        assert_eq!("".parse::<SpanId>().expect_err("empty").detail, "empty");
        assert_eq!("12345678901234567".parse::<SpanId>().expect_err("17 digits").detail, "too many digits");
    }

    #[test]
    fn resource_knows_its_service() {
        let named = Resource::new(vec![("service.name".into(), AttributeValue::String("shop".into()))]);
        assert_eq!(&*named.service, "shop");
        assert_eq!(&*Resource::new(Vec::new()).service, "unknown_service");
    }
}
