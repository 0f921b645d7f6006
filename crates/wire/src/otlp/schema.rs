//! The OTLP messages as tables: field number, JSON name and type, side by side.
//!
//! Only what this program reads is listed; unknown JSON fields are ignored, as unknown protobuf fields are. JSON names
//! are lowerCamelCase; [`Message::field`] takes snake_case too.

/// A message type.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a message type.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) json: &'static str,
    pub(super) kind: Kind,
    pub(super) is_repeated: bool,
}

/// Type of a field: how it looks in protobuf and in JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Bool,
    /// varint; JSON number
    Uint32,
    /// varint; JSON string
    Int64,
    /// varint, unsigned; JSON string
    Uint64,
    /// zigzag varint; JSON number
    Sint32,
    /// 8 bytes; JSON string
    Fixed64,
    /// 8 bytes, signed; JSON string
    Sfixed64,
    /// 4 bytes; JSON number
    Fixed32,
    /// 8 bytes; JSON number, or `"NaN"`, `"Infinity"`, `"-Infinity"`
    Double,
    /// bytes; JSON hex (OTLP's exception: trace and span ids)
    Id,
    /// bytes; JSON base64
    Blob,
    /// varint; JSON number. Names are accepted too, by their place in the list.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

impl Message {
    /// The field of this JSON name, in lowerCamelCase or snake_case.
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.json == key || is_snake_case_of(key, field.json))
    }
}

/// `start_time_unix_nano` is the snake_case of `startTimeUnixNano`.
fn is_snake_case_of(snake: &str, camel: &str) -> bool {
    if !snake.contains('_') {
        return false;
    }
    let mut upper_next = false;
    let folded = snake.bytes().filter_map(|byte| match byte {
        b'_' => {
            upper_next = true;
            None
        }
        _ => Some(if std::mem::take(&mut upper_next) { byte.to_ascii_uppercase() } else { byte }),
    });
    folded.eq(camel.bytes())
}

const fn one(number: u32, json: &'static str, kind: Kind) -> Field {
    Field { number, json, kind, is_repeated: false }
}

const fn many(number: u32, json: &'static str, kind: Kind) -> Field {
    Field { number, json, kind, is_repeated: true }
}

const SPAN_KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const TEMPORALITIES: &[&str] = &[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        one(1, "stringValue", Kind::Text),
        one(2, "boolValue", Kind::Bool),
        one(3, "intValue", Kind::Int64),
        one(4, "doubleValue", Kind::Double),
        one(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
        one(6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        one(7, "bytesValue", Kind::Blob),
    ],
};
static ARRAY_VALUE: Message =
    Message { name: "ArrayValue", fields: &[many(1, "values", Kind::Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Message =
    Message { name: "KeyValueList", fields: &[many(1, "values", Kind::Message(&KEY_VALUE))] };
static KEY_VALUE: Message = Message {
    name: "KeyValue",
    fields: &[one(1, "key", Kind::Text), one(2, "value", Kind::Message(&ANY_VALUE))],
};
static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Kind::Uint32),
    ],
};
static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        one(1, "name", Kind::Text),
        one(2, "version", Kind::Text),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Kind::Uint32),
    ],
};

/// `ExportTraceServiceRequest`, and `TracesData` alike.
pub(super) static TRACES: Message = Message {
    name: "ExportTraceServiceRequest",
    fields: &[many(1, "resourceSpans", Kind::Message(&RESOURCE_SPANS))],
};
static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeSpans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", Kind::Text),
    ],
};
static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "spans", Kind::Message(&SPAN)),
        one(3, "schemaUrl", Kind::Text),
    ],
};
static SPAN: Message = Message {
    name: "Span",
    fields: &[
        one(1, "traceId", Kind::Id),
        one(2, "spanId", Kind::Id),
        one(3, "traceState", Kind::Text),
        one(4, "parentSpanId", Kind::Id),
        one(5, "name", Kind::Text),
        one(6, "kind", Kind::Enum(SPAN_KINDS)),
        one(7, "startTimeUnixNano", Kind::Fixed64),
        one(8, "endTimeUnixNano", Kind::Fixed64),
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Kind::Uint32),
        many(11, "events", Kind::Message(&EVENT)),
        one(12, "droppedEventsCount", Kind::Uint32),
        many(13, "links", Kind::Message(&LINK)),
        one(14, "droppedLinksCount", Kind::Uint32),
        one(15, "status", Kind::Message(&STATUS)),
        one(16, "flags", Kind::Fixed32),
    ],
};
static EVENT: Message = Message {
    name: "Event",
    fields: &[
        one(1, "timeUnixNano", Kind::Fixed64),
        one(2, "name", Kind::Text),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Kind::Uint32),
    ],
};
static LINK: Message = Message {
    name: "Link",
    fields: &[
        one(1, "traceId", Kind::Id),
        one(2, "spanId", Kind::Id),
        one(3, "traceState", Kind::Text),
        many(4, "attributes", Kind::Message(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Kind::Uint32),
        one(6, "flags", Kind::Fixed32),
    ],
};
static STATUS: Message = Message {
    name: "Status",
    fields: &[one(2, "message", Kind::Text), one(3, "code", Kind::Enum(STATUS_CODES))],
};

/// `ExportMetricsServiceRequest`.
pub(super) static METRICS: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[many(1, "resourceMetrics", Kind::Message(&RESOURCE_METRICS))],
};
static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scopeMetrics", Kind::Message(&SCOPE_METRICS)),
    ],
};
static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "metrics", Kind::Message(&METRIC)),
        one(3, "schemaUrl", Kind::Text),
    ],
};
static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        one(1, "name", Kind::Text),
        one(2, "description", Kind::Text),
        one(3, "unit", Kind::Text),
        one(5, "gauge", Kind::Message(&NUMBERS)),
        one(7, "sum", Kind::Message(&NUMBERS)),
        one(9, "histogram", Kind::Message(&HISTOGRAM)),
        one(10, "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", Kind::Message(&SUMMARY)),
    ],
};
/// `Gauge` and `Sum`: a gauge has only the points.
static NUMBERS: Message = Message {
    name: "Sum",
    fields: &[
        many(1, "dataPoints", Kind::Message(&NUMBER_POINT)),
        one(2, "aggregationTemporality", Kind::Enum(TEMPORALITIES)),
        one(3, "isMonotonic", Kind::Bool),
    ],
};
static NUMBER_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Kind::Fixed64),
        one(3, "timeUnixNano", Kind::Fixed64),
        one(4, "asDouble", Kind::Double),
        many(5, "exemplars", Kind::Message(&EXEMPLAR)),
        one(6, "asInt", Kind::Sfixed64),
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", Kind::Uint32),
    ],
};
static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        many(1, "dataPoints", Kind::Message(&HISTOGRAM_POINT)),
        one(2, "aggregationTemporality", Kind::Enum(TEMPORALITIES)),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Kind::Fixed64),
        one(3, "timeUnixNano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        many(6, "bucketCounts", Kind::Fixed64),
        many(7, "explicitBounds", Kind::Double),
        many(8, "exemplars", Kind::Message(&EXEMPLAR)),
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "flags", Kind::Uint32),
    ],
};
static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        one(2, "timeUnixNano", Kind::Fixed64),
        one(3, "asDouble", Kind::Double),
        one(4, "spanId", Kind::Id),
        one(5, "traceId", Kind::Id),
        one(6, "asInt", Kind::Sfixed64),
        many(7, "filteredAttributes", Kind::Message(&KEY_VALUE)),
    ],
};
static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        many(1, "dataPoints", Kind::Message(&EXPONENTIAL_POINT)),
        one(2, "aggregationTemporality", Kind::Enum(TEMPORALITIES)),
    ],
};
static EXPONENTIAL_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Kind::Fixed64),
        one(3, "timeUnixNano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        one(6, "scale", Kind::Sint32),
        one(7, "zeroCount", Kind::Fixed64),
        one(8, "positive", Kind::Message(&EXPONENTIAL_BUCKETS)),
        one(9, "negative", Kind::Message(&EXPONENTIAL_BUCKETS)),
        one(10, "flags", Kind::Uint32),
        many(11, "exemplars", Kind::Message(&EXEMPLAR)),
        one(14, "zeroThreshold", Kind::Double),
    ],
};
static EXPONENTIAL_BUCKETS: Message = Message {
    name: "Buckets",
    fields: &[one(1, "offset", Kind::Sint32), many(2, "bucketCounts", Kind::Uint64)],
};
static SUMMARY: Message =
    Message { name: "Summary", fields: &[many(1, "dataPoints", Kind::Message(&SUMMARY_POINT))] };
static SUMMARY_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Kind::Fixed64),
        one(3, "timeUnixNano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        many(6, "quantileValues", Kind::Message(&QUANTILE)),
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", Kind::Uint32),
    ],
};
static QUANTILE: Message = Message {
    name: "ValueAtQuantile",
    fields: &[one(1, "quantile", Kind::Double), one(2, "value", Kind::Double)],
};

/// `ExportLogsServiceRequest`, as deep as counting needs.
pub(super) static LOGS: Message = Message {
    name: "ExportLogsServiceRequest",
    fields: &[many(1, "resourceLogs", Kind::Message(&RESOURCE_LOGS))],
};
static RESOURCE_LOGS: Message =
    Message { name: "ResourceLogs", fields: &[many(2, "scopeLogs", Kind::Message(&SCOPE_LOGS))] };
static SCOPE_LOGS: Message =
    Message { name: "ScopeLogs", fields: &[many(2, "logRecords", Kind::Message(&UNREAD))] };
static UNREAD: Message = Message { name: "item", fields: &[] };
