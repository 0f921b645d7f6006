//! Measures the store by itself: CPU per appended sample, bytes per sample, and what reading costs.
//!
//! ```text
//! cargo run --release -p tsdb --example ingest -- SERIES SAMPLES_PER_SERIES
//! ```
//! The shapes are those of a fleet of hosts: hundredths that grow, buckets, integer counters and gauges, constants,
//! decimal gauges. One sample per series per batch, 10000 samples per batch, four threads.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

use std::fs;
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use model::{LabelSet, MatchOp, Matcher, MetricBatch, MetricSink, MetricSource, SampleColumns, TimeRange};
use tsdb::{Tsdb, TsdbConfig};

const BATCH: usize = 10_000;
const THREADS: usize = 4;
const STEP_MS: i64 = 15_000;
const LATEST_ROUNDS: usize = 10;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let series_count = arguments.next().unwrap_or(2_000);
    let sample_count = arguments.next().unwrap_or(10);
    let dir = tempfile::TempDir::new().unwrap();
    let clock = Clock::system();
    let open = || Tsdb::open(TsdbConfig::new(dir.path()), clock.clone(), &Registry::new()).unwrap();
    let db = open();
    let labels: Vec<_> = (0..series_count).map(labels).collect();
    let start_ms = clock.unix_ms() - sample_count as i64 * STEP_MS;
    let total = (series_count * sample_count) as f64;

    let mut building = Duration::ZERO;
    let mut state: Vec<f64> = vec![0.0; series_count];
    let mut rng = fastrand_like(1);
    let (wall, cpu) = measure(&clock, || {
        for round in 0..sample_count {
            let before = cpu_time();
            let batches: Vec<_> = (0..series_count)
                .step_by(BATCH)
                .map(|from| batch(&labels, &mut state, &mut rng, from, start_ms + round as i64 * STEP_MS))
                .collect();
            building += cpu_time() - before;
            db.maintain().unwrap();
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (db, batches) = (&db, &batches);
                    scope.spawn(move || {
                        for batch in batches.iter().skip(thread).step_by(THREADS) {
                            assert_eq!(db.append(batch).unwrap().accepted, batch.sample_count() as u64);
                        }
                    });
                }
            });
        }
    });
    let append_us = (cpu - building).as_secs_f64() * 1e6 / total;
    println!(
        "append: {append_us:.3} us CPU per sample, {:.2} s wall with making the data",
        wall.as_secs_f64()
    );
    let status = db.status();
    println!("log: {:.2} B/sample; resident {} MB", status.log_bytes as f64 / total, resident_mb());
    drop(db);
    let (wall, cpu) = measure(&clock, || {
        drop(open());
    });
    println!(
        "open, snapshot and end of the log: {:.3} s wall, {:.2} s CPU",
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
    let db = open();
    read(&clock, &db, "head, first", total);
    read(&clock, &db, "head, again", total);
    latest(&clock, &db);
    let (wall, cpu) = measure(&clock, || db.flush().unwrap());
    println!("flush: {:.2} s wall, {:.2} s CPU", wall.as_secs_f64(), cpu.as_secs_f64());
    let status = db.status();
    println!("block: {:.3} B/sample, {} samples", status.block_bytes as f64 / total, status.samples);
    read(&clock, &db, "block, first", total);
    read(&clock, &db, "block, again", total);
}

fn labels(number: usize) -> LabelSet {
    let (host, metric) = (number / 200, number % 200);
    LabelSet::from_pairs([
        ("__name__", format!("node_metric_{metric:03}_total").as_str()),
        ("instance", format!("host-{host:05}.example.internal:9100").as_str()),
        ("job", "node"),
        ("datacenter", ["eu-1", "eu-2", "us-1"][host % 3]),
        ("rack", format!("r{:02}", host % 40).as_str()),
        ("mode", ["idle", "user", "system", "iowait"][metric % 4]),
        ("cpu", format!("{}", metric % 16).as_str()),
    ])
    .unwrap()
}

fn batch(
    labels: &[LabelSet],
    state: &mut [f64],
    rng: &mut impl FnMut() -> u64,
    from: usize,
    ts_ms: i64,
) -> MetricBatch {
    let mut batch = MetricBatch::new();
    for (index, (labels, value)) in labels.iter().zip(state).enumerate().skip(from).take(BATCH) {
        let noise = (rng() % 1000) as f64;
        *value = match index % 100 {
            0..28 => ((*value * 100.0).round() + 1200.0 + noise * 0.3).round() / 100.0,
            28..49 => *value + (noise / 300.0).floor(),
            49..69 => *value + noise,
            69..81 => 5000.0 + noise,
            81..92 => 42.0,
            92..99 => noise / 1000.0,
            _ => noise.sqrt().sin(),
        };
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(ts_ms, *value);
    }
    batch
}

/// A small generator with a fixed seed.
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

fn read(clock: &Clock, db: &Tsdb, what: &str, total: f64) {
    let all = [Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()];
    let mut set = None;
    let (_, select) = measure(clock, || set = Some(db.select(&all, TimeRange::ALL).unwrap()));
    let set = set.unwrap();
    let mut columns = SampleColumns::default();
    let mut count = 0;
    let (_, reading) = measure(clock, || {
        for index in 0..set.len() {
            set.read(index, &mut columns).unwrap();
            count += columns.len();
        }
    });
    assert_eq!(count as f64, total);
    println!(
        "{what}: select of all {} series {:.0} ms CPU, read {:.1} ns CPU per sample",
        set.len(),
        select.as_secs_f64() * 1e3,
        reading.as_secs_f64() * 1e9 / total
    );
}

/// What an instant query over all series asks: the newest sample of each, and a label to group by.
fn latest(clock: &Clock, db: &Tsdb) {
    let all = [Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()];
    let range_ms = TimeRange::new(clock.unix_ms() - 300_000, clock.unix_ms() + 1);
    let mut count = 0;
    let (_, cpu) = measure(clock, || {
        for _ in 0..LATEST_ROUNDS {
            let set = db.select(&all, range_ms).unwrap();
            let jobs = set.label_ids("job");
            assert_eq!(jobs.ids.len(), set.len());
            count += (0..set.len()).filter(|index| set.read_latest(*index).unwrap().is_some()).count();
        }
    });
    let ms = cpu.as_secs_f64() * 1e3 / LATEST_ROUNDS as f64;
    println!("head: newest samples of {} series by job {ms:.1} ms CPU", count / LATEST_ROUNDS);
}

/// Wall and CPU time of `work`.
fn measure(clock: &Clock, work: impl FnOnce()) -> (Duration, Duration) {
    let (wall, cpu) = (clock.monotonic(), cpu_time());
    work();
    (clock.monotonic() - wall, cpu_time() - cpu)
}

/// User and system time of this process, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
