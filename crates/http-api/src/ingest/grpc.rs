//! OTLP over gRPC. Messages pass as raw bytes: `wire` walks them, so no generated code is needed.

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post;
use bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};

use super::otlp::{Encoding, Signal, response_body, store};
use crate::Api;
use crate::error::ApiError;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(TRACES, post(|state, request| export(state, Signal::Traces, request)))
        .route(METRICS, post(|state, request| export(state, Signal::Metrics, request)))
        .route(LOGS, post(|state, request| export(state, Signal::Logs, request)))
        .fallback(unimplemented)
}

async fn export(
    State(api): State<Api>,
    signal: Signal,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let limit = api.limits.decoded_bytes_max;
    let mut grpc = Grpc::new(RawCodec)
        .max_decoding_message_size(limit)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip);
    grpc.unary(Export { api, signal }, request).await
}

async fn unimplemented() -> http::Response<tonic::body::Body> {
    tonic::Status::unimplemented("this port speaks OTLP only: TraceService, MetricsService, LogsService")
        .into_http()
}

struct Export {
    api: Api,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = futures_util::future::BoxFuture<'static, Result<tonic::Response<Bytes>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (api, signal) = (self.api.clone(), self.signal);
        Box::pin(async move {
            let receiver = signal.receiver(true);
            let message = request.into_inner();
            let stored =
                api.ingest(move |api| store(api, signal, Encoding::Protobuf, &message, receiver)).await;
            match stored {
                Ok(appended) => {
                    Ok(tonic::Response::new(response_body(signal, Encoding::Protobuf, &appended).into()))
                }
                Err(error) => {
                    api.receive().refused(receiver, &error);
                    Err(status(&error))
                }
            }
        })
    }
}

fn status(error: &ApiError) -> tonic::Status {
    tonic::Status::new(error.grpc_code(), error.message())
}

/// Passes messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}
