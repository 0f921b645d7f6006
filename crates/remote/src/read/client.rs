//! One server that is asked.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_client::{Body, ClientError, HttpClient, read_body};
use model::{LabelSet, Matcher, SampleColumns, TimeRange};
use wire::remote_read::{FrameReader, Query, ReadRequest, Series, decode_response, encode_request};

use crate::ReadConfig;

/// Most bytes of one answer, compressed or streamed.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Most bytes of one answer after decompression.
const DECODED_BYTES_MAX: usize = 1 << 30;

pub(super) struct ReadClient {
    config: ReadConfig,
    client: Result<HttpClient, ClientError>,
}

impl ReadClient {
    pub(super) fn new(config: ReadConfig) -> Self {
        let client = HttpClient::new(&config.http);
        Self { config, client }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    /// What of the range this server is asked for; `None` for nothing.
    pub(super) fn range(
        &self,
        matchers: &[Matcher],
        range_ms: TimeRange,
        local_start_ms: impl FnOnce() -> Option<i64>,
    ) -> Option<TimeRange> {
        let has = |required: &Matcher| matchers.contains(required);
        if !self.config.required_matchers.iter().all(has) {
            return None;
        }
        let end = match local_start_ms().filter(|_| !self.config.read_recent) {
            Some(local_start_ms) => range_ms.end.min(local_start_ms),
            None => range_ms.end,
        };
        (range_ms.start < end).then_some(TimeRange { start: range_ms.start, end })
    }

    /// The series that the server answers, ascending by labels.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Series, String> {
        match tokio::time::timeout(self.config.timeout, self.ask(matchers, range_ms)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {}", stdx::format_duration(self.config.timeout))),
        }
    }

    async fn ask(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Series, String> {
        let client = self.client.as_ref().map_err(ToString::to_string)?;
        let response =
            client.send(self.request(matchers, range_ms)?).await.map_err(|error| error.to_string())?;
        let status = response.status();
        if !status.is_success() {
            let said = read_body(response.into_body(), 64 << 10).await.unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().take(200).collect();
            return Err(format!("answered {status}: {}", said.trim()));
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_streamed =
            content_type.is_some_and(|text| text.starts_with("application/x-streamed-protobuf"));
        let series = if is_streamed { self.streamed(response).await? } else { sampled(response).await? };
        Ok(in_order(
            series.into_iter().map(|(labels, columns)| (self.without_external(labels), columns)).collect(),
        ))
    }

    fn request(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Request<Bytes>, String> {
        let mut asked = matchers.to_vec();
        for (name, value) in self.config.external_labels.iter() {
            // A selector that speaks of the label itself says what it wants.
            if !asked.iter().any(|matcher| matcher.name() == name) {
                asked.push(Matcher::equal(name, value));
            }
        }
        let query =
            Query { start_ms: range_ms.start, end_ms: range_ms.end.saturating_sub(1), matchers: asked };
        let body = encode_request(&ReadRequest { queries: vec![query], accepts_chunks: true });
        let mut request = Request::post(&self.config.url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header(ACCEPT_ENCODING, "snappy")
            .header("x-prometheus-remote-read-version", "0.1.0");
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        let compressed = wire::compress::to_snappy_block(&body)?;
        request.body(Bytes::from(compressed)).map_err(|error| format!("the request cannot be made: {error}"))
    }

    async fn streamed(&self, response: Response<Body>) -> Result<Series, String> {
        let mut reader = FrameReader::new(self.config.frame_bytes_max);
        let (mut body, mut series, mut bytes) = (response.into_body(), Series::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.to_string())?;
            let Ok(data) = frame.into_data() else { continue };
            bytes += data.len();
            if bytes > ANSWER_BYTES_MAX {
                return Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"));
            }
            let mut add = |part: wire::remote_read::StreamedSeries| match series.last_mut() {
                Some((labels, columns)) if *labels == part.labels => append(columns, part.columns),
                _ => series.push((part.labels, part.columns)),
            };
            reader.push(&data, &mut add).map_err(|error| error.to_string())?;
        }
        if reader.is_at_end() { Ok(series) } else { Err("the answer ends inside a frame".to_owned()) }
    }

    /// External labels that the server has with our value are not part of the series here.
    fn without_external(&self, labels: LabelSet) -> LabelSet {
        let external = &self.config.external_labels;
        if external.is_empty() {
            return labels;
        }
        labels.filtered(|name| external.get(name).is_none() || external.get(name) != labels.get(name))
    }
}

async fn sampled(response: Response<Body>) -> Result<Series, String> {
    let body = read_body(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let decoded =
        wire::compress::snappy_block(&body, DECODED_BYTES_MAX).map_err(|error| error.to_string())?;
    let results = decode_response(&decoded).map_err(|error| error.to_string())?;
    results.into_iter().next().ok_or_else(|| "the answer has no result".to_owned())
}

fn append(columns: &mut SampleColumns, more: SampleColumns) {
    for (ts_ms, value) in more.ts_ms.into_iter().zip(more.values) {
        columns.push(ts_ms, value);
    }
    columns.histograms.extend(more.histograms);
}

/// Series ascending by labels, samples by time: what the seam promises is not left to the peer.
fn in_order(mut series: Series) -> Series {
    series.sort_by(|(left, _), (right, _)| left.cmp(right));
    series.dedup_by(|(later, more), (first, columns)| {
        let is_same = later == first;
        if is_same {
            append(columns, std::mem::take(more));
        }
        is_same
    });
    for (_, columns) in &mut series {
        if !columns.ts_ms.is_sorted_by(|left, right| left < right) {
            let mut pairs: Vec<_> =
                columns.ts_ms.iter().copied().zip(columns.values.iter().copied()).collect();
            pairs.sort_by_key(|(ts_ms, _)| *ts_ms);
            pairs.dedup_by_key(|(ts_ms, _)| *ts_ms);
            (columns.ts_ms, columns.values) = pairs.into_iter().unzip();
        }
        columns.histograms.sort_by_key(|sample| sample.ts_ms);
        columns.histograms.dedup_by_key(|sample| sample.ts_ms);
    }
    series
}
