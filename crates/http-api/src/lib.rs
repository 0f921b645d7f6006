//! Every HTTP and gRPC API of the server: thin handlers between the wire and the seams.
//!
//! ```text
//!  /api/v1/*          Prometheus               prometheus/
//!  /api/v1/write      remote write 1.0, 2.0    ingest/remote_write.rs
//!  /api/v1/read       remote read              remote_read.rs
//!  /v1/*, gRPC 4317   OTLP                     ingest/otlp.rs, ingest/grpc.rs
//!  /jaeger/api/*      Jaeger's query JSON      jaeger.rs
//!  /eino/v1/*         ours                     eino.rs, explain.rs; written down in openapi.json
//!  /metrics /-/*      the server itself        own.rs
//!  everything else    the UI, for browsers     pages.rs
//! ```
//! - Handlers parse, call one engine or store on a blocking thread, and write the answer. No state but [`Api`].
//! - Bodies are bounded before and after decompression; what is refused is counted with a reason.
//! - Answers are written while they are sent ([`outlet`]) and compressed on the way ([`compress`]); a client that
//!   leaves ends its query ([`query_gate`]).
//! - Unknown API paths are 404, never the UI's page.

mod admin;
mod api;
mod compress;
mod cors;
mod eino;
mod error;
mod explain;
mod gate;
mod ingest;
mod jaeger;
mod live;
mod outlet;
mod own;
mod pages;
mod params;
mod prometheus;
mod query_gate;
mod remote_read;
mod report_source;

pub use admin::{
    BlockCompaction, BlockStats, BlockStatus, HeadStats, MetricStats, NamedCount, Pending, ProcessControl,
    StoreAdmin,
};
pub use api::{Api, ApiParts, HttpLimits, ServerInfo, WebSettings};
pub use cors::CorsOrigin;
pub use error::ApiError;
pub use gate::Gate;
pub use live::{Live, LoadedConfig, Notice, Replay};

use axum::{Router, middleware};

/// Everything, for the main port.
pub fn main_router(api: Api) -> Router {
    Router::new()
        .merge(prometheus::routes())
        .merge(ingest::http_routes())
        .merge(remote_read::routes())
        .merge(jaeger::routes())
        .merge(eino::routes())
        .merge(own::routes())
        .fallback(pages::page)
        .layer(middleware::from_fn_with_state(api.clone(), cors::answer))
        .layer(middleware::from_fn(compress::answer))
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
