//! Alerts over real sockets: a webhook and an Alertmanager that remember what they are sent.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerts::{AlertService, AlertingSettings, AlertmanagerConfig, ExternalAlertmanager};
use bytes::Bytes;
use clock::Clock;
use eino_metrics_core::Registry;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::LabelSet;
use rules::{AlertEvent, AlertSink, TemplateGlobals};
use serde_json::Value;
use settings::HttpClientConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What arrived: path and body.
type Arrived = mpsc::UnboundedReceiver<(String, Value)>;

/// A server that answers with the given statuses, then with 200.
async fn serve(statuses: &[u16]) -> (SocketAddr, Arrived) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    let statuses: Arc<Mutex<VecDeque<u16>>> = Arc::new(Mutex::new(statuses.iter().copied().collect()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
            let service = service_fn(move |request: Request<Incoming>| {
                let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    // A test that has seen enough is gone.
                    sender.send((path, serde_json::from_slice(&body).unwrap())).unwrap_or_default();
                    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                    let response = Response::builder().status(status).body(Full::new(Bytes::new())).unwrap();
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, receiver)
}

fn settings(webhook: SocketAddr, alertmanager: Option<SocketAddr>) -> AlertingSettings {
    let routing = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 10ms}}\n\
         receivers: [{{name: hook, webhook_configs: [{{url: 'http://{webhook}/notify'}}]}}]"
    );
    AlertingSettings {
        routing: Some(AlertmanagerConfig::parse(&routing, Path::new("")).unwrap()),
        alertmanagers: alertmanager
            .into_iter()
            .map(|address| ExternalAlertmanager {
                url: format!("http://{address}/api/v2/alerts"),
                timeout: Duration::from_secs(5),
                http: HttpClientConfig::default(),
                relabel: Vec::new(),
            })
            .collect(),
        relabel: Vec::new(),
        globals: TemplateGlobals {
            external_labels: LabelSet::from_pairs([("zone", "a")]).unwrap(),
            external_url: "http://eino:9090".to_owned(),
        },
    }
}

fn event(clock: &Clock, resolved: bool) -> AlertEvent {
    let now_ms = clock.unix_ms();
    AlertEvent {
        labels: LabelSet::from_pairs([("alertname", "Down"), ("job", "x")]).unwrap(),
        annotations: LabelSet::from_pairs([("summary", "x is down")]).unwrap(),
        starts_at_ms: now_ms - 5_000,
        ends_at_ms: if resolved { now_ms } else { now_ms + 240_000 },
        resolved,
        query: "up == 0".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firing_and_resolved_reach_webhook_and_alertmanager() {
    let (webhook, mut notified) = serve(&[]).await;
    let (alertmanager, mut forwarded) = serve(&[]).await;
    let (clock, registry) = (Clock::system(), Registry::new());
    let service = AlertService::start(settings(webhook, Some(alertmanager)), clock.clone(), &registry, 1);
    assert_eq!(service.alertmanagers(), [format!("http://{alertmanager}/api/v2/alerts")]);

    service.send(vec![event(&clock, false)]);
    let (path, message) = notified.recv().await.unwrap();
    assert_eq!(
        (path.as_str(), &message["status"], &message["version"]),
        ("/notify", &"firing".into(), &"4".into())
    );
    assert_eq!(message["groupKey"], r#"{}:{alertname="Down"}"#);
    assert_eq!(message["alerts"][0]["labels"]["zone"], "a");
    assert_eq!(message["alerts"][0]["annotations"]["summary"], "x is down");
    assert_eq!(message["alerts"][0]["generatorURL"], "http://eino:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    let (path, alerts) = forwarded.recv().await.unwrap();
    assert_eq!(path, "/api/v2/alerts");
    assert_eq!(alerts[0]["labels"]["alertname"], "Down");

    service.send(vec![event(&clock, true)]);
    let (_, message) = notified.recv().await.unwrap();
    assert_eq!(
        (&message["status"], &message["alerts"][0]["status"]),
        (&"resolved".into(), &"resolved".into())
    );
    service.shutdown(Duration::from_secs(5)).await;
    let metrics = registry.encode_text();
    assert!(metrics.contains("eino_alerts_notifications_total{integration=\"webhook\"} 2"), "{metrics}");
    assert!(metrics.contains("eino_alerts_notifications_total{integration=\"alertmanager\"} 2"), "{metrics}");
    assert!(!metrics.contains("eino_alerts_notifications_failed_total"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_webhook_is_tried_again_and_a_refusing_one_is_counted() {
    let (webhook, mut notified) = serve(&[503, 200, 400]).await;
    let (clock, registry) = (Clock::system(), Registry::new());
    let service = AlertService::start(settings(webhook, None), clock.clone(), &registry, 1);
    service.send(vec![event(&clock, false)]);
    let (_, first) = notified.recv().await.unwrap();
    let (_, second) = notified.recv().await.unwrap();
    assert_eq!(first, second, "the same message again");
    service.send(vec![event(&clock, true)]);
    // Refused with 400: not retried at once, but said again at the next flush.
    let (_, refused) = notified.recv().await.unwrap();
    let (_, again) = notified.recv().await.unwrap();
    assert_eq!((&refused["status"], &again["status"]), (&"resolved".into(), &"resolved".into()));
    service.shutdown(Duration::from_secs(5)).await;
    let metrics = registry.encode_text();
    let failed = "eino_alerts_notifications_failed_total{integration=\"webhook\",reason=\"clientError\"} 1";
    assert!(metrics.contains(failed), "{metrics}");
}
