//! Every HTTP and gRPC API of the server: thin handlers between the wire and the seams.
//!
//! ```text
//!  /api/v1/*          Prometheus               prometheus/
//!  /api/v1/write      remote write 1.0         ingest/remote_write.rs
//!  /v1/*, gRPC 4317   OTLP                     ingest/otlp.rs, ingest/grpc.rs
//!  /jaeger/api/*      Jaeger's query JSON      jaeger.rs
//!  /eino/v1/*         ours                     eino.rs
//!  /metrics /-/*      the server itself        own.rs
//!  everything else    the UI, for browsers     pages.rs
//! ```
//! - Handlers parse, call one engine or store on a blocking thread, and write the answer. No state but [`Api`].
//! - Bodies are bounded before and after decompression; what is refused is counted with a reason.
//! - Unknown API paths are 404, never the UI's page.

mod api;
mod eino;
mod error;
mod ingest;
mod jaeger;
mod own;
mod pages;
mod params;
mod prometheus;
mod report_source;

pub use api::{Api, ApiParts, HttpLimits, ServerInfo, StoreAdmin};
pub use error::ApiError;

use axum::Router;

/// Everything, for the main port.
pub fn main_router(api: Api) -> Router {
    Router::new()
        .merge(prometheus::routes())
        .merge(ingest::http_routes())
        .merge(jaeger::routes())
        .merge(eino::routes())
        .merge(own::routes())
        .fallback(pages::page)
        .with_state(api)
}

/// OTLP over HTTP, for its own port.
pub fn otlp_http_router(api: Api) -> Router {
    ingest::http_routes().fallback(pages::not_found).with_state(api)
}

/// OTLP over gRPC, for its own port.
pub fn otlp_grpc_router(api: Api) -> Router {
    ingest::grpc_routes().with_state(api)
}
