//! A router over parts in memory, and a client without sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use clock::ManualClock;
use eino_metrics_core::Registry;
use http::{HeaderMap, Request, StatusCode};
use http_api::{
    Api, ApiParts, BlockCompaction, BlockStats, BlockStatus, HeadStats, HttpLimits, Live, LoadedConfig,
    MetricStats, NamedCount, Pending, ProcessControl, ServerInfo, StoreAdmin, WebSettings, main_router,
};
use http_body_util::BodyExt;
use model::{
    Appended, LabelSet, Matcher, MetricBatch, MetricSink, MetricSource, SinkError, SourceError, Span,
    SpanBatch, SpanKind, SpanSink, SpanSource, TimeRange, TraceId, TraceQuery,
};
use promql::{Engine, EngineConfig};
use rules::{AlertEvent, AlertSink, RuleFile, RuleManager, RuleSettings, RuleStores};
use scrape::{RawScrapeConfig, ScrapeDefaults, ScrapeManager};
use tower::ServiceExt;

use crate::data::{NOW_MS, TestSource};

const RULES: &str = r#"
groups:
- name: api
  interval: 1s
  rules:
  - {record: "job:requests:rate5m", expr: "sum by (job) (rate(http_requests_total[5m]))", labels: {team: core}}
  - {alert: InstanceDown, expr: up == 0, labels: {severity: page}, annotations: {summary: "{{ $labels.instance }} is down"}}
- name: more
  interval: 1s
  rules:
  - {record: instances, expr: count(up)}
"#;

const JOB: &str = r#"
job_name: api
scrape_interval: 1h
static_configs: [{targets: ["a:1", "b:1"]}]
basic_auth: {username: me, password: hunter2}
relabel_configs: [{source_labels: [__address__], regex: "b:1", action: drop}, {regex: zone, action: labeldrop}]
"#;

/// The parts stand in for stores that accept nothing and hold no spans.
struct Nothing;

impl MetricSink for Nothing {
    fn append(&self, _: &MetricBatch) -> Result<Appended, SinkError> {
        Ok(Appended::default())
    }
}

impl SpanSink for Nothing {
    fn append(&self, _: &SpanBatch) -> Result<Appended, SinkError> {
        Ok(Appended::default())
    }
}

impl SpanSource for Nothing {
    fn trace(&self, _: TraceId) -> Result<Vec<Arc<Span>>, SourceError> {
        Ok(Vec::new())
    }

    fn search(&self, _: &TraceQuery) -> Result<Vec<TraceId>, SourceError> {
        Ok(Vec::new())
    }

    fn services(&self) -> Result<Vec<Arc<str>>, SourceError> {
        Ok(Vec::new())
    }

    fn operations(&self, _: &str) -> Result<Vec<(Arc<str>, SpanKind)>, SourceError> {
        Ok(Vec::new())
    }

    fn scan(
        &self,
        _: TimeRange,
        _: &mut dyn FnMut(&[Arc<Span>]) -> std::ops::ControlFlow<()>,
    ) -> Result<(), SourceError> {
        Ok(())
    }
}

impl AlertSink for Nothing {
    fn send(&self, _: Vec<AlertEvent>) {}
}

impl StoreAdmin for Nothing {
    fn flush(&self) -> Result<(), String> {
        Ok(())
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn corruptions(&self) -> u64 {
        0
    }

    fn metric_stats(&self, limit: usize) -> Result<MetricStats, String> {
        let counts = |name: &str| vec![NamedCount { name: name.into(), value: 3 }; limit.min(2)];
        Ok(MetricStats {
            head_stats: HeadStats { num_series: 8, min_time: 1, max_time: 2, ..HeadStats::default() },
            series_count_by_metric_name: counts("up"),
            label_value_count_by_label_name: counts("instance"),
            memory_in_bytes_by_label_name: counts("instance"),
            series_count_by_label_value_pair: counts("job=api"),
        })
    }

    fn metric_blocks(&self) -> Vec<BlockStatus> {
        vec![BlockStatus {
            ulid: "00000001-00000002".into(),
            min_time: 1,
            max_time: 2,
            stats: BlockStats { num_samples: 5, ..BlockStats::default() },
            compaction: BlockCompaction { level: 1 },
            version: 1,
        }]
    }

    fn delete_series(&self, selectors: &[Vec<Matcher>], _: TimeRange) -> Result<(), String> {
        assert_eq!(selectors.len(), 1);
        Ok(())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, String> {
        Ok(format!("20260101T000000Z-{}", u8::from(skip_head)))
    }
}

/// Refuses to reload, and remembers that it was asked to stop.
#[derive(Default)]
struct TestControl(AtomicBool);

impl ProcessControl for TestControl {
    fn reload(&self) -> Pending<Result<(), String>> {
        Box::pin(async { Err("eino.yaml:3:1: unknown key \"x\"".to_owned()) })
    }

    fn quit(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// Settings of a rig.
pub(crate) struct RigOptions {
    pub(crate) source: TestSource,
    pub(crate) web: WebSettings,
    pub(crate) limits: HttpLimits,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self {
            source: TestSource::new(),
            web: WebSettings { lifecycle: true, admin_api: true, ..WebSettings::default() },
            limits: HttpLimits::default(),
        }
    }
}

/// A router and what its test looks at.
pub(crate) struct Rig {
    pub(crate) router: Router,
    pub(crate) registry: Registry,
    pub(crate) live: Live,
    _scrape: ScrapeManager,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Rig {
    pub(crate) async fn start(options: RigOptions) -> Self {
        let clock = ManualClock::at_unix_ms(NOW_MS.unsigned_abs()).clock();
        let registry = Registry::new();
        let source: Arc<dyn MetricSource> = Arc::new(options.source);
        let engine = Arc::new(Engine::new(EngineConfig::default(), clock.clone()));
        let scrape = ScrapeManager::new(Arc::new(Nothing), clock.clone(), &registry, 1);
        scrape.apply(vec![job()]);
        until(|| scrape.targets().dropped_targets.len() == 1).await;
        let stores = RuleStores { engine: engine.clone(), source: source.clone(), sink: Arc::new(Nothing) };
        let rules = RuleManager::new(stores, Arc::new(Nothing), clock.clone(), &registry);
        let file = RuleFile::parse(RULES, "rules.yml").expect("valid rules");
        rules.apply(file.groups, &RuleSettings::default()).await;
        let view = rules.view();
        until(|| view.groups().iter().all(|group| group.last_evaluation_ms.is_some())).await;
        rules.shutdown().await;
        let live = Live::new(&registry);
        live.config_loaded(loaded_config());
        let api = Api::new(ApiParts {
            clock,
            registry: registry.clone(),
            metric_source: source,
            metric_sink: Arc::new(Nothing),
            span_source: Arc::new(Nothing),
            span_sink: Arc::new(Nothing),
            engine,
            scrape: scrape.view(),
            rules: view,
            admin: Arc::new(Nothing),
            control: Arc::new(TestControl::default()),
            live: live.clone(),
            info: info(),
            web: options.web,
            limits: options.limits,
        });
        Self { router: main_router(api), registry, live, _scrape: scrape }
    }

    /// One request.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).expect("a valid request")).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

fn job() -> scrape::ScrapeConfig {
    let raw: RawScrapeConfig = settings::from_yaml(JOB).expect("a valid job");
    raw.resolve(&ScrapeDefaults::default(), std::path::Path::new(".")).expect("a valid job")
}

fn loaded_config() -> LoadedConfig {
    LoadedConfig {
        text: "global: {external_labels: {site: test}}\n".into(),
        external_labels: LabelSet::from_pairs([("site", "test"), ("job", "external")]).expect("valid"),
        loaded_ms: NOW_MS,
        last_reload_ok: true,
        warnings: Vec::new(),
        alertmanagers: vec!["http://am:9093/api/v2/alerts".into()],
        retention: "15d".into(),
        ..LoadedConfig::default()
    }
}

fn info() -> ServerInfo {
    ServerInfo {
        version: "0.0.0",
        role: "all",
        started_ms: NOW_MS,
        hostname: "host".into(),
        working_dir: "/".into(),
        data_dir: "data".into(),
        config_file: None,
        listeners: vec![("http", "127.0.0.1:9090".into())],
        flags: vec![("web.enable-lifecycle", "true".into())],
    }
}

/// Yields until the state is there. Time that is not told to move moves when all tasks wait.
pub(crate) async fn until(mut state: impl FnMut() -> bool) {
    while !state() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
