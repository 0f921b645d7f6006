use super::*;
use crate::testing::{span, trace_id};

#[test]
fn names_tell_what_is_waited_for() {
    let cases = [
        ("db.pool.acquire", Some(Class::PoolWait)),
        ("HikariPool.getConnection", Some(Class::PoolWait)),
        ("pool wait", Some(Class::PoolWait)),
        ("connection.acquire", Some(Class::PoolWait)),
        ("acquireConnection", Some(Class::PoolWait)),
        ("GET /connections", None),
        ("pool.resize", None),
        ("carpool get", None),
        ("stock.lock", Some(Class::LockWait)),
        ("Mutex::lock", Some(Class::LockWait)),
        ("clock.read", None),
        ("unblock user", None),
        ("queue.wait", Some(Class::QueueWait)),
        ("job queued", Some(Class::QueueWait)),
        ("queue.publish", None),
        ("SELECT accounts", None),
        ("", None),
    ];
    for (name, want) in cases {
        let mut named = (*span(trace_id(1), "A - 0 1 internal")).clone();
        named.name = name.into();
        assert_eq!(wait_class(&named), want, "{name:?}");
        named.kind = SpanKind::Server;
        assert_eq!(wait_class(&named), None, "a server named {name:?} does not wait");
    }
}

#[test]
fn words_end_where_capitals_begin() {
    assert_eq!(words("HikariPool.getConnection"), ["hikari", "pool", "get", "connection"]);
    assert_eq!(words("db.client_HTTP--x"), ["db", "client", "http", "x"]);
    assert_eq!(words("连接池 wait"), ["连接池", "wait"]);
}

#[test]
fn a_pool_attribute_makes_an_acquisition_a_pool_wait() {
    let with = span(trace_id(1), "A - 0 1 s/acquire db.client.connection.pool.name=x");
    let without = span(trace_id(1), "A - 0 1 s/acquire");
    assert_eq!((wait_class(&with), wait_class(&without)), (Some(Class::PoolWait), None));
}

#[test]
fn indices_and_names_fit() {
    for class in Class::ALL {
        assert_eq!(Class::ALL[class.index()], class);
        assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
    }
}

#[test]
fn calls_to_different_sides_are_no_retry() {
    let lines = |first: &str, second: &str| {
        let trace = crate::testing::trace(&format!(
            "S - 0 100 server a/x\n A S 0 40 client a/POST error peer.service={first}\n B S 50 100 client a/POST peer.service={second}"
        ));
        Classes::of(&trace).of_span(1)
    };
    assert_eq!((lines("b", "c"), lines("b", "b")), (Class::SelfTime, Class::Retry));
}
