//! Prometheus remote write 1.0 and 2.0.
//!
//! 204 = all stored. 400 = some samples were refused (the rest is stored) or the body is malformed: the sender must
//! not retry. 503 = nothing is stored: retry after a while. The content type names the version; answers to 2.0 say how
//! much was written.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use model::{Appended, MetricBatch};

use super::body::content_encoding;
use super::{read_body, refuse};
use crate::Api;
use crate::error::ApiError;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

const MESSAGES: [(&str, Version); 2] =
    [("prometheus.WriteRequest", Version::One), ("io.prometheus.write.v2.Request", Version::Two)];

impl Version {
    /// Value of the label `receiver`.
    fn receiver(self) -> &'static str {
        match self {
            Self::One => "remote_write",
            Self::Two => "remote_write_2",
        }
    }
}

pub(crate) async fn write(State(api): State<Api>, request: Request) -> Response {
    let version = match version_of(request.headers()) {
        Ok(version) => version,
        Err(error) => return refuse(&api, Version::One.receiver(), error),
    };
    let mut response = match receive(&api, version, request).await {
        Ok(appended) => answer(version, &appended),
        Err(error) => refuse(&api, version.receiver(), error),
    };
    if version == Version::Two && !response.headers().contains_key(&WRITTEN[0]) {
        note_written(response.headers_mut(), &Appended::default());
    }
    response
}

fn answer(version: Version, appended: &Appended) -> Response {
    let mut response = if appended.rejected.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::BAD_REQUEST, rejection_text(appended)).into_response()
    };
    if version == Version::Two {
        note_written(response.headers_mut(), appended);
    }
    response
}

/// Names of the headers that count what was written: floats, histograms, exemplars.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

fn note_written(headers: &mut HeaderMap, appended: &Appended) {
    let floats = appended.accepted.saturating_sub(appended.accepted_histograms);
    let counts = [floats, appended.accepted_histograms, appended.accepted_exemplars];
    for (name, count) in WRITTEN.into_iter().zip(counts) {
        headers.insert(name, HeaderValue::from(count));
    }
}

async fn receive(api: &Api, version: Version, request: Request) -> Result<Appended, ApiError> {
    let (parts, body) = request.into_parts();
    check_encoding(&parts.headers)?;
    let body = read_body(body, api.limits.body_bytes_max).await?;
    api.ingest(move |api| store(api, version, &body)).await
}

fn store(api: &Api, version: Version, body: &Bytes) -> Result<Appended, ApiError> {
    let limit = api.limits.decoded_bytes_max;
    let decoded = wire::compress::snappy_block(body, limit)?;
    let mut batch = MetricBatch::new();
    let mut rejected = Appended::default();
    let read = match version {
        Version::One => wire::remote_write::decode(&decoded, &mut batch, &mut rejected)?,
        Version::Two => wire::remote_write::decode_v2(&decoded, &mut batch, &mut rejected)?,
    };
    let mut appended = api.metric_sink.append(&batch)?;
    for rejection in rejected.rejected {
        appended.reject(rejection.reason, rejection.count, || rejection.example);
    }
    api.receive().stored(version.receiver(), &appended);
    api.receive().exemplars_refused(version.receiver(), read.exemplars_refused);
    Ok(appended)
}

/// The version that the content type names; none means 1.0.
fn version_of(headers: &HeaderMap) -> Result<Version, ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let refused = || {
        ApiError::UnsupportedMedia(format!(
            "content type {content_type:?} is not accepted: send application/x-protobuf with \
             proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
        ))
    };
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(refused());
    }
    let parameter = |part: &'_ str| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"').to_owned())
    };
    let Some(message) = parts.find_map(parameter) else { return Ok(Version::One) };
    MESSAGES.iter().find(|(name, _)| *name == message).map(|(_, version)| *version).ok_or_else(refused)
}

fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    match content_encoding(headers)? {
        None => Ok(()),
        Some(name) if name.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(other) => Err(ApiError::UnsupportedMedia(format!(
            "content encoding {other:?} is not accepted: send snappy (block format)"
        ))),
    }
}

fn rejection_text(appended: &Appended) -> String {
    let mut text =
        format!("{} samples were not stored, {} were:\n", appended.rejected_count(), appended.accepted);
    for rejection in &appended.rejected {
        text.push_str(&format!(
            "{} x {}: {}\n",
            rejection.count,
            rejection.reason.as_str(),
            rejection.example
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_names_the_version() {
        for (content_type, want) in [
            ("", Some(Version::One)),
            ("application/x-protobuf", Some(Version::One)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Some(Version::One)),
            ("application/x-protobuf; charset=x; Proto=io.prometheus.write.v2.Request", Some(Version::Two)),
            ("application/x-protobuf;proto=io.prometheus.write.v3.Request", None),
            ("application/json", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(version_of(&headers).ok(), want, "{content_type}");
        }
    }

    #[test]
    fn what_was_written_is_counted_by_kind() {
        let appended =
            Appended { accepted: 5, accepted_histograms: 2, accepted_exemplars: 1, rejected: vec![] };
        let response = answer(Version::Two, &appended);
        let counts = WRITTEN.map(|name| response.headers()[name].to_str().expect("a number").to_owned());
        assert_eq!((response.status(), counts), (StatusCode::NO_CONTENT, ["3", "2", "1"].map(str::to_owned)));
        assert!(answer(Version::One, &appended).headers().get(&WRITTEN[0]).is_none());
    }
}
