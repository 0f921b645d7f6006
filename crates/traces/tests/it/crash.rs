//! A real process, killed while it appends, cuts and merges: what it acked is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use clock::Clock;
use eino_metrics_core::Registry;
use model::{SpanSink, SpanSource};
use traces::{TraceStore, TraceStoreConfig};

use crate::data::{batch, everything, numbers, span, trace_id};

const DIR_VARIABLE: &str = "EINO_TEST_CRASH_DIR";
const BATCH_SPANS: u64 = 7;

fn open(dir: &Path) -> TraceStore {
    let config = TraceStoreConfig {
        memtable_spans: 100,
        // The test's spans lie at a fixed date.
        retention: std::time::Duration::from_secs(100 * 365 * 24 * 3600),
        ..TraceStoreConfig::new(dir)
    };
    TraceStore::open(config, Clock::system(), &Registry::new()).unwrap()
}

/// Batch `number` is one trace of its own.
fn check_batches(store: &TraceStore, count: u64) {
    for number in 0..count {
        let spans = store.trace(trace_id(number + 1)).unwrap();
        assert_eq!(spans.len() as u64, BATCH_SPANS, "batch {number} of {count} acked ones");
    }
}

/// Appends for ever; runs only as the child of the test below.
#[test]
#[ignore = "the process that is killed"]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the parent tells the directory")]
    let Ok(dir) = std::env::var(DIR_VARIABLE) else { return };
    let store = open(Path::new(&dir));
    let mut out = std::io::stdout();
    // Starts ascend with the numbers.
    let newest = store.search(&everything(1)).unwrap();
    let mut number = numbers(&newest).first().copied().unwrap_or(0);
    loop {
        let trace = number + 1;
        store.append(&batch((1..=BATCH_SPANS).map(|id| span(trace, id, trace)))).unwrap();
        number += 1;
        writeln!(out, "\nacked {number}").unwrap();
        if number % 40 == 0 {
            store.maintain().unwrap();
        }
    }
}

#[test]
fn acked_spans_survive_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for more in [5, 90, 300, 33] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env(DIR_VARIABLE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let target = acked + more;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut is_killed = false;
        for line in lines {
            if let Some(number) = line.unwrap().strip_prefix("acked ").and_then(|number| number.parse().ok())
            {
                acked = number;
            }
            if acked >= target && !is_killed {
                child.kill().unwrap();
                is_killed = true;
            }
        }
        assert!(!child.wait().unwrap().success() && is_killed, "the child ended by itself");
        let store = open(dir.path());
        check_batches(&store, acked);
        assert_eq!(store.status().damaged, 0);
        // A crash between block and log leaves spans in both; their number counts them twice, answers do not.
        store.flush().unwrap();
        check_batches(&store, acked);
    }
}
