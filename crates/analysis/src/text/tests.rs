use expect_test::expect;

use super::table::{Align, Table, clean, display_width, wrap};
use super::*;
use crate::testing::trace;
use crate::{ReportOptions, Window, report};

#[test]
fn wide_letters_take_two_columns() {
    let mut table = Table::new(&[("服务", Align::Left), ("ms", Align::Right)]);
    table.row(["网关".to_owned(), "1.0".to_owned()], None);
    table.row(["gateway".to_owned(), "12.5".to_owned()], Some("1;31"));
    expect![[r#"
        +---------+------+
        | 服务    |   ms |
        +---------+------+
        | 网关    |  1.0 |
        | gateway | 12.5 |
        +---------+------+"#]]
    .assert_eq(&table.lines(false).join("\n"));
    assert!(table.lines(true).join("\n").contains("\x1b[1;31mgateway\x1b[0m"));
}

#[test]
fn sentences_wrap_at_spaces() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("unbreakable x", 5), ["unbreakable", "x"]);
    assert_eq!(display_width(&wrap("等待 连接 池", 9)[0]), 9);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    assert_eq!(clean("a\x1b[2Jb\nc"), "a [2Jb c");
    let mut evil = (*crate::testing::span(crate::testing::trace_id(1), "A - 0 5000000 server a/x")).clone();
    evil.name = "\x1b]0;owned\x07".into();
    let report = report(&[crate::Trace::assemble(&[evil.into()])], &ReportOptions::default());
    let text = render_text(&report, None, Style::default());
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn an_empty_window_says_what_to_do() {
    let report = report(&[], &ReportOptions::default());
    expect![[r#"
        0 traces in 0 s

        +---------+----------+--------+--------+--------+--------+--------+----------+
        | Service | Requests | Rate/s | Avg ms | P50 ms | P95 ms | P99 ms | Errors % |
        +---------+----------+--------+--------+--------+--------+--------+----------+
        +---------+----------+--------+--------+--------+--------+--------+----------+

        No complete trace in this window: check that services export spans.
    "#]]
    .assert_eq(&render_text(&report, None, Style::default()));
}

#[test]
fn a_single_trace_has_a_report() {
    let one =
        trace("A - 0 10000000 server web/GET_/\n B A 1000000 9000000 client web/call peer.service=bank");
    let window = Window { start_ms: 0, end_ms: 1_000 };
    let report = report(&[one], &ReportOptions { window, ..ReportOptions::default() });
    expect![[r#"
        1 traces in 1 s

        +---------+----------+--------+--------+--------+--------+--------+----------+
        | Service | Requests | Rate/s | Avg ms | P50 ms | P95 ms | P99 ms | Errors % |
        +---------+----------+--------+--------+--------+--------+--------+----------+
        | web     |        1 |    1.0 |   10.0 |   10.0 |   10.0 |   10.0 |     0.00 |
        +---------+----------+--------+--------+--------+--------+--------+----------+

        web GET /: P50 10.0 ms, P99 10.0 ms (1 traces)
          BOTTLENECK web / call: a slow call to something outside
            fixing it saves 4.0 of 10.0 ms of P99 (were it in half its time)
            - 80 % of the critical path of the slowest 5 % of traces, 80 % of the middle ones, 80 % of all
            - 1 of 1 traces spend time here, 1 of them 1 ms or more; per trace P50 8.0 ms, P99 8.0 ms
            - it waits for bank, which sends no spans; look there or call it less
            confidence 100 %: 3 of 3 independent checks agree
    "#]]
    .assert_eq(&render_text(&report, None, Style::default()));
}
