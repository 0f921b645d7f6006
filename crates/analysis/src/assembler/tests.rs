use super::*;
use crate::testing::{span, trace_id};

const S: u64 = 1_000_000_000;

struct Bench {
    assembler: Assembler,
    registry: Registry,
}

impl Bench {
    fn new(config: AssemblerConfig) -> Self {
        let registry = Registry::new();
        Self { assembler: Assembler::new(config, &registry), registry }
    }

    fn span(&mut self, trace: u8, line: &str, at_s: u64) {
        self.assembler.observe(&span(trace_id(trace), line), at_s * S);
    }

    /// Closed by then: first byte of the trace id, spans, reason.
    fn closed(&mut self, at_s: u64) -> Vec<(u8, usize, CloseReason)> {
        self.assembler.tick(at_s * S);
        let closed = self.assembler.drain();
        closed.into_iter().map(|trace| (trace.trace_id.0[0], trace.spans.len(), trace.reason)).collect()
    }

    fn counter(&self, line: &str) -> bool {
        self.registry.encode_text().lines().any(|candidate| candidate == line)
    }
}

#[test]
fn complete_after_two_idle_seconds() {
    let mut bench = Bench::new(AssemblerConfig::default());
    bench.span(1, "A R 5 10", 100);
    bench.span(1, "R - 0 20 server", 101);
    assert_eq!(bench.closed(102), []);
    assert_eq!(bench.closed(103), [(1, 2, CloseReason::Complete)]);
    assert_eq!(bench.closed(200), []);
}

#[test]
fn a_missing_parent_or_root_waits_ten_seconds() {
    let mut bench = Bench::new(AssemblerConfig::default());
    bench.span(1, "R - 0 20", 100);
    bench.span(1, "B A 5 10", 100);
    bench.span(2, "A X 5 10", 103);
    assert_eq!(bench.closed(109), []);
    assert_eq!(bench.closed(110), [(1, 2, CloseReason::Idle)]);
    assert_eq!(bench.closed(113), [(2, 1, CloseReason::Idle)]);
}

#[test]
fn a_span_keeps_its_trace_open_until_it_is_old() {
    let mut bench = Bench::new(AssemblerConfig::default());
    for second in 0..=300 {
        bench.span(1, &format!("s{second} R 0 1"), second);
        let want = if second == 300 { vec![(1, 301, CloseReason::Aged)] } else { vec![] };
        assert_eq!(bench.closed(second), want);
    }
}

#[test]
fn late_spans_are_counted_and_open_nothing() {
    let mut bench = Bench::new(AssemblerConfig::default());
    bench.span(1, "R - 0 20", 100);
    assert_eq!(bench.closed(102).len(), 1);
    bench.span(1, "A R 5 10", 103);
    assert_eq!(bench.closed(200), []);
    assert!(bench.counter("eino_analysis_spans_skipped_total{reason=\"late\"} 1"));
    assert!(bench.counter("eino_analysis_open_traces 0"));
}

#[test]
fn the_longest_untouched_is_evicted() {
    let mut bench = Bench::new(AssemblerConfig { spans_max: 3, ..AssemblerConfig::default() });
    bench.span(1, "R - 0 20", 1);
    bench.span(2, "R - 0 20", 2);
    bench.span(1, "A R 0 20", 3);
    bench.span(3, "R - 0 20", 4);
    assert_eq!(bench.closed(4), [(2, 1, CloseReason::Evicted)]);
    assert!(bench.counter("eino_analysis_open_spans 3"));
    assert!(bench.counter("eino_analysis_traces_closed_total{reason=\"evicted\"} 1"));
}

#[test]
fn one_trace_has_a_limit() {
    let mut bench = Bench::new(AssemblerConfig { trace_spans_max: 2, ..AssemblerConfig::default() });
    (0..5).for_each(|number| bench.span(1, &format!("s{number} - 0 20"), 1));
    bench.span(1, "s0 - 0 20", 1);
    assert_eq!(bench.closed(3), [(1, 2, CloseReason::Complete)]);
    assert!(bench.counter("eino_analysis_spans_skipped_total{reason=\"trace_spans_max\"} 4"));
}

#[test]
fn a_span_seen_twice_counts_once() {
    let mut bench = Bench::new(AssemblerConfig::default());
    bench.span(1, "R - 0 20", 1);
    bench.span(1, "R - 0 20", 1);
    assert_eq!(bench.closed(3), [(1, 1, CloseReason::Complete)]);
}

#[test]
fn a_new_client_operation_waits_for_its_answer() {
    let mut bench = Bench::new(AssemblerConfig::default());
    bench.span(1, "R - 0 20 server", 100);
    bench.span(1, "C R 5 10 client", 100);
    assert_eq!(bench.closed(105), []);
    bench.span(1, "S C 6 9 server b/x", 106);
    assert_eq!(bench.closed(108), [(1, 3, CloseReason::Complete)]);
}

#[test]
fn a_client_operation_never_answered_is_not_waited_for() {
    let mut bench = Bench::new(AssemblerConfig::default());
    for trace in 1..=5 {
        bench.span(trace, "R - 0 20 server", 100);
        bench.span(trace, "C R 5 10 client", 100);
    }
    assert_eq!(bench.closed(109), []);
    assert_eq!(bench.closed(110).len(), 5);
    bench.span(6, "R - 0 20 server", 111);
    bench.span(6, "C R 5 10 client", 111);
    assert_eq!(bench.closed(113), [(6, 2, CloseReason::Complete)]);
}

#[test]
fn memory_of_closed_traces_is_bounded() {
    let mut bench = Bench::new(AssemblerConfig { closed_max: 1, ..AssemblerConfig::default() });
    bench.span(1, "R - 0 20", 1);
    bench.span(2, "R - 0 20", 1);
    bench.assembler.close_all();
    assert_eq!(bench.closed(1).len(), 2);
    bench.span(1, "R - 0 20", 2);
    assert_eq!(bench.closed(4), [(1, 1, CloseReason::Complete)]);
}

#[test]
fn ticks_in_a_row_look_once() {
    let mut bench = Bench::new(AssemblerConfig::default());
    assert_eq!(bench.closed(1), []);
    bench.span(1, "R - 0 20", 1);
    bench.assembler.tick(3 * S - 1);
    bench.assembler.tick(3 * S);
    assert!(bench.assembler.drain().is_empty(), "looked a moment ago");
    bench.assembler.tick(3 * S + S / 2);
    assert_eq!(bench.assembler.drain().len(), 1);
}
