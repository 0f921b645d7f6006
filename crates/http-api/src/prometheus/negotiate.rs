//! What the client of `/federate` takes: the format and the escaping of names, from `Accept`.
//!
//! Clauses are looked at from the most to the least wanted. Each may name an escaping, and the last one named counts; the
//! first that names a format of ours ends the search. Without one it is text.

use super::escaping::Escaping;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `text/plain`, version 0.0.4.
    Text,
    /// `MetricFamily` messages, each behind its length: also native histograms.
    Protobuf,
}

/// `media/type;name=value;…`.
struct Clause<'a> {
    media: &'a str,
    parameters: &'a str,
}

impl<'a> Clause<'a> {
    fn new(text: &'a str) -> Self {
        let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
        Self { media: media.trim(), parameters }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(candidate, _)| candidate.trim() == name);
        found.map(|(_, value)| value.trim().trim_matches('"'))
    }

    /// 1 where it is not said or can't be read.
    fn quality(&self) -> f32 {
        self.parameter("q").and_then(|text| text.parse().ok()).unwrap_or(1.0)
    }

    fn format(&self) -> Option<Format> {
        let is_protobuf = self.media == "application/vnd.google.protobuf"
            && self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
            && self.parameter("encoding") == Some("delimited");
        let is_text =
            self.media == "text/plain" && matches!(self.parameter("version"), None | Some("" | "0.0.4"));
        match (is_protobuf, is_text) {
            (true, _) => Some(Format::Protobuf),
            (_, true) => Some(Format::Text),
            _ => None,
        }
    }
}

/// Reads `Accept`.
pub(super) fn negotiate(accept: &str) -> (Format, Escaping) {
    let mut clauses: Vec<Clause<'_>> = accept.split(',').map(Clause::new).collect();
    clauses.sort_by(|left, right| right.quality().total_cmp(&left.quality()));
    let mut escaping = Escaping::default();
    for clause in clauses {
        escaping = clause.parameter("escaping").and_then(Escaping::from_name).unwrap_or(escaping);
        if let Some(format) = clause.format() {
            return (format, escaping);
        }
    }
    (Format::Text, escaping)
}

impl Format {
    /// `Content-Type`.
    pub(super) fn media_type(self, escaping: Escaping) -> String {
        let media = match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{media}; escaping={}", escaping.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn the_most_wanted_format_of_ours_wins() {
        let cases = [
            ("", Format::Text, Escaping::Underscores),
            ("*/*", Format::Text, Escaping::Underscores),
            (PROTOBUF, Format::Protobuf, Escaping::Underscores),
            (
                &format!("text/plain;version=0.0.4;q=0.2,{PROTOBUF};q=0.6"),
                Format::Protobuf,
                Escaping::Underscores,
            ),
            (
                &format!("text/plain;q=0.7, {PROTOBUF}; escaping=values; q=0.6"),
                Format::Text,
                Escaping::Underscores,
            ),
            (&format!("{PROTOBUF}; escaping=\"allow-utf-8\""), Format::Protobuf, Escaping::AllowUtf8),
            ("application/vnd.google.protobuf", Format::Text, Escaping::Underscores),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2",
                Format::Text,
                Escaping::AllowUtf8,
            ),
            (
                "application/openmetrics-text;escaping=values;q=0.5,text/plain",
                Format::Text,
                Escaping::Underscores,
            ),
            ("text/plain;version=1.0.0;escaping=dots", Format::Text, Escaping::Dots),
        ];
        for (accept, format, escaping) in cases {
            assert_eq!(negotiate(accept), (format, escaping), "{accept}");
        }
    }
}
