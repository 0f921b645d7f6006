//! Exposition formats: what we ask for in `Accept`, and what a `Content-Type` means.

/// A format that a target may answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeProtocol {
    OpenMetricsText1_0_0,
    OpenMetricsText0_0_1,
    PrometheusText1_0_0,
    PrometheusText0_0_4,
    PrometheusProto,
}

const ALL: [(ScrapeProtocol, &str, &str); 5] = [
    (
        ScrapeProtocol::OpenMetricsText0_0_1,
        "OpenMetricsText0.0.1",
        "application/openmetrics-text;version=0.0.1",
    ),
    (
        ScrapeProtocol::OpenMetricsText1_0_0,
        "OpenMetricsText1.0.0",
        "application/openmetrics-text;version=1.0.0",
    ),
    (
        ScrapeProtocol::PrometheusProto,
        "PrometheusProto",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ),
    (ScrapeProtocol::PrometheusText0_0_4, "PrometheusText0.0.4", "text/plain;version=0.0.4"),
    (ScrapeProtocol::PrometheusText1_0_0, "PrometheusText1.0.0", "text/plain;version=1.0.0"),
];

impl ScrapeProtocol {
    /// The formats asked for when settings name none, best first. Only protobuf has native histograms.
    pub fn defaults(native_histograms: bool) -> Vec<Self> {
        let text = [
            Self::OpenMetricsText1_0_0,
            Self::OpenMetricsText0_0_1,
            Self::PrometheusText1_0_0,
            Self::PrometheusText0_0_4,
        ];
        native_histograms.then_some(Self::PrometheusProto).into_iter().chain(text).collect()
    }

    /// Reads the name used in settings.
    ///
    /// # Errors
    /// A sentence that names the known formats.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|(_, known, _)| *known == name).map(|(protocol, ..)| *protocol);
        found.ok_or_else(|| {
            let known = ALL.map(|(_, known, _)| known).join(" ");
            format!("unknown scrape protocol {name}, supported: [{known}]")
        })
    }

    /// Reads a list without repetition.
    ///
    /// # Errors
    /// A sentence that names the format.
    pub fn parse_list(names: &[String]) -> Result<Vec<Self>, String> {
        let mut protocols = Vec::new();
        for name in names {
            let protocol = Self::parse(name).map_err(|error| format!("scrape_protocols: {error}"))?;
            if protocols.contains(&protocol) {
                return Err(format!("duplicated protocol in scrape_protocols, got [{}]", names.join(" ")));
            }
            protocols.push(protocol);
        }
        if protocols.is_empty() {
            return Err("scrape_protocols cannot be empty".to_owned());
        }
        Ok(protocols)
    }

    /// The name used in settings.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(protocol, ..)| *protocol == self).map_or("", |(_, name, _)| name)
    }

    fn media_type(self) -> &'static str {
        ALL.iter().find(|(protocol, ..)| *protocol == self).map_or("", |(_, _, media_type)| media_type)
    }

    fn format(self) -> PageFormat {
        match self {
            Self::OpenMetricsText1_0_0 | Self::OpenMetricsText0_0_1 => {
                PageFormat::Text(wire::text::Format::OpenMetrics)
            }
            Self::PrometheusText1_0_0 | Self::PrometheusText0_0_4 => {
                PageFormat::Text(wire::text::Format::Text004)
            }
            Self::PrometheusProto => PageFormat::Protobuf,
        }
    }
}

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFormat {
    Text(wire::text::Format),
    Protobuf,
}

/// The `Accept` header: the formats with descending weight, then anything. Those that know how names may be escaped are
/// told how we want them.
pub(crate) fn accept_header(protocols: &[ScrapeProtocol], escaping: &str) -> String {
    let mut weight = ALL.len() + 1;
    let mut out = String::new();
    for protocol in protocols {
        out.push_str(protocol.media_type());
        if matches!(protocol, ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::PrometheusText1_0_0) {
            out.push_str(";escaping=");
            out.push_str(escaping);
        }
        out.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    out.push_str(&format!("*/*;q=0.{weight}"));
    out
}

/// The format of an answer. As in Prometheus 3, a missing or unknown `Content-Type` fails the scrape unless the job
/// names a fallback.
///
/// # Errors
/// A sentence that names the content type.
pub(crate) fn format_of(
    content_type: Option<&str>,
    fallback: Option<ScrapeProtocol>,
) -> Result<PageFormat, String> {
    if let Some(format) = wire::text::format_of(content_type) {
        return Ok(PageFormat::Text(format));
    }
    if content_type.is_some_and(wire::exposition::is_content_type) {
        return Ok(PageFormat::Protobuf);
    }
    let given = content_type.map(str::trim).filter(|text| !text.is_empty());
    match (fallback.map(ScrapeProtocol::format), given) {
        (Some(format), _) => Ok(format),
        (None, Some(text)) => Err(format!(
            "received unsupported Content-Type {text:?} and no fallback_scrape_protocol specified for target"
        )),
        (None, None) => {
            Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol \
                             specified for target"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_header_has_descending_weights() {
        assert_eq!(
            accept_header(
                &[
                    ScrapeProtocol::PrometheusProto,
                    ScrapeProtocol::OpenMetricsText1_0_0,
                    ScrapeProtocol::PrometheusText0_0_4
                ],
                "dots"
            ),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=dots;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
        );
    }

    #[test]
    fn a_content_type_is_needed_unless_there_is_a_fallback() {
        let fallback = Some(ScrapeProtocol::PrometheusText0_0_4);
        assert!(format_of(Some("text/plain; version=0.0.4"), None).is_ok());
        let protobuf =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        assert_eq!(format_of(Some(protobuf), None), Ok(PageFormat::Protobuf));
        assert!(format_of(Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), None).is_ok());
        assert!(format_of(None, None).expect_err("blank").contains("blank Content-Type"));
        assert!(format_of(Some("text/html"), None).expect_err("unknown").contains(r#""text/html""#));
        assert!(format_of(None, fallback).is_ok() && format_of(Some("text/html"), fallback).is_ok());
    }
}
