use proptest::prelude::*;

use super::*;
use crate::testing::{spans, trace};
use crate::{Lang, Style, compare, render_text};

#[track_caller]
fn one_report(lines: &[&str]) -> Report {
    let traces: Vec<_> = lines.iter().map(|lines| trace(lines)).collect();
    let window = Window { start_ms: 0, end_ms: 10_000 };
    report(&traces, &ReportOptions { window, ..ReportOptions::default() })
}

#[test]
fn red_counts_server_spans_only() {
    let report = one_report(&[
        "A - 0 30000000 server web/x error\n B A 0 10000000 client web/y error",
        "A - 0 10000000 server web/x",
        "J - 0 5000000 internal job/run",
    ]);
    let rows: Vec<_> =
        report.services.iter().map(|row| (&*row.service, row.requests, row.error_ratio)).collect();
    assert_eq!(rows, [("job", 1, 0.0), ("web", 2, 0.5)]);
    let web = &report.services[1];
    assert_eq!((web.rate_per_s, web.avg_ms, web.p50_ms, web.p99_ms), (0.2, 20.0, 10.0, 30.0));
}

#[test]
fn a_trace_without_its_beginning_is_no_entry_point() {
    let whole = "G - 0 100 server gateway/x\n O G 10 90 server order/y";
    let report = one_report(&[whole, whole, "O G 10 90 server order/y"]);
    assert_eq!((report.traces, report.traces_analysed, report.traces_incomplete), (3, 2, 1));
    assert_eq!(report.entry_points.len(), 1);
    assert_eq!(report.services[1].requests, 3, "its spans count all the same");
}

#[test]
fn who_takes_messages_is_an_entry_point() {
    let report = one_report(&["P - 0 100 producer a/send\n C P 200 900 consumer b/take"]);
    let entries: Vec<_> = report.entry_points.iter().map(|entry| &*entry.operation).collect();
    assert_eq!(entries, ["send", "take"]);
}

#[test]
fn of_too_many_traces_some_are_walked_and_all_counted() {
    let traces: Vec<_> = (0..100).map(|_| trace("A - 0 1000 server a/x")).collect();
    let report = report(&traces, &ReportOptions { traces_max: 30, ..ReportOptions::default() });
    assert_eq!((report.traces, report.traces_analysed, report.services[0].requests), (100, 25, 100));
}

/// An operation that is shorter in slow traces than in the middle ones has no excess of any class: what it is spent
/// on in all traces is its cause, not the class that happens to come last with an excess of zero.
#[test]
fn without_an_excess_the_cause_is_where_the_time_goes() {
    let request = |duration_ns: u64, looks: bool| {
        let look = if looks { "\n L A 1000000 9000000 internal b/look" } else { "" };
        format!("A - 0 {duration_ns} server a/x{look}")
    };
    let mut requests: Vec<String> = (0..95).map(|n| request(20_000_000 + n, n % 9 % 2 == 1)).collect();
    requests.extend([90_000_000, 91_000_000, 92_000_000].map(|duration_ns| request(duration_ns, false)));
    requests.extend([95_000_000, 96_000_000].map(|duration_ns| request(duration_ns, true)));
    let lines: Vec<&str> = requests.iter().map(String::as_str).collect();
    let report = one_report(&lines);
    let look = report.entry_points[0].bottlenecks.iter().find(|row| &*row.operation == "look");
    assert_eq!(look.expect("ranked").cause.kind, CauseKind::SelfTime);
}

#[test]
fn a_sample_stands_for_all() {
    let traces = [trace("A - 0 1000 server a/x\n B A 0 900 server b/y")];
    let window = Window { start_ms: 0, end_ms: 1_000 };
    let options = ReportOptions { window, sample_one_in: 4, ..ReportOptions::default() };
    let report = report(&traces, &options);
    assert_eq!((report.traces, report.services[0].requests, report.services[0].rate_per_s), (4, 4, 4.0));
    let edge = &report.service_graph.edges[0];
    assert_eq!((edge.calls, edge.rate_per_s, report.service_graph.nodes[0].rate_per_s), (4, 4.0, 4.0));
}

#[test]
fn the_graph_has_services_outside_and_the_user() {
    let lines = "A - 0 4000000 server web/x\n C A 0 2000000 client web/y peer.service=bank error";
    let traces = [trace(lines)];
    let graph = service_graph(&traces, Window { start_ms: 0, end_ms: 1_000 }, None);
    let nodes: Vec<_> = graph.nodes.iter().map(|node| (&*node.id, node.kind, node.error_ratio)).collect();
    assert_eq!(
        nodes,
        [("bank", NodeKind::External, 1.0), ("user", NodeKind::User, 0.0), ("web", NodeKind::Service, 0.0)]
    );
    let edges: Vec<_> = graph.edges.iter().map(|edge| (&*edge.source, &*edge.target, edge.p95_ms)).collect();
    assert_eq!(edges, [("user", "web", 4.0), ("web", "bank", 2.0)]);
}

#[test]
fn evidence_comes_in_the_language_asked_for() {
    let traces = [trace("A - 0 9000000 server a/x\n C A 1000000 8000000 client a/GET peer.service=bank")];
    let said = |lang| {
        let report = report(&traces, &ReportOptions { lang, ..ReportOptions::default() });
        let first = &report.entry_points[0].bottlenecks[0];
        [first.cause.evidence.join("\n"), first.votes.iter().map(|vote| &*vote.detail).collect()].concat()
    };
    assert!(said(Lang::En).contains("it waits for bank, which sends no spans"));
    assert!(said(Lang::Zh).contains("它在等待 bank") && said(Lang::Zh).contains("可减少 P99 的"));
}

#[test]
fn a_lost_server_span_makes_no_second_edge() {
    let report = one_report(&[
        "A - 0 100 server a/x\n C A 10 90 client a/y peer.service=b\n S C 20 80 server b/y",
        "A - 0 100 server a/x\n C A 10 90 client a/y peer.service=b",
    ]);
    let edges: Vec<_> =
        report.service_graph.edges.iter().map(|e| (&*e.source, &*e.target, e.calls)).collect();
    assert_eq!(edges, [("a", "b", 2), ("user", "a", 2)]);
}

#[test]
fn mermaid_labels_cannot_break_out() {
    let report = one_report(&["A - 0 100 server we\"b]<x>/y"]);
    assert!(report.mermaid.contains("n1[\"we#quot;b]#lt;x#gt;"), "{}", report.mermaid);
}

/// Spans with any parents and any times, even before they begin or at the end of time.
fn garbage() -> impl Strategy<Value = String> {
    let time = prop_oneof![0..1_000_u64, 0..100_000_000_u64, Just(u64::MAX), Just(0)];
    let rest = prop::sample::select(vec![
        "server a/x",
        "client a/call",
        "client a/call error",
        "server b/y error",
        "internal a/db.pool.acquire",
        "client a/SELECT db.system=x",
        "producer a/send",
        "consumer b/take",
        "a/queue.wait",
        "",
    ]);
    let line = (0..30_u32, 0..40_u32, time.clone(), time, rest);
    prop::collection::vec(line, 0..40).prop_map(|spans| {
        let line = |(id, parent, start, end, rest): (u32, u32, u64, u64, &str)| {
            let parent = if parent > 35 { "-".to_owned() } else { format!("s{parent}") };
            format!("s{id} {parent} {start} {end} {rest}\n")
        };
        spans.into_iter().map(line).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn garbage_has_a_report_of_finite_numbers(before in prop::collection::vec(garbage(), 0..12), after in garbage()) {
        let before: Vec<_> = before.iter().map(|lines| Trace::assemble(&spans(lines))).collect();
        let after = [trace(&after)];
        let report = report(&before, &ReportOptions::default());
        let compare = compare(&before, &after);
        render_text(&report, Some(&compare), Style::default());
        // JSON has no other numbers: what is not finite would read back as null and fail.
        let json = serde_json::to_string(&report).unwrap();
        prop_assert!(serde_json::from_str::<Report>(&json).is_ok(), "{json}");
        for entry in &compare.entry_points {
            let sum: f64 = entry.contributions.iter().map(|contribution| contribution.delta_ms).sum();
            let change = entry.after.mean_ms - entry.before.mean_ms;
            // Times here reach centuries, where a float's own steps are larger than 1e-6 ms.
            let steps = (entry.after.mean_ms + entry.before.mean_ms) * 1e-12;
            prop_assert!((sum - change).abs() <= 1e-6 + steps, "{sum} against {change}");
        }
    }
}
