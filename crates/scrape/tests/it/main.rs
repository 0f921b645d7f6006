//! Real scrapes over real sockets: a target that answers what the test tells it, and a sink that remembers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clock::Clock;
use eino_metrics_core::Registry;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::{Appended, MetricBatch, MetricSink, SinkError, is_stale_nan};
use scrape::{Health, RawScrapeConfig, ScrapeConfig, ScrapeDefaults, ScrapeManager};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One stored batch: `series value`, timestamps left out.
type Stored = Vec<String>;

struct Remember(mpsc::UnboundedSender<Stored>);

impl MetricSink for Remember {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        let lines = batch.series().map(|series| {
            let value = series.values.first().copied().unwrap_or_default();
            let value = if is_stale_nan(value) { "stale".to_owned() } else { value.to_string() };
            format!("{} {value}", series.labels)
        });
        // A test that has seen enough is gone.
        self.0.send(lines.collect()).unwrap_or_default();
        Ok(Appended { accepted: batch.sample_count() as u64, ..Appended::default() })
    }
}

/// Answer of the target: status and body. Also the headers it was asked with.
#[derive(Clone, Default)]
struct Script {
    answer: Arc<Mutex<(u16, String)>>,
    headers: Arc<Mutex<Vec<(String, String)>>>,
}

impl Script {
    fn say(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn header(&self, name: &str) -> Option<String> {
        let headers = self.headers.lock().unwrap();
        headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let headers = request.headers().iter();
        *self.headers.lock().unwrap() =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let (status, body) = self.answer.lock().unwrap().clone();
        if request.uri().path() == "/moved" {
            return Response::builder()
                .status(302)
                .header("location", "/metrics")
                .body(Full::default())
                .unwrap();
        }
        let response = Response::builder().status(status).header("content-type", "text/plain; version=0.0.4");
        response.body(Full::new(Bytes::from(body))).unwrap()
    }
}

async fn serve(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = script.clone();
            let service = service_fn(move |request| {
                let response = script.respond(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn job(yaml: &str) -> ScrapeConfig {
    let raw: RawScrapeConfig = settings::from_yaml(yaml).unwrap();
    raw.resolve(&ScrapeDefaults::default(), Path::new("")).unwrap()
}

fn manager() -> (ScrapeManager, mpsc::UnboundedReceiver<Stored>, Registry) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let registry = Registry::new();
    let manager = ScrapeManager::new(Arc::new(Remember(sender)), Clock::system(), &registry, 1);
    (manager, receiver, registry)
}

/// Waits for a batch that has a line with this beginning.
async fn until(stored: &mut mpsc::UnboundedReceiver<Stored>, beginning: &str) -> Stored {
    loop {
        let batch = stored.recv().await.expect("the manager runs");
        if batch.iter().any(|line| line.starts_with(beginning)) {
            return batch;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_scraped_fails_recovers_and_ends() {
    let script = Script::default();
    script.say(200, "x{l=\"v\"} 1\ny 2\n");
    let address = serve(script.clone()).await;
    let (manager, mut stored, registry) = manager();
    let config = job(&format!(
        "{{job_name: a, scrape_interval: 250ms, static_configs: [{{targets: ['{address}']}}], \
         authorization: {{credentials: hunter2}}}}"
    ));
    manager.apply(vec![config]);
    let target = format!("instance=\"{address}\", job=\"a\"");

    let first = until(&mut stored, &format!("up{{{target}}} 1")).await;
    assert_eq!(first.first(), Some(&format!("x{{{target}, l=\"v\"}} 1")));
    assert!(first.contains(&format!("up{{{target}}} 1")), "{first:?}");
    assert!(first.contains(&format!("scrape_samples_scraped{{{target}}} 2")), "{first:?}");
    assert!(first.contains(&format!("scrape_series_added{{{target}}} 2")), "{first:?}");
    assert_eq!(script.header("x-prometheus-scrape-timeout-seconds").as_deref(), Some("0.25"));
    assert_eq!(script.header("authorization").as_deref(), Some("Bearer hunter2"));
    assert!(
        script.header("accept").is_some_and(|accept| accept.starts_with("application/openmetrics-text;"))
    );

    script.say(500, "");
    let failed = until(&mut stored, &format!("up{{{target}}} 0")).await;
    assert!(failed.contains(&format!("x{{{target}, l=\"v\"}} stale")), "{failed:?}");
    let again = until(&mut stored, &format!("up{{{target}}} 0")).await;
    assert!(!again.iter().any(|line| line.ends_with("stale")), "stale only once: {again:?}");
    // The status is written right after the batch: with the next batch it is there.
    let targets = loop {
        until(&mut stored, &format!("up{{{target}}} 0")).await;
        let targets = manager.targets();
        if targets.active_targets.iter().any(|target| target.last_error.contains("HTTP status 500")) {
            break targets;
        }
    };
    let status = targets.active_targets.first().expect("one target");
    let url = format!("http://{address}/metrics");
    assert_eq!((status.health, status.scrape_url.as_str()), (Health::Down, url.as_str()));
    assert!(registry.encode_text().contains("eino_scrape_failures_total{reason=\"status\"}"));

    script.say(200, "x{l=\"v\"} 3\n");
    until(&mut stored, &format!("x{{{target}, l=\"v\"}} 3")).await;

    manager.apply(Vec::new());
    let ended = until(&mut stored, &format!("up{{{target}}} stale")).await;
    assert!(ended.contains(&format!("x{{{target}, l=\"v\"}} stale")), "{ended:?}");
    manager.shutdown().await;
    assert!(manager.targets().active_targets.is_empty());
    let shown = format!("{:?}", job("{job_name: a, authorization: {credentials: hunter2}}"));
    assert!(!shown.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_and_returns_is_listed() {
    let script = Script::default();
    script.say(200, "x 1\n");
    let address = serve(script.clone()).await;
    let (manager, mut stored, _) = manager();
    let config = job(&format!(
        "{{job_name: a, scrape_interval: 250ms, static_configs: [{{targets: ['{address}']}}]}}"
    ));
    manager.apply(vec![config.clone()]);
    until(&mut stored, "x").await;
    manager.apply(Vec::new());
    manager.apply(vec![config]);
    while !until(&mut stored, "x").await.iter().any(|line| line.ends_with("stale")) {}
    until(&mut stored, &format!("up{{instance=\"{address}\", job=\"a\"}} 1")).await;
    assert_eq!(manager.targets().active_targets.len(), 1);
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_job_goes_on_with_its_series() {
    let script = Script::default();
    script.say(200, "x 1\nz 1\n");
    let address = serve(script.clone()).await;
    let (manager, mut stored, _) = manager();
    let with = |more: &str| {
        job(&format!(
            "{{job_name: a, scrape_interval: 250ms, static_configs: [{{targets: ['{address}']}}]{more}}}"
        ))
    };
    manager.apply(vec![with("")]);
    until(&mut stored, "x").await;
    // The same target under other settings: `z` is dropped now and must go stale, `x` must not.
    let rules = ", metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: z}]";
    manager.apply(vec![with(rules)]);
    let batch = loop {
        let batch = stored.recv().await.expect("the manager runs");
        assert!(!batch.iter().any(|line| line.starts_with("x{") && line.ends_with("stale")), "{batch:?}");
        if batch.iter().any(|line| line.starts_with("z{") && line.ends_with("stale")) {
            break batch;
        }
    };
    assert!(batch.iter().any(|line| line.starts_with("x{") && line.ends_with(" 1")), "{batch:?}");
    manager.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_limits_and_files() {
    let script = Script::default();
    script.say(200, "x 1\n");
    let address = serve(script.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    std::fs::write(&file, format!(r#"[{{"targets":["{address}"],"labels":{{"zone":"a"}}}}]"#)).unwrap();
    let (manager, mut stored, _) = manager();
    manager.apply(vec![
        job(&format!(
            "{{job_name: files, scrape_interval: 250ms, metrics_path: /moved, file_sd_configs: [{{files: ['{}'], \
             refresh_interval: 10ms}}]}}",
            file.display()
        )),
        job(&format!(
            "{{job_name: small, scrape_interval: 250ms, body_size_limit: 2B, static_configs: [{{targets: ['{address}']}}]}}"
        )),
    ]);
    until(&mut stored, &format!("x{{instance=\"{address}\", job=\"files\", zone=\"a\"}} 1")).await;
    until(&mut stored, &format!("up{{instance=\"{address}\", job=\"small\"}} 0")).await;
    std::fs::write(&file, "[]").unwrap();
    until(&mut stored, &format!("x{{instance=\"{address}\", job=\"files\", zone=\"a\"}} stale")).await;
    manager.shutdown().await;
}
