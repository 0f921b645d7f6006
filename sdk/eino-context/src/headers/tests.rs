use super::*;
use crate::IdSource;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    headers
}

#[track_caller]
fn check(lines: &[&str], want: Expect) {
    let seen = match extract(&headers(lines)) {
        None => "none".to_owned(),
        Some(remote) => {
            let span = remote.span_id.map_or("-".to_owned(), |id| id.to_string());
            let sampled = remote.sampled.map_or("undecided", |yes| if yes { "sampled" } else { "unsampled" });
            let state = remote.tracestate.map_or(String::new(), |state| format!(" {state}"));
            format!("{} {span} {sampled}{state}", remote.trace_id)
        }
    };
    want.assert_eq(&seen);
}

#[test]
fn precedence() {
    let x = ["X-Trace-ID: 0000000000000000000000000000000a", "X-Span-ID: b", "X-Parent-ID: c"];
    check(&[], expect!["none"]);
    check(&[PARENT], expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled"]);
    check(&x, expect!["0000000000000000000000000000000a 000000000000000b undecided"]);
    check(
        &[&[PARENT], &x[..]].concat(),
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled"],
    );
    check(
        &[&["traceparent: 00-zz-00f067aa0ba902b7-01"], &x[..]].concat(),
        expect!["0000000000000000000000000000000a 000000000000000b undecided"],
    );
    check(&[x[0]], expect!["0000000000000000000000000000000a - undecided"]);
    check(&[x[1], x[2]], expect!["none"]);
    check(
        &["X-Trace-ID: 4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "X-Span-ID: nonsense"],
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 - undecided"],
    );
}

#[test]
fn traceparent_forms() {
    let span = "00f067aa0ba902b7";
    check(
        &[&format!("traceparent: 00-{TRACE}-{span}-00")],
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 unsampled"],
    );
    check(
        &[&format!("traceparent: 00-{TRACE}-{span}-03")],
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled"],
    );
    check(
        &[&format!("traceparent: cc-{TRACE}-{span}-01-more")],
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled"],
    );
    for bad in [
        format!("00-{TRACE}-{span}-01-more"),
        format!("ff-{TRACE}-{span}-01"),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{span}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{span}"),
        format!("00-{TRACE}-{span}-1"),
        format!("00-{TRACE}-{span}-+1"),
    ] {
        check(&[&format!("traceparent: {bad}")], expect!["none"]);
    }
    check(&[PARENT, PARENT], expect!["none"]);
}

#[test]
fn tracestate_is_kept_only_with_a_valid_traceparent() {
    check(
        &[PARENT, "tracestate: a=1", "tracestate: b=2"],
        expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled a=1,b=2"],
    );
    check(&["X-Trace-ID: a", "tracestate: a=1"], expect!["0000000000000000000000000000000a - undecided"]);
    let long = format!("tracestate: a={}", "x".repeat(4000));
    check(&[PARENT, &long], expect!["4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 sampled"]);
}

#[test]
fn written_headers() {
    let remote = extract(&headers(&[PARENT, "tracestate: a=1", "x-md-global-tenant: acme"])).unwrap();
    let ids = IdSource::seeded(1);
    let server = Ctx::from_remote(remote, ids.span_id(), true);
    let client = server.child(ids.span_id());
    let mut out = headers(&["x-parent-id: stale"]);
    inject(&client, &mut out);
    let mut lines: Vec<String> =
        out.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    expect![[r#"
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-beeb8da1658eec67-01
        tracestate: a=1
        x-md-global-tenant: acme
        x-parent-id: 910a2dec89025cc1
        x-span-id: beeb8da1658eec67
        x-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_deadline_travels_as_time_left() {
    let remote = extract(&headers(&[PARENT, "x-eino-timeout-ms: 5000"])).unwrap();
    let ctx = Ctx::from_remote(remote, IdSource::seeded(1).span_id(), true);
    let mut out = HeaderMap::new();
    inject(&ctx, &mut out);
    let left = extract(&out).unwrap().timeout.unwrap();
    assert!(left > Duration::from_millis(4_000) && left <= Duration::from_millis(5_000), "{left:?}");
    assert_eq!(extract(&headers(&[PARENT, "x-eino-timeout-ms: soon"])).unwrap().timeout, None);
}

#[test]
fn metadata_has_limits() {
    let lines: Vec<String> =
        (0..100).map(|n| format!("x-md-global-k{n}: v")).chain([PARENT.to_owned()]).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(extract(&headers(&lines)).unwrap().metadata.iter().count(), 64);
    let mut metadata = Metadata::default();
    assert!(metadata.insert("Upper", "v").is_err());
    assert!(metadata.insert("k", "line\nbreak").is_err());
    assert!(metadata.insert("k", &"x".repeat(9000)).is_err());
    metadata.insert("k", "1").unwrap();
    metadata.insert("k", "2").unwrap();
    assert_eq!(metadata.iter().collect::<Vec<_>>(), [("k", "2")]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(parent in "[ -~]{0,80}", trace in "[ -~]{0,80}") {
        let mut map = HeaderMap::new();
        map.insert("traceparent", HeaderValue::try_from(parent).unwrap());
        map.insert("x-trace-id", HeaderValue::try_from(trace).unwrap());
        extract(&map);
    }

    #[test]
    fn extract_undoes_inject(seed: u128, sampled: bool) {
        let ids = IdSource::seeded(seed);
        let ctx = Ctx::root(ids.trace_id(), ids.span_id(), sampled);
        let mut map = HeaderMap::new();
        inject(&ctx, &mut map);
        let back = extract(&map).unwrap();
        prop_assert_eq!((back.trace_id, back.span_id, back.sampled), (ctx.trace_id(), Some(ctx.span_id()), Some(sampled)));
    }
}
