//! `kill -9` of a process that appends and flushes: everything it acknowledged is there after the restart.
//!
//! The process to be killed is this program with the argument `write DIR`. It prints a line after each acknowledged
//! batch; a second thread cuts blocks all the while, so that the kill also hits cuts.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use clock::{Clock, ManualClock};
use eino_metrics_core::Registry;
use model::{LabelSet, MetricBatch, MetricSink, MetricSource, SampleColumns, TimeRange};
use tsdb::{Tsdb, TsdbConfig};

const START_MS: i64 = 1_700_000_000_000;
const SERIES: i64 = 50;
const ROUNDS: i64 = 6;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, mode, dir] = arguments.as_slice()
        && mode == "write"
    {
        write(Path::new(dir));
    }
    let dir = tempfile::TempDir::new().unwrap();
    let mut written = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(dir.path(), written + 20 + round * 37);
        written = check(dir.path(), acknowledged);
    }
    let mut out = std::io::stdout();
    writeln!(out, "kill: {ROUNDS} kills, {written} batches of {SERIES} samples, none lost").unwrap();
}

fn open(dir: &Path) -> Tsdb {
    let clock: Clock = ManualClock::at_unix_ms(START_MS as u64).clock();
    Tsdb::open(TsdbConfig::new(dir), clock, &Registry::new()).unwrap()
}

fn labels(number: i64) -> LabelSet {
    LabelSet::from_pairs([("__name__", "written"), ("n", number.to_string().as_str())]).unwrap()
}

fn value(batch: i64, series: i64) -> f64 {
    (batch * 7 + series) as f64 / 4.0
}

/// Appends until it is killed.
fn write(dir: &Path) -> ! {
    let db = open(dir);
    // A batch that the last kill cut in two is written again: what is there already is accepted silently.
    let mut next = check_all(&db);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                db.flush().unwrap();
                db.maintain().unwrap();
            }
        });
        loop {
            let mut batch = MetricBatch::new();
            for series in 0..SERIES {
                batch.start_series_canonical(labels(series).as_ref());
                batch.push_sample(START_MS + next, value(next, series));
            }
            assert_eq!(db.append(&batch).unwrap().accepted, SERIES as u64);
            let mut out = std::io::stdout().lock();
            writeln!(out, "{next}").and_then(|()| out.flush()).unwrap();
            next += 1;
        }
    })
}

/// Lets the process write until it has acknowledged batch `until`, kills it, and answers the last acknowledged batch.
fn run_and_kill(dir: &Path, until: i64) -> i64 {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg("write").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let mut last = -1;
    let mut is_killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The kill may cut the last line short: then it says a smaller number, which was acknowledged too.
        last = last.max(line.unwrap().parse().unwrap_or(-1));
        if last >= until && !is_killed {
            child.kill().unwrap();
            is_killed = true;
        }
    }
    child.wait().unwrap();
    assert!(is_killed, "the process ended by itself after batch {last}");
    last
}

/// Checks that all batches up to `acknowledged` are whole, and answers how many there are.
fn check(dir: &Path, acknowledged: i64) -> i64 {
    let batches = check_all(&open(dir));
    assert!(batches > acknowledged, "{batches} batches are whole, number {acknowledged} was acknowledged");
    batches
}

/// Checks every sample, and answers how many batches are whole.
fn check_all(db: &Tsdb) -> i64 {
    let set = db.select(&[], TimeRange::ALL).unwrap();
    let mut columns = SampleColumns::default();
    let mut whole = if set.len() == SERIES as usize { i64::MAX } else { 0 };
    for index in 0..set.len() {
        set.read(index, &mut columns).unwrap();
        let number: i64 = set.labels(index).get("n").unwrap().parse().unwrap();
        for (batch, (ts_ms, got)) in (0..).zip(columns.ts_ms.iter().zip(&columns.values)) {
            assert_eq!((*ts_ms, *got), (START_MS + batch, value(batch, number)));
        }
        whole = whole.min(columns.len() as i64);
    }
    whole
}
