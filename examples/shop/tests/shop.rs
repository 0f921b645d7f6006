//! The whole shop as real processes against a collector: what the analysis will see.

#[path = "../../../sdk/eino-trace/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::{Collector, Seen};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const MEMBERS: [&str; 5] = ["card", "payment", "inventory", "order", "gateway"];

struct Member {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    addr: String,
}

impl Member {
    async fn start(role: &str, dir: &Path, otlp: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.arg(role).arg("--registry").arg(dir.join("registry")).arg("--data").arg(dir.join("data"));
        command.args(["--otlp", otlp, "--die-with-parent"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program runs");
        let stdout = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let ready: Value = serde_json::from_str(&next_line(&mut lines).await).expect("a JSON line");
        let addr = ready["addr"].as_str().expect("an address").to_owned();
        Self { child, lines, addr }
    }

    /// Closes its standard input, as the parent's death does, and waits for its end.
    async fn orphan(mut self) {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        assert!(status.expect("it ends").expect("it was waited for").success());
        assert_eq!(self.lines.next_line().await.expect("readable"), None);
    }
}

async fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next_line().await.expect("readable").expect("a line before the end")
}

async fn load(dir: &Path, rate: &str, seconds: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.arg("load").arg("--registry").arg(dir.join("registry")).args([
        "--rate",
        rate,
        "--seconds",
        seconds,
    ]);
    let output = command.output().await.expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a JSON line")
}

fn child_of<'a>(spans: &'a [Seen], parent: &Seen, name: &str) -> &'a Seen {
    let found = spans.iter().find(|span| span.parent_id == parent.span_id && span.name == name);
    found.unwrap_or_else(|| panic!("no {name} below {} in {spans:#?}", parent.name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_trace_through_four_services() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut members = Vec::new();
    for role in MEMBERS {
        members.push(Member::start(role, dir.path(), &collector.url).await);
    }
    let stats = load(dir.path(), "100", "1").await;
    let (sent, ok) = (stats["sent"].as_u64().unwrap(), stats["ok"].as_u64().unwrap());
    assert!((60..150).contains(&sent) && ok * 10 > sent * 8, "{stats}");
    let metrics = eino::Client::new(eino::client::ClientConfig::default(), None)
        .request_dynamic(http::Method::GET, &format!("http://{}/metrics", members[1].addr))
        .send()
        .await
        .unwrap();
    let metrics = String::from_utf8(metrics.body().to_vec()).unwrap();
    for line in [
        r#"db_pool_size{pool="payment"} 2"#,
        r#"db_pool_connections{pool="payment",state="idle"} 2"#,
        r#"db_pool_connections{pool="payment",state="used"} 0"#,
        r#"http_requests_total{method="POST",route="/charges",status="200"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(
        metrics.contains(&format!(r#"db_pool_wait_seconds_count{{pool="payment"}} {sent}"#)),
        "{metrics}"
    );
    for member in members {
        member.orphan().await;
    }
    assert_eq!(std::fs::read_dir(dir.path().join("registry")).unwrap().count(), 0, "all have deregistered");

    let spans = collector.spans();
    let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace_id.as_str()).collect();
    assert_eq!(traces.len() as u64, sent);
    let services: BTreeSet<&str> = spans.iter().map(Seen::service).collect();
    assert_eq!(
        services,
        BTreeSet::from(["gateway", "inventory-service", "order-service", "payment-service"])
    );

    let paid = spans.iter().find(|span| span.name == "INSERT charges").expect("someone paid");
    let trace: Vec<Seen> = spans.iter().filter(|span| span.trace_id == paid.trace_id).cloned().collect();
    let root = trace.iter().find(|span| span.parent_id.is_empty()).expect("a root");
    assert_eq!((root.service(), root.name.as_str(), root.kind), ("gateway", "POST /orders", 2));
    let order = child_of(&trace, child_of(&trace, root, "POST /orders"), "POST /orders");
    let inventory = child_of(&trace, child_of(&trace, order, "POST /reservations"), "POST /reservations");
    let payment = child_of(&trace, child_of(&trace, order, "POST /charges"), "POST /charges");
    assert_eq!((inventory.service(), payment.service()), ("inventory-service", "payment-service"));
    let acquire = child_of(&trace, payment, "db.pool.acquire");
    let read = child_of(&trace, payment, "SELECT accounts");
    let card = child_of(&trace, payment, "POST /authorizations");
    let write = child_of(&trace, payment, "INSERT charges");
    assert_eq!((acquire.kind, acquire.attr("db.client.connection.max")), (1, "2"));
    assert_eq!((read.kind, read.attr("db.system.name")), (3, "sqlite"));
    assert_eq!((card.kind, card.attr("peer.service")), (3, "card-processor"));
    let in_order = [acquire, read, card, write].map(|span| (span.start_ns, span.end_ns));
    assert!(in_order.is_sorted_by(|a, b| a.1 <= b.0), "the connection is held in between: {in_order:?}");
    assert!(
        spans.iter().any(|span| span.name == "warehouse.lookup"),
        "a cache that is empty at first has misses"
    );
    let failed =
        spans.iter().filter(|span| span.name == "POST /orders" && span.kind == 2 && span.status == 2).count();
    assert_eq!(failed as u64, 2 * (sent - ok), "gateway and order-service fail together");
}

#[tokio::test]
async fn nonsense_on_the_command_line_is_refused() {
    for arguments in [
        &["payment", "--registry", "r", "--data", "d", "--pool", "0"][..],
        &["load", "--registry", "r", "--rate", "-1"],
        &["load", "--registry", "r", "--seconds", "NaN"],
        &["gateway"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_shop")).args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
