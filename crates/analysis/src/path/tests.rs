use proptest::prelude::*;

use crate::testing::{id_text, span, spans, trace, trace_id};
use crate::{Class, Overflow, PathOptions, Trace, critical_path, critical_path_json, critical_path_with};

fn render(trace: &Trace, overflow: Overflow) -> String {
    let mut out = Vec::new();
    for section in critical_path(trace, overflow).iter().flat_map(|path| &path.sections) {
        let class = if section.class == Class::SelfTime { "" } else { section.class.as_str() };
        let name = id_text(trace.span(section.span).span_id);
        out.push(format!("{name}{}..{}{class}", section.start_ns, section.end_ns));
    }
    out.join(" ")
}

#[track_caller]
fn check(lines: &str, want: &str) {
    assert_eq!(render(&trace(lines), Overflow::Auto), want);
}

#[test]
fn the_last_to_finish_is_on_the_path() {
    check("R - 0 100\n A R 10 40\n B R 20 60\n C R 70 80", "R0..20 B20..60 R60..70 C70..80 R80..100");
}

#[test]
fn touching_siblings_are_chained() {
    check("R - 0 100\n A R 0 50\n B R 50 100", "A0..50 B50..100");
}

#[test]
fn a_producer_does_not_wait() {
    check("R - 0 100 producer\n A R 10 90 consumer", "R0..100");
}

#[test]
fn what_outlives_its_parent() {
    let local = "R - 0 1000\n A R 100 1500";
    assert_eq!(render(&trace(local), Overflow::Clip), "R0..100 A100..1000");
    assert_eq!(render(&trace(local), Overflow::Async), "R0..1000");
    check(local, "R0..1000");
    check("R - 0 1000\n A R 100 1005", "R0..100 A100..1000");
    check("C - 0 1000 client a/x\n S C 100 1500 server b/x", "C0..100network S100..1000");
}

#[test]
fn classes() {
    check(
        "S - 0 100 server a/x\n P S 10 30 a/db.pool.acquire\n L S 30 50 a/lock_wait\n Q S 50 60 a/queue.wait",
        "S0..10 P10..30pool_wait L30..50lock_wait Q50..60queue_wait S60..100",
    );
    check(
        "S - 0 100 server a/x\n C S 10 90 client a/c\n T C 20 80 server b/y",
        "S0..10 C10..20network T20..80 C80..90network S90..100",
    );
}

#[test]
fn a_failed_attempt_and_the_pause_after_it_are_retry() {
    check(
        "S - 0 100 server a/x\n A S 10 30 client a/c error\n B S 50 70 client a/c",
        "S0..10 A10..30retry S30..50retry B50..70 S70..100",
    );
    // The last failure was not tried again; two successes are not one operation tried twice.
    check(
        "S - 0 100 server a/x\n A S 10 30 client a/c error\n B S 50 70 client a/c error",
        "S0..10 A10..30retry S30..50retry B50..70 S70..100",
    );
    check(
        "S - 0 90 server a/x\n A S 0 30 client a/c error\n B S 30 60 client a/c\n C S 60 90 client a/c",
        "A0..30 B30..60 C60..90",
    );
}

#[test]
fn a_retried_call_is_retry_below_too() {
    check(
        "S - 0 100 server a/x\n A S 0 40 client a/c\n T A 10 30 server b/y error\n B S 40 100 client a/c",
        "A0..10retry T10..30retry A30..40retry B40..100",
    );
}

#[test]
fn tolerated_overlap_goes_to_the_later_sibling() {
    let trace = trace("R - 0 1000\n A R 0 505\n B R 500 1000");
    let options = PathOptions { overflow: Overflow::Clip, tolerance_ns: 10 };
    let sections = &critical_path_with(&trace, options)[0].sections;
    assert_eq!(sections.iter().map(|s| (s.start_ns, s.end_ns)).collect::<Vec<_>>(), [(0, 500), (500, 1000)]);
}

#[test]
fn a_chain_of_twenty_thousand_spans() {
    let deep: Vec<_> = (0..20_000_u64)
        .map(|depth| {
            let parent = if depth == 0 { "-".to_owned() } else { format!("{}", depth - 1) };
            span(trace_id(1), &format!("{depth} {parent} {depth} {}", 40_000 - depth))
        })
        .collect();
    let paths = critical_path(&Trace::assemble(&deep), Overflow::Auto);
    assert_eq!((paths.len(), paths[0].sections.len()), (1, 39_999));
}

#[test]
fn json_has_offsets_from_the_root() {
    let trace = trace("A - 1000 1100 server shop/GET_/\n B A 1010 1040 shop/db.pool.acquire");
    let json = serde_json::to_value(critical_path_json(trace.trace_id(), &trace, Overflow::Auto)).unwrap();
    let section = |span: &str, operation, class, start: u64, end: u64| {
        serde_json::json!({"span_id": format!("{:0>16}", span), "service": "shop", "operation": operation,
            "class": class, "start_ns": start, "end_ns": end})
    };
    let want = serde_json::json!({"trace_id": "01".repeat(16), "roots": [{
    "span_id": "0000000000000041", "duration_ns": 100, "sections": [
        section("41", "GET /", "self", 0, 10),
        section("42", "db.pool.acquire", "pool_wait", 10, 40),
        section("41", "GET /", "self", 40, 100),
    ]}]});
    assert_eq!(json, want);
}

/// Any spans with any parents: ids repeat, parents are missing, later, themselves or in cycles, times overlap.
fn garbage() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["", "server", "client a/x", "producer", "consumer b/y", "error"]);
    let line = (0..40_u32, 0..50_u32, 0..300_u64, 0..200_u64, kind);
    prop::collection::vec(line, 1..60).prop_map(|spans| {
        let line = |(id, parent, start, length, kind): (u32, u32, u64, u64, &str)| {
            let parent = if parent > 45 { "-".to_owned() } else { format!("s{parent}") };
            format!("s{id} {parent} {start} {} {kind}\n", start + length)
        };
        spans.into_iter().map(line).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sections_partition_every_root(lines in garbage(), overflow in 0..3_usize) {
        let overflow = [Overflow::Auto, Overflow::Clip, Overflow::Async][overflow];
        let trace = trace(&lines);
        let reached: usize = trace.roots().iter().map(|root| trace.subtree(*root).len()).sum();
        prop_assert_eq!(reached, trace.spans().len());
        for path in critical_path(&trace, overflow) {
            let root = trace.span(path.root);
            let mut cursor_ns = root.start_ns;
            for section in &path.sections {
                prop_assert_eq!(section.start_ns, cursor_ns);
                prop_assert!(section.end_ns > section.start_ns);
                let span = trace.span(section.span);
                prop_assert!(span.start_ns <= section.start_ns && section.end_ns <= span.end_ns);
                cursor_ns = section.end_ns;
            }
            prop_assert_eq!(cursor_ns, root.end_ns);
        }
    }

    #[test]
    fn order_of_arrival_does_not_matter(lines in garbage(), seed in any::<u64>()) {
        let given = spans(&lines);
        let mut shuffled = given.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let (one, other) = (Trace::assemble(&given), Trace::assemble(&shuffled));
        prop_assert_eq!(render(&one, Overflow::Auto), render(&other, Overflow::Auto));
    }
}
