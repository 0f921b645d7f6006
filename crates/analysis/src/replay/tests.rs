use proptest::prelude::*;

use super::*;
use crate::testing::{span_id, trace};

/// Duration of the root with the own work of span `name` at `num / den`.
#[track_caller]
fn check(lines: &str, name: &str, (num, den): (u64, u64), want: u64) {
    let trace = trace(lines);
    let shrunk = |index: usize| (trace.span(index).span_id == span_id(name)).then_some(Scale { num, den });
    assert_eq!(replay(&trace, trace.headline_root().unwrap(), Overflow::Auto, shrunk), want);
}

#[test]
fn what_follows_moves_up() {
    check("R - 0 100\n A R 10 40\n B R 50 90", "A", (0, 1), 70);
    check("R - 0 100\n A R 10 40\n B R 50 90", "B", (1, 2), 80);
}

#[test]
fn a_parallel_sibling_takes_over() {
    check("R - 0 100\n A R 10 90\n B R 10 70", "A", (0, 1), 80);
    check("R - 0 100\n A R 10 90\n B R 10 70", "B", (0, 1), 100);
}

#[test]
fn own_work_is_what_no_child_covers() {
    check("R - 0 100\n A R 10 40\n B R 20 60", "R", (0, 1), 50);
    check("R - 0 100\n A R 10 40\n B R 20 60", "R", (1, 2), 75);
}

#[test]
fn the_saving_passes_up_through_calls() {
    check("R - 0 100\n C R 10 90 client\n S C 20 80 server t/x\n Q S 30 70 t/q", "Q", (1, 4), 70);
}

#[test]
fn a_caller_that_gave_up_gains_once_the_answer_comes_in_time() {
    // The server goes on until 200, the client stopped waiting at 100.
    let lines = "C - 0 100 client\n S C 20 200 server t/x";
    check(lines, "S", (1, 2), 100);
    check(lines, "S", (1, 18), 30);
}

#[test]
fn the_next_waits_for_all_that_ended_before_it() {
    check("R - 0 100\n A R 0 50\n B R 0 40\n D R 50 100", "A", (0, 1), 90);
}

fn parents_and_times() -> impl Strategy<Value = String> {
    let line = (0..12_u32, 0..400_u64, 0..300_u64, prop::bool::ANY);
    prop::collection::vec(line, 1..12).prop_map(|spans| {
        let mut lines = String::from("s0 - 100 600 server\n");
        for (index, (parent, start, length, remote)) in (1_u32..).zip(spans) {
            let kind = if remote { "server b/x" } else { "client" };
            lines += &format!("s{index} s{} {start} {} {kind}\n", parent % index, start + length);
        }
        lines
    })
}

#[test]
fn a_staggered_start_beside_a_running_sibling_stays() {
    // Whatever started B 50 later than A ran beside A: it is no own work of R, nor of A.
    check("R - 0 100\n A R 0 100\n B R 50 100", "A", (0, 1), 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_shortened_is_the_trace_and_shorter_is_never_longer(
        lines in parents_and_times(),
        chosen in 0..13_usize,
        num in 0..=10_u64,
    ) {
        let trace = trace(&lines);
        for root in trace.roots() {
            for overflow in [Overflow::Auto, Overflow::Clip, Overflow::Async] {
                let duration = trace.span(*root).duration_ns();
                prop_assert_eq!(replay(&trace, *root, overflow, |_| None), duration);
                let scale = |span| (span == chosen).then_some(Scale { num, den: 10 });
                prop_assert!(replay(&trace, *root, overflow, scale) <= duration);
            }
        }
    }
}
