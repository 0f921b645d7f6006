//! Prometheus remote read: `POST /api/v1/read`.
//!
//! ```text
//! accepts chunks:  series by series ─▶ frames ─▶ queue of FRAMES_WAITING ─▶ socket     one series is held at a time
//! otherwise:       all series ─▶ one snappy block                                      bounded by samples and bytes
//! ```
//! External labels are added to what is answered and taken out of what is asked, as Prometheus does: whoever reads from
//! several servers tells them apart by these labels.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream;
use http::{StatusCode, header};
use model::{LabelSet, MatchOp, Matcher, SampleColumns, SeriesSet, TimeRange};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wire::remote_read::{Query, ReadRequest, STREAMED, decode_request, frames, put_result, put_series};

use crate::Api;
use crate::error::ApiError;
use crate::ingest::{read_body, refuse};
use crate::query_gate::Ticket;

const RECEIVER: &str = "remote_read";
const FRAMES_WAITING: usize = 4;
/// Largest answer that is made whole; larger ones are for clients that accept a stream.
const SAMPLED_BYTES_MAX: usize = 256 << 20;

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/read", post(read))
}

async fn read(State(api): State<Api>, request: Request) -> Response {
    let answered = match asked(&api, request).await {
        Ok(request) if request.accepts_chunks => streamed(&api, request).await,
        Ok(request) => sampled(&api, request).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| refuse(&api, RECEIVER, error))
}

async fn asked(api: &Api, request: Request) -> Result<ReadRequest, ApiError> {
    let body = read_body(request.into_body(), api.limits.body_bytes_max).await?;
    let decoded = wire::compress::snappy_block(&body, api.limits.decoded_bytes_max)?;
    Ok(decode_request(&decoded)?)
}

/// What a query selects, and the labels that are added to it.
struct Selection {
    series: Box<dyn SeriesSet>,
    external: LabelSet,
}

impl Selection {
    fn of(api: &Api, query: &Query) -> Result<Self, ApiError> {
        let external = api.live.config().external_labels.clone();
        let is_external = |matcher: &&Matcher| {
            matcher.op() == MatchOp::Equal && external.get(matcher.name()) == Some(matcher.value())
        };
        let matchers: Vec<Matcher> =
            query.matchers.iter().filter(|matcher| !is_external(matcher)).cloned().collect();
        let range_ms = TimeRange { start: query.start_ms, end: query.end_ms.saturating_add(1) };
        let series = api.metric_source.select(&matchers, range_ms)?;
        Ok(Self { series, external })
    }

    /// Labels and samples of series `index`.
    fn read(&self, index: usize, columns: &mut SampleColumns) -> Result<LabelSet, ApiError> {
        self.series.read(index, columns)?;
        let labels = self.series.labels(index);
        if self.external.is_empty() {
            return Ok(labels.clone());
        }
        let mut merged = labels.to_builder();
        for (name, value) in self.external.iter() {
            if labels.get(name).is_none() {
                merged.set(name, value);
            }
        }
        Ok(merged.build())
    }
}

async fn sampled(api: &Api, request: ReadRequest) -> Result<Response, ApiError> {
    let body = api.query(move |api| sampled_body(api, &request)).await?;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((StatusCode::OK, headers, body).into_response())
}

fn sampled_body(api: &Api, request: &ReadRequest) -> Result<Vec<u8>, ApiError> {
    let samples_max = api.engine.config().samples_max;
    let (mut out, mut samples) = (Vec::new(), 0_u64);
    let mut columns = SampleColumns::default();
    for query in &request.queries {
        let selection = Selection::of(api, query)?;
        let mut result = Vec::new();
        for index in 0..selection.series.len() {
            let labels = selection.read(index, &mut columns)?;
            samples += columns.len() as u64;
            if samples > samples_max {
                return Err(ApiError::BadData(format!(
                    "exceeded sample limit ({samples_max}, limits.query_samples): ask for less, or accept streamed chunks"
                )));
            }
            if !columns.is_empty() {
                put_series(&mut result, labels.as_ref(), &columns);
            }
            if out.len() + result.len() > SAMPLED_BYTES_MAX {
                return Err(ApiError::BadData(format!(
                    "the answer is larger than {SAMPLED_BYTES_MAX} bytes: ask for less, or accept streamed chunks"
                )));
            }
        }
        put_result(&mut out, |out| out.append(&mut result));
    }
    wire::compress::to_snappy_block(&out).map_err(ApiError::Internal)
}

async fn streamed(api: &Api, request: ReadRequest) -> Result<Response, ApiError> {
    let (ticket, watch) = api.query_ticket().await?;
    let (sender, receiver) = mpsc::channel(FRAMES_WAITING);
    let api = api.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send_frames(&api, &request, &ticket, &sender) {
            // The status is sent already: a broken connection tells that the answer is not complete.
            tracing::warn!(error = error.message(), "a remote read was broken off");
            let broken = std::io::Error::other("the answer cannot be completed");
            let _gone = Handle::current().block_on(sender.send(Err(broken))).is_err();
        }
    });
    let body = stream::unfold((receiver, watch), |(mut receiver, watch)| async move {
        receiver.recv().await.map(|frame: Result<Bytes, std::io::Error>| (frame, (receiver, watch)))
    });
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, STREAMED)], Body::from_stream(body)).into_response())
}

fn send_frames(
    api: &Api,
    request: &ReadRequest,
    ticket: &Ticket,
    sender: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> Result<(), ApiError> {
    let mut columns = SampleColumns::default();
    for (query_index, query) in request.queries.iter().enumerate() {
        let selection = Selection::of(api, query)?;
        for index in 0..selection.series.len() {
            if ticket.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(());
            }
            let labels = selection.read(index, &mut columns)?;
            for frame in frames(query_index, &labels, &columns) {
                let waited =
                    tokio::time::timeout(api.limits.answer_stall, sender.send(Ok(Bytes::from(frame))));
                match Handle::current().block_on(waited) {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(ApiError::Timeout("the client takes nothing".to_owned())),
                }
            }
        }
    }
    Ok(())
}
