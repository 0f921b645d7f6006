//! A collector for tests: a real HTTP server that reads OTLP with its own small walker.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A span as the collector read it; ids in hexadecimal, values as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_id: String,
    pub(crate) tracestate: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) attributes_dropped: u64,
    pub(crate) events: Vec<String>,
    pub(crate) status: u64,
    pub(crate) message: String,
    pub(crate) flags: u64,
}

#[allow(dead_code, reason = "each test binary uses its own part of this")]
impl Seen {
    pub(crate) fn service(&self) -> &str {
        self.attribute_of(&self.resource, "service.name")
    }

    pub(crate) fn attr(&self, key: &str) -> &str {
        self.attribute_of(&self.attributes, key)
    }

    fn attribute_of<'a>(&'a self, map: &'a BTreeMap<String, String>, key: &str) -> &'a str {
        map.get(key).map_or("", String::as_str)
    }
}

/// What the collector answers.
pub(crate) type Answer = Arc<dyn Fn(usize) -> (StatusCode, Vec<u8>) + Send + Sync>;

/// Collects until it is dropped.
pub(crate) struct Collector {
    pub(crate) url: String,
    spans: Arc<Mutex<Vec<Seen>>>,
    changed: watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

#[allow(dead_code, reason = "each test binary uses its own part of this")]
impl Collector {
    pub(crate) async fn start() -> Self {
        Self::answering(Arc::new(|_| (StatusCode::OK, Vec::new()))).await
    }

    /// `answer` gets the number of requests before; what is answered with 2xx is kept.
    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let spans = Arc::new(Mutex::new(Vec::new()));
        let (change, changed) = watch::channel(0);
        let (kept, change) = (Arc::clone(&spans), Arc::new(change));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (kept, change, answer) = (Arc::clone(&kept), Arc::clone(&change), Arc::clone(&answer));
                let service = service_fn(move |request| {
                    serve(request, Arc::clone(&kept), Arc::clone(&change), Arc::clone(&answer))
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { url, spans, changed, task }
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.spans.lock().expect("not poisoned").clone()
    }

    /// Waits until `enough` is content with the spans so far.
    pub(crate) async fn wait_until(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut changed = self.changed.clone();
        let wait = async {
            while !enough(&self.spans()) {
                changed.changed().await.expect("the collector runs");
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("not enough spans came: {:#?}", self.spans());
        }
        self.spans()
    }

    /// Waits until this many requests came.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        let mut changed = self.changed.clone();
        changed.wait_for(|requests| *requests >= count).await.expect("the collector runs");
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Seen>>>,
    change: Arc<watch::Sender<usize>>,
    answer: Answer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let right =
        request.uri().path() == "/v1/traces" && request.headers()["content-type"] == "application/x-protobuf";
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    let before = *change.borrow();
    let (status, response) = if right { answer(before) } else { (StatusCode::NOT_FOUND, Vec::new()) };
    if status.is_success() {
        kept.lock().expect("not poisoned").extend(read_request(&body));
    }
    change.send_modify(|requests| *requests += 1);
    let mut response = Response::new(Full::new(response.into()));
    *response.status_mut() = status;
    Ok(response)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("expected bytes"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("UTF-8")
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("expected a number"),
        }
    }
}

fn fields(mut input: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let tag = varint(&mut input);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut input)),
            1 => Field::Number(u64::from_le_bytes(take(&mut input, 8).try_into().expect("8 bytes"))),
            2 => {
                let length = usize::try_from(varint(&mut input)).expect("small");
                Field::Bytes(take(&mut input, length))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut input, 4).try_into().expect("4 bytes")).into()),
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

fn varint(input: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(input, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (head, tail) = input.split_at(length);
    *input = tail;
    head
}

fn read_request(body: &[u8]) -> Vec<Seen> {
    let mut spans = Vec::new();
    for (_, resource_spans) in fields(body) {
        let mut resource = BTreeMap::new();
        for (number, field) in fields(resource_spans.bytes()) {
            match number {
                1 => {
                    resource =
                        fields(field.bytes()).iter().map(|(_, field)| key_value(field.bytes())).collect()
                }
                2 => {
                    let scope_spans = fields(field.bytes());
                    let found = scope_spans.iter().filter(|(number, _)| *number == 2);
                    spans.extend(found.map(|(_, span)| read_span(span.bytes(), &resource)));
                }
                _ => {}
            }
        }
    }
    spans
}

fn read_span(bytes: &[u8], resource: &BTreeMap<String, String>) -> Seen {
    let mut seen = Seen { resource: resource.clone(), ..Seen::default() };
    for (number, field) in fields(bytes) {
        match number {
            1 => seen.trace_id = hex(field.bytes()),
            2 => seen.span_id = hex(field.bytes()),
            3 => seen.tracestate = field.text(),
            4 => seen.parent_id = hex(field.bytes()),
            5 => seen.name = field.text(),
            6 => seen.kind = field.number(),
            7 => seen.start_ns = field.number(),
            8 => seen.end_ns = field.number(),
            9 => seen.attributes.extend([key_value(field.bytes())]),
            10 => seen.attributes_dropped = field.number(),
            11 => seen.events.push(fields(field.bytes())[1].1.text()),
            15 => {
                for (number, field) in fields(field.bytes()) {
                    match number {
                        2 => seen.message = field.text(),
                        3 => seen.status = field.number(),
                        _ => {}
                    }
                }
            }
            16 => seen.flags = field.number(),
            _ => {}
        }
    }
    seen
}

fn key_value(bytes: &[u8]) -> (String, String) {
    let pair = fields(bytes);
    let (number, value) = &fields(pair[1].1.bytes())[0];
    let text = match number {
        1 => value.text(),
        2 => (value.number() == 1).to_string(),
        3 => value.number().cast_signed().to_string(),
        4 => f64::from_bits(value.number()).to_string(),
        other => panic!("AnyValue field {other}"),
    };
    (pair[0].1.text(), text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
