//! Which pages of other origins may read answers, as Prometheus's `--web.cors.origin` says it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use model::{MatchOp, Matcher};

use crate::Api;

const FIXED_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
    ),
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS")),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date")),
    (header::VARY, HeaderValue::from_static("Origin")),
];

/// Origins whose pages may read answers of `/api/v1`.
#[derive(Clone, Debug, Default)]
pub struct CorsOrigin(Option<Matcher>);

impl CorsOrigin {
    /// Any origin.
    pub const ANY: Self = Self(None);

    /// Origins that match all of `pattern`; `.*` is any.
    ///
    /// # Errors
    /// The pattern is not a regular expression.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern == ".*" {
            return Ok(Self::ANY);
        }
        let matcher = Matcher::new("origin", MatchOp::Regex, pattern);
        matcher.map(|matcher| Self(Some(matcher))).map_err(|error| error.to_string())
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.0 {
            None => Some(HeaderValue::from_static("*")),
            Some(matcher) => {
                origin.to_str().is_ok_and(|origin| matcher.matches(origin)).then(|| origin.clone())
            }
        }
    }
}

/// Adds the headers to answers of `/api/v1`, and answers the browser's question before the request.
pub(crate) async fn answer(State(api): State<Api>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/v1/") {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if let Some(origin) = origin {
        add_headers(response.headers_mut(), &api.web.cors_origin, &origin);
    }
    response
}

fn add_headers(headers: &mut HeaderMap, allowed: &CorsOrigin, origin: &HeaderValue) {
    headers.extend(FIXED_HEADERS.map(|(name, value)| (Some(name), value)));
    if let Some(value) = allowed.allowed(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_matched_whole() {
        let origin = |text: &'static str| HeaderValue::from_static(text);
        let some = CorsOrigin::parse("https://(a|b)\\.example").expect("a regular expression");
        assert_eq!(some.allowed(&origin("https://a.example")), Some(origin("https://a.example")));
        assert_eq!(some.allowed(&origin("https://a.example.evil")), None);
        assert_eq!(CorsOrigin::parse(".*").expect("any").allowed(&origin("x")), Some(origin("*")));
        assert!(CorsOrigin::parse("(").is_err());
    }
}
