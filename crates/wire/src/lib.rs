//! Decoders and encoders of wire formats: exposition text, remote write, OTLP.
