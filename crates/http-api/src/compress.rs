//! Answers are compressed when the client says that it reads it: zstd before gzip, both at their fastest.
//!
//! Works chunk by chunk, as answers are streamed. Small ones, event streams and what has an encoding already stay as
//! they are.

use std::io::{self, Write};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};

/// Smaller bodies gain nothing.
const BYTES_MIN: u64 = 1_024;
const ZSTD_LEVEL: i32 = 1;
/// What can be compressed; anything else is compressed already or must not wait.
const MEDIA_TYPES: [&str; 3] = ["application/json", "text/plain", "application/openmetrics-text"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Zstd,
    Gzip,
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// Compresses an answer if its client and its kind allow it.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let coding = if request.method() == Method::HEAD { None } else { accepted(request.headers()) };
    let response = next.run(request).await;
    match coding {
        Some(coding) if is_compressible(&response) => compressed(response, coding),
        _ => response,
    }
}

/// The best coding of ours that the client takes.
fn accepted(headers: &HeaderMap) -> Option<Coding> {
    let (mut zstd, mut gzip) = (false, false);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let is_refused = parameters.split_once("q=").is_some_and(|(_, quality)| {
                quality.trim().parse::<f64>().is_ok_and(|quality| quality <= 0.0)
            });
            match name.trim() {
                "zstd" => zstd = !is_refused,
                "gzip" | "x-gzip" => gzip = !is_refused,
                _ => {}
            }
        }
    }
    [(zstd, Coding::Zstd), (gzip, Coding::Gzip)]
        .into_iter()
        .find_map(|(taken, coding)| taken.then_some(coding))
}

fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_large = response.body().size_hint().exact().is_none_or(|bytes| bytes >= BYTES_MIN);
    is_large
        && MEDIA_TYPES.iter().any(|known| media.starts_with(known))
        && !headers.contains_key(header::CONTENT_ENCODING)
}

fn compressed(response: Response, coding: Coding) -> Response {
    let (mut parts, body) = response.into_parts();
    // zstd fails only on a level it does not have.
    let Ok(encoder) = Encoder::new(coding) else { return Response::from_parts(parts, body) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let chunks =
        stream::unfold((body.into_data_stream(), Some(encoder)), |(mut chunks, encoder)| async move {
            let mut encoder = encoder?;
            loop {
                let made = match chunks.next().await {
                    Some(Ok(chunk)) => encoder.push(&chunk),
                    Some(Err(error)) => return Some((Err(error), (chunks, None))),
                    None => return Some((encoder.finish().map_err(axum::Error::new), (chunks, None))),
                };
                match made {
                    Ok(bytes) if bytes.is_empty() => {}
                    made => return Some((made.map_err(axum::Error::new), (chunks, Some(encoder)))),
                }
            }
        });
    Response::from_parts(parts, Body::from_stream(chunks))
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
        })
    }

    /// What can be sent after this chunk; may be nothing.
    fn push(&mut self, chunk: &[u8]) -> io::Result<Bytes> {
        let made = match self {
            Self::Zstd(encoder) => {
                encoder.write_all(chunk)?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(chunk)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(made).into())
    }

    fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    use super::*;

    fn accepts(value: &'static str) -> Option<Coding> {
        accepted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(accepts("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(accepts("gzip"), Some(Coding::Gzip));
        assert_eq!(accepts("zstd;q=0, gzip;q=0.5"), Some(Coding::Gzip));
        assert_eq!(accepts("identity, br"), None);
        assert_eq!(accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn small_answers_and_events_stay_as_they_are() {
        let answer = |media: &'static str, bytes: usize| {
            ([(header::CONTENT_TYPE, media)], "x".repeat(bytes)).into_response()
        };
        assert!(is_compressible(&answer("application/json", 2_000)));
        assert!(!is_compressible(&answer("application/json", 100)));
        assert!(!is_compressible(&answer("text/event-stream", 2_000)));
    }

    #[tokio::test]
    async fn chunks_become_one_stream() {
        let text = "{\"a\":1}".repeat(20_000);
        for coding in [Coding::Zstd, Coding::Gzip] {
            let chunks: Vec<Result<Bytes, io::Error>> =
                text.as_bytes().chunks(10_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            let response = Response::new(Body::from_stream(stream::iter(chunks)));
            let body = compressed(response, coding).into_body().collect().await.expect("whole").to_bytes();
            let mut read = String::new();
            match coding {
                Coding::Zstd => {
                    zstd::stream::read::Decoder::new(&body[..]).expect("zstd").read_to_string(&mut read)
                }
                Coding::Gzip => flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut read),
            }
            .expect("decodes");
            assert!(read == text && body.len() < text.len() / 10, "{coding:?}: {} bytes", body.len());
        }
    }

    #[tokio::test]
    async fn a_broken_answer_stays_broken() {
        let chunks = [Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))];
        let response = Response::new(Body::from_stream(stream::iter(chunks)));
        assert!(compressed(response, Coding::Gzip).into_body().collect().await.is_err());
    }
}
