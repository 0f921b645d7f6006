//! Spans with sampling decided first; batched OTLP export.
