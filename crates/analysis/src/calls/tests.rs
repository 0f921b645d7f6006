use super::*;
use crate::testing::trace;

#[track_caller]
fn check(lines: &str, want: &[&str]) {
    let got: Vec<_> = calls(&trace(lines))
        .into_iter()
        .map(|call| {
            let ns = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| ns.to_string());
            let failed = if call.failed { " failed" } else { "" };
            let kind = if call.kind.as_str().is_empty() { "direct" } else { call.kind.as_str() };
            format!(
                "{}>{} {kind} {} {}{failed}",
                call.client,
                call.server,
                ns(call.client_ns),
                ns(call.server_ns)
            )
        })
        .collect();
    assert_eq!(got, want);
}

#[test]
fn user_to_server_to_server() {
    check(
        "A - 0 100 server web/x\n C A 10 90 client web/call\n B C 20 80 server shop/y error",
        &["user>web virtual_node - 100", "web>shop direct 80 60 failed"],
    );
}

#[test]
fn spans_between_and_unset_kinds_hide_nothing() {
    check(
        "A - 0 100 web/x\n I A 5 95 internal web/i\n B I 20 80 shop/y\n D B 30 40 shop/z",
        &["web>shop direct - 60"],
    );
}

#[test]
fn outside_is_named_by_its_attributes() {
    check(
        "C - 0 10 client a/q db.system=mysql server.address=10.0.0.1\n D - 11 15 client a/h server.address=card",
        &["a>mysql database 10 -", "a>card virtual_node 4 -"],
    );
    check("C - 0 10 client a/q peer.service=bank error", &["a>bank virtual_node 10 - failed"]);
    check("C - 0 10 client a/q", &[]);
    check("C - 0 10 client a/q peer.service=b\n S C 1 9 server b/x", &["a>b direct 10 8"]);
}

#[test]
fn messages() {
    check("P - 0 5 producer a/p\n C P 20 90 consumer b/c", &["a>b messaging_system 5 70"]);
    check("P - 0 5 producer a/p messaging.system=kafka", &["a>kafka messaging_system 5 -"]);
}

#[test]
fn an_orphan_is_not_the_users() {
    check("B lost 20 80 server shop/y", &[]);
}
