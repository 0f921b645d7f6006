//! A writer, a spool on disk and a receiver that answers what the test tells it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use disk::Disk;
use eino_metrics_core::Registry;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::{
    Appended, LabelSet, Matcher, MetricBatch, MetricMetadata, MetricSink, MetricSource, SeriesSet, SinkError,
    SourceError, TimeRange,
};
use remote::{MetadataSettings, QueueSettings, RemoteWriter, WriteConfig, WriteMessage, WriterParts};
use settings::HttpClientConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A store that takes everything and knows nothing.
struct Nothing;

impl MetricSink for Nothing {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        Ok(Appended { accepted: batch.sample_count() as u64, ..Appended::default() })
    }
}

impl MetricSource for Nothing {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        Err(SourceError::Remote("nothing is asked here".to_owned()))
    }

    fn label_names(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        Ok(Vec::new())
    }
}

/// Answers with the next status of a list (then 204), and shows what it accepted: `labels value`.
struct Receiver {
    url: String,
    accepted: mpsc::UnboundedReceiver<Vec<String>>,
}

async fn receiver(statuses: &[u16]) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    let statuses = Arc::new(Mutex::new(statuses.iter().rev().copied().collect::<Vec<_>>()));
    let (sender, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (statuses, sender) = (Arc::clone(&statuses), sender.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (statuses, sender) = (Arc::clone(&statuses), sender.clone());
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let status = statuses.lock().unwrap().pop().unwrap_or(204);
                    if status == 204 {
                        // A test that has seen enough is gone.
                        sender.send(decode(&body)).unwrap_or_default();
                    }
                    let response = Response::builder().status(status).header("retry-after", "0");
                    Ok::<_, Infallible>(response.body(Full::new(Bytes::from("because"))).unwrap())
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Receiver { url, accepted }
}

fn decode(body: &[u8]) -> Vec<String> {
    let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
    let body = wire::compress::snappy_block(body, 1 << 20).unwrap();
    wire::remote_write::decode(&body, &mut batch, &mut rejected).unwrap();
    batch
        .series()
        .flat_map(|series| {
            let labels = series.labels.to_string();
            series.values.iter().map(|value| format!("{labels} {value}")).collect::<Vec<_>>()
        })
        .collect()
}

fn writer(dir: &Path, registry: &Registry, spool_bytes_max: u64) -> RemoteWriter {
    RemoteWriter::new(WriterParts {
        dir: dir.to_owned(),
        disk: Disk::real(),
        spool_bytes_max,
        source: Arc::new(Nothing),
        clock: Clock::system(),
        registry: registry.clone(),
    })
}

fn target(url: &str) -> WriteConfig {
    WriteConfig {
        name: "t".to_owned(),
        url: url.to_owned(),
        timeout: Duration::from_secs(10),
        headers: Vec::new(),
        relabel: Vec::new(),
        external_labels: LabelSet::from_pairs([("site", "x")]).unwrap(),
        message: WriteMessage::V1,
        send_exemplars: false,
        send_native_histograms: false,
        queue: QueueSettings {
            shards_max: 1,
            deadline: Duration::from_millis(20),
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(10),
            ..QueueSettings::default()
        },
        metadata: MetadataSettings { send: false, ..MetadataSettings::default() },
        http: HttpClientConfig::default(),
    }
}

fn batch(values: &[f64]) -> MetricBatch {
    let mut batch = MetricBatch::new();
    for (index, value) in (1_i64..).zip(values) {
        batch.push(&mut [("__name__", "m"), ("n", &index.to_string())], index, *value).unwrap();
    }
    batch
}

/// Everything that is accepted until a line of this beginning is among it.
async fn until(receiver: &mut Receiver, beginning: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.starts_with(beginning)) {
        seen.extend(receiver.accepted.recv().await.unwrap());
    }
    seen
}

fn metric(registry: &Registry, beginning: &str) -> f64 {
    let text = registry.encode_text();
    let line = text.lines().find(|line| line.starts_with(beginning));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_a_refusal_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let mut receiver = receiver(&[503, 401, 500]).await;
    let writer = writer(dir.path(), &registry, 1 << 30);
    let sink = writer.sink(Arc::new(Nothing));
    writer.apply(vec![target(&receiver.url)]).await.unwrap();
    sink.append(&batch(&[1.0])).unwrap();
    assert_eq!(until(&mut receiver, "m{").await, ["m{n=\"1\", site=\"x\"} 1"]);
    assert_eq!(metric(&registry, "eino_remote_write_requests_retried_total"), 3.0);
    writer.shutdown().await;
    assert_eq!(metric(&registry, "eino_remote_write_samples_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_costs_its_samples_and_not_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let mut receiver = receiver(&[400]).await;
    let writer = writer(dir.path(), &registry, 1 << 30);
    let sink = writer.sink(Arc::new(Nothing));
    let mut config = target(&receiver.url);
    config.queue.samples_max = 1;
    writer.apply(vec![config]).await.unwrap();
    sink.append(&batch(&[1.0])).unwrap();
    sink.append(&batch(&[2.0])).unwrap();
    assert_eq!(until(&mut receiver, "m{").await, ["m{n=\"1\", site=\"x\"} 2"]);
    assert_eq!(metric(&registry, "eino_remote_write_samples_failed_total"), 1.0);
    writer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_where_the_target_was() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let mut first = receiver(&[]).await;
    let before = writer(dir.path(), &registry, 1 << 30);
    let sink = before.sink(Arc::new(Nothing));
    before.apply(vec![target(&first.url)]).await.unwrap();
    sink.append(&batch(&[1.0])).unwrap();
    until(&mut first, "m{").await;
    before.shutdown().await;
    drop(before);
    // Nobody listens there: what is queued waits.
    let registry = Registry::new();
    let away = writer(dir.path(), &registry, 1 << 30);
    let sink = away.sink(Arc::new(Nothing));
    away.apply(vec![target("http://127.0.0.1:9/write")]).await.unwrap();
    sink.append(&batch(&[2.0, 3.0])).unwrap();
    away.shutdown().await;
    drop(away);
    let mut second = receiver(&[]).await;
    let after = writer(dir.path(), &Registry::new(), 1 << 30);
    let sink = after.sink(Arc::new(Nothing));
    after.apply(vec![target(&second.url)]).await.unwrap();
    sink.append(&batch(&[4.0])).unwrap();
    let mut seen = until(&mut second, "m{n=\"1\", site=\"x\"} 4").await;
    seen.sort();
    assert_eq!(seen, ["m{n=\"1\", site=\"x\"} 2", "m{n=\"1\", site=\"x\"} 4", "m{n=\"2\", site=\"x\"} 3"]);
    after.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_target_nothing_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let writer = writer(&spool, &Registry::new(), 1 << 30);
    writer.sink(Arc::new(Nothing)).append(&batch(&[1.0])).unwrap();
    writer.apply(Vec::new()).await.unwrap();
    assert!(!Disk::real().exists(&spool).unwrap());
    writer.shutdown().await;
}
