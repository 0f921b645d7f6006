//! `Export…ServiceResponse`: empty when all went well, with a `partial_success` when something was refused.

use crate::protobuf::{put_blob, put_message, put_uint};

/// Answer to an export of traces. `rejected` counts spans; `message` says why. Both empty = full success.
pub fn response_traces(rejected: u64, message: &str, json: bool) -> Vec<u8> {
    response("rejectedSpans", rejected, message, json)
}

/// Answer to an export of metrics. `rejected` counts data points.
pub fn response_metrics(rejected: u64, message: &str, json: bool) -> Vec<u8> {
    response("rejectedDataPoints", rejected, message, json)
}

/// Answer to an export of logs. `rejected` counts log records.
pub fn response_logs(rejected: u64, message: &str, json: bool) -> Vec<u8> {
    response("rejectedLogRecords", rejected, message, json)
}

/// The three responses differ only in the JSON name of the count.
fn response(count_name: &str, rejected: u64, message: &str, json: bool) -> Vec<u8> {
    let is_full_success = rejected == 0 && message.is_empty();
    match (json, is_full_success) {
        (false, true) => Vec::new(),
        (true, true) => b"{}".to_vec(),
        (false, false) => {
            let mut out = Vec::new();
            put_message(&mut out, 1, |out| {
                put_uint(out, 1, rejected);
                put_blob(out, 2, message.as_bytes());
            });
            out
        }
        (true, false) => {
            let partial = serde_json::json!({count_name: rejected.to_string(), "errorMessage": message});
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    }
}
