//! The report against the simulated shop: it must find what was put in, and predict what repairing it gives.

use std::sync::LazyLock;

use analysis::{
    Bottleneck, CauseKind, Lang, Report, ReportOptions, SavingReference, Style, Trace, Window, compare,
    render_text, report,
};

use crate::shop::{Fault, Shop};

fn shop(pool: usize, fault: Fault) -> Vec<Trace> {
    Shop { seed: 7, pool, requests: 2_000, fault }.traces()
}

/// The shop with a pool of 2 and of 16, nothing else wrong, and what the report says of it.
static SMALL: LazyLock<(Vec<Trace>, Report)> = LazyLock::new(|| studied(shop(2, Fault::None)));
static LARGE: LazyLock<(Vec<Trace>, Report)> = LazyLock::new(|| studied(shop(16, Fault::None)));

fn studied(traces: Vec<Trace>) -> (Vec<Trace>, Report) {
    let report = read(&traces);
    (traces, report)
}

fn read(traces: &[Trace]) -> Report {
    let start_ms = 1_700_000_000_000;
    let window = Window { start_ms, end_ms: start_ms + 2_000 * 1_000 / 75 };
    report(traces, &ReportOptions { window, ..ReportOptions::default() })
}

fn first(report: &Report) -> &Bottleneck {
    assert_eq!(report.entry_points.len(), 1, "all traces begin at the gateway");
    report.entry_points[0].bottlenecks.first().expect("a bottleneck")
}

#[track_caller]
fn check(fault: Fault, want: &[(&str, &str)], kind: CauseKind) -> Bottleneck {
    let report = read(&shop(16, fault));
    let first = first(&report);
    let name = (first.service.as_str(), first.operation.as_str());
    assert!(want.contains(&name), "{first:#?}");
    assert_eq!(first.cause.kind, kind, "{first:#?}");
    assert!(first.saving_p99_ms > 20.0 && first.rank == 1 && first.confidence >= 0.5, "{first:#?}");
    first.clone()
}

#[test]
fn a_small_pool_is_found_and_explained() {
    let report = &SMALL.1;
    let first = first(report);
    assert_eq!((first.service.as_str(), first.operation.as_str()), ("payment-service", "db.pool.acquire"));
    assert_eq!(
        (first.cause.kind, first.saving_reference),
        (CauseKind::PoolWait, SavingReference::BodyMedian)
    );
    assert!(first.confidence >= 0.8, "{first:#?}");
    let evidence = first.cause.evidence.join("\n");
    assert!(evidence.contains("the pool's size is 2 (db.client.connection.max)"), "{evidence}");
    assert!(evidence.contains("while someone waits, 2.0 connections are held on average"), "{evidence}");
    assert!(evidence.contains("% of it in POST card-processor"), "{evidence}");
    let hot: Vec<_> =
        report.service_graph.nodes.iter().filter(|node| node.hot).map(|node| &*node.id).collect();
    assert_eq!(hot, ["payment-service"]);
    assert!(report.mermaid.starts_with("graph TD\n") && report.mermaid.contains("hot"), "{}", report.mermaid);
}

#[test]
fn the_saving_foretells_what_a_larger_pool_gives() {
    let (small, large) = (&SMALL.1, &LARGE.1);
    let gained = small.entry_points[0].p99_ms - large.entry_points[0].p99_ms;
    let foretold = first(small).saving_p99_ms;
    assert!((foretold - gained).abs() <= 0.25 * gained, "foretold {foretold} ms, gained {gained} ms");
}

#[test]
fn without_the_small_pool_the_card_processor_is_next() {
    let first = first(&LARGE.1);
    assert_eq!(
        (first.operation.as_str(), first.cause.kind),
        ("POST card-processor", CauseKind::Downstream),
        "{first:#?}"
    );
}

#[test]
fn a_slow_tail_is_found() {
    check(Fault::SlowLookup, &[("inventory-service", "warehouse.lookup")], CauseKind::SelfTime);
}

#[test]
fn what_is_always_slow_is_found() {
    let found = check(Fault::AlwaysSlowOrder, &[("order-service", "POST /orders")], CauseKind::SelfTime);
    assert_eq!(found.saving_reference, SavingReference::WhatIf);
}

#[test]
fn retries_are_found() {
    let want = [("inventory-service", "POST /reservations"), ("order-service", "POST /orders")];
    check(Fault::RetriedInventory, &want, CauseKind::Retry);
}

#[test]
fn many_like_calls_are_found() {
    let found = check(Fault::ManyQueries, &[("order-service", "SELECT items")], CauseKind::NPlusOne);
    assert!(
        found.cause.evidence.iter().any(|sentence| sentence.contains("up to 12 such calls")),
        "{found:#?}"
    );
}

#[test]
fn a_slow_network_is_found() {
    check(Fault::NetworkGap, &[("order-service", "POST inventory")], CauseKind::Network);
}

#[test]
fn a_lock_is_found() {
    check(Fault::LockWait, &[("order-service", "stock.lock")], CauseKind::LockWait);
}

#[test]
fn slow_failures_are_found() {
    check(Fault::FailingInventory, &[("inventory-service", "POST /reservations")], CauseKind::Error);
}

#[test]
fn contributions_add_up_to_the_change_of_the_mean() {
    for (before, after) in [(2, 16), (16, 2), (2, 2)] {
        let before = shop(before, Fault::None);
        let after = Shop { seed: 8, pool: after, requests: 1_777, fault: Fault::ManyQueries }.traces();
        let compare = compare(&before, &after);
        let entry = &compare.entry_points[0];
        let sum: f64 = entry.contributions.iter().map(|contribution| contribution.delta_ms).sum();
        let change = entry.after.mean_ms - entry.before.mean_ms;
        assert!((sum - change).abs() < 1e-6, "{sum} against {change}");
        assert!(entry.contributions.iter().any(|contribution| contribution.operation == "SELECT items"));
    }
}

#[test]
fn the_report_survives_json() {
    let report = &SMALL.1;
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), *report);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let first = &value["entry_points"][0]["bottlenecks"][0];
    assert_eq!(
        (&first["cause"]["kind"], &first["saving_reference"]),
        (&"pool_wait".into(), &"body_median".into())
    );
    assert_eq!(value["services"].as_array().map(Vec::len), Some(4));
}

#[test]
fn the_text_names_the_bottleneck_in_both_languages() {
    let (before, report) = &*SMALL;
    let compare = compare(before, &LARGE.0);
    let english = render_text(report, Some(&compare), Style::default());
    println!("{english}");
    assert!(
        english
            .contains("BOTTLENECK payment-service / db.pool.acquire: waiting for a connection from the pool")
    );
    let chinese = render_text(report, Some(&compare), Style { lang: Lang::Zh, ..Style::default() });
    println!("{chinese}\n{}", report.mermaid);
    assert!(chinese.contains("瓶颈 payment-service / db.pool.acquire: 等待连接池中的连接"));
}
