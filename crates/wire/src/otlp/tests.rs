mod metrics;
mod traces;

use super::*;

#[test]
fn responses_are_empty_unless_something_was_refused() {
    assert_eq!(response_traces(0, "", false), b"");
    assert_eq!(response_traces(0, "", true), b"{}");
    assert_eq!(response_metrics(3, "no", false), b"\x0a\x06\x08\x03\x12\x02no");
    let json = String::from_utf8(response_logs(3, "no \"store\"", true)).unwrap();
    assert_eq!(json, r#"{"partialSuccess":{"errorMessage":"no \"store\"","rejectedLogRecords":"3"}}"#);
}

#[test]
fn log_records_are_counted() {
    let json = br#"{"resourceLogs":[
        {"resource":{},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{}]},{"scope":{}}]},
        {"scope_logs":[{"log_records":[{"severityText":"INFO"}]}]}]}"#;
    assert_eq!(count_logs_json(json), Ok(3));
    assert_eq!(count_logs(&json::to_protobuf("logs", &schema::LOGS, json).unwrap()), Ok(3));
    assert_eq!(count_logs(b""), Ok(0));
    assert!(count_logs(b"\x0a\x05").is_err());
    assert!(count_logs_json(b"[]").is_err());
}
