//! The UI's pages and assets, and 404 for everything that is not one.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};

use crate::error::ApiError;

/// Prefixes that belong to APIs: an unknown path below them is 404, never the UI's page.
const API_PREFIXES: &[&str] = &[
    "/api",
    "/v1",
    "/eino/",
    "/jaeger",
    "/tempo",
    "/zipkin",
    "/alertmanager",
    "/metrics",
    "/-/",
    "/federate",
];

/// An asset, or the UI's page for a browser that asks for one of its routes.
pub(crate) async fn page(request: Request) -> Response {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_api = API_PREFIXES.iter().any(|prefix| path.starts_with(prefix));
    if is_api || !is_read {
        return not_found(request).await;
    }
    if let Some(asset) = ui::asset(path.trim_start_matches('/')) {
        return asset_response(request.headers(), asset);
    }
    let accepts_html = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_page = path == "/" || accepts_html.is_some_and(|accept| accept.contains("text/html"));
    if is_page { asset_response(request.headers(), ui::index()) } else { not_found(request).await }
}

/// Says what was not found.
pub(crate) async fn not_found(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let shown: String = path.chars().take(200).collect();
    ApiError::NotFound(format!("{method} {shown} is not a path of this server")).into_response()
}

fn asset_response(headers: &HeaderMap, asset: ui::Asset) -> Response {
    let etag = asset.etag;
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed = [
        (header::CONTENT_TYPE, asset.content_type.to_owned()),
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::CONTENT_SECURITY_POLICY, ui::CONTENT_SECURITY_POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "same-origin".to_owned()),
    ];
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    if is_known {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, Body::from(asset.bytes.into_owned())).into_response()
}
