//! Random series: counters with resets, gaps and stale markers; gauges with odd values; classic histograms.

use std::f64::consts::TAU;

use std::sync::Arc;

use fastrand::Rng;
use model::{BucketSpan, Buckets, Histogram, HistogramSample};

/// Start of the data: 90 minutes before a leap day begins, so that calendar functions have something to do.
pub(crate) const START_MS: i64 = 1_709_159_400_000;
/// Length of the data. Short enough to stay in one head, without a block being cut.
pub(crate) const LENGTH_MS: i64 = 100 * 60_000;
const INTERVAL_MS: i64 = 15_000;
const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
const BOUNDS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// A series to be written.
pub(crate) struct Series {
    /// Sorted by name.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// Ascending in time.
    pub(crate) samples: Vec<(i64, f64)>,
    /// Native histograms, instead of samples.
    pub(crate) histograms: Vec<HistogramSample>,
}

/// All series. With `aligned`, some have their samples on whole seconds, where ranges begin and end.
pub(crate) fn generate(seed: u64, aligned: bool) -> Vec<Series> {
    let mut maker = Maker {
        rng: Rng::with_seed(seed),
        aligned,
        floor: if aligned { 0 } else { 1_000_000 },
        series: Vec::new(),
    };
    for job in ["a", "b"] {
        for instance in ["0", "1", "2"] {
            let labels = [("instance", instance), ("job", job)];
            for code in ["200", "500"] {
                maker.counter("req_total", &[("code", code), labels[0], labels[1]], true);
            }
            maker.counter("err_total", &labels, false);
            maker.gauge("temp", &labels);
            maker.bytes("mem_bytes", &labels);
            maker.odd("odd", &labels);
            maker.flag("up", &labels);
            if instance != "2" {
                maker.histogram("lat", labels);
                if aligned {
                    maker.native("native", labels);
                }
            }
        }
        maker.constant("build_info", &[("job", job), ("version", if job == "a" { "1.2" } else { "2.0" })]);
    }
    maker.constant("one", &[]);
    maker.series
}

struct Maker {
    rng: Rng,
    aligned: bool,
    /// Counters begin and begin anew here: 2.x extrapolates those near zero differently.
    floor: u32,
    series: Vec<Series>,
}

impl Maker {
    /// Times of one series: an own phase, jitter, holes, perhaps a late start or an early end.
    fn times(&mut self) -> Vec<i64> {
        let on_the_second = self.aligned && self.rng.bool();
        let phase = if on_the_second { 0 } else { self.rng.i64(1..499) };
        let jitters = !on_the_second && self.rng.u8(0..4) == 0;
        let late = if self.rng.u8(0..5) == 0 { self.rng.i64(0..40) } else { 0 };
        let early = if self.rng.u8(0..5) == 0 { self.rng.i64(0..40) } else { 0 };
        let count = LENGTH_MS / INTERVAL_MS;
        let mut times = Vec::new();
        let mut hole = 0;
        for index in late..count - early {
            hole -= 1;
            if hole < 0 && self.rng.u16(0..120) == 0 {
                hole = self.rng.i64(1..35);
            }
            let jitter = if jitters { self.rng.i64(0..3) * 1_000 } else { 0 };
            if hole <= 0 {
                times.push(START_MS + index * INTERVAL_MS + phase + jitter);
            }
        }
        times
    }

    fn push(&mut self, name: &str, labels: &[(&'static str, &str)], samples: Vec<(i64, f64)>) {
        let own = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut labels: Vec<(&'static str, String)> = own.collect();
        labels.push(("__name__", name.to_owned()));
        labels.sort_unstable();
        self.series.push(Series { labels, samples, histograms: Vec::new() });
    }

    /// Goes up, sometimes back to zero; `stale`: sometimes ends and comes again.
    fn counter(&mut self, name: &str, labels: &[(&'static str, &str)], stale: bool) {
        let mut value = f64::from(self.floor + self.rng.u32(500..1_000));
        let mut samples = Vec::new();
        for ts_ms in self.times() {
            if self.rng.u8(0..60) == 0 {
                value = f64::from(self.floor + self.rng.u32(0..5));
            }
            value += f64::from(self.rng.u8(0..40)) * f64::from(self.rng.u8(0..2));
            let ends = stale && self.rng.u8(0..90) == 0;
            samples.push((ts_ms, if ends { f64::from_bits(STALE_NAN_BITS) } else { value }));
        }
        self.push(name, labels, samples);
    }

    /// Waves around zero.
    fn gauge(&mut self, name: &str, labels: &[(&'static str, &str)]) {
        let (height, phase) = (self.rng.f64() * 40.0, self.rng.f64() * TAU);
        let times = self.times();
        let samples = times.into_iter().map(|ts_ms| {
            let angle = f64::from(i32::try_from((ts_ms - START_MS) / 1_000).unwrap_or(0)) / 600.0 + phase;
            (ts_ms, height * angle.sin() + self.rng.f64())
        });
        let samples = samples.collect();
        self.push(name, labels, samples);
    }

    fn bytes(&mut self, name: &str, labels: &[(&'static str, &str)]) {
        let times = self.times();
        let samples =
            times.into_iter().map(|ts_ms| (ts_ms, f64::from(self.rng.u32(100_000_000..u32::MAX)) * 8.0));
        let samples = samples.collect();
        self.push(name, labels, samples);
    }

    /// Everything a double can be.
    fn odd(&mut self, name: &str, labels: &[(&'static str, &str)]) {
        const VALUES: [f64; 16] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -2.5,
            3.0,
            100.0,
            0.001,
            1e15,
            -1e15,
            123_456_789.125,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            2.0,
        ];
        let times = self.times();
        // Some series have no infinities, so that sums of them say something.
        let choices = if self.rng.bool() { VALUES.len() } else { 12 };
        // 2.x adds up plainly: beside a huge value it loses a small one.
        let tame = |value: f64| if self.aligned { value } else { value.clamp(-1e6, 1e6) };
        let rng = &mut self.rng;
        let samples = times.into_iter().map(|ts_ms| {
            let value = VALUES[rng.usize(0..choices)];
            (ts_ms, if value.is_finite() { tame(value) } else { value })
        });
        let samples = samples.collect();
        self.push(name, labels, samples);
    }

    fn flag(&mut self, name: &str, labels: &[(&'static str, &str)]) {
        let times = self.times();
        let samples = times.into_iter().map(|ts_ms| (ts_ms, f64::from(u8::from(self.rng.u8(0..6) > 0))));
        let samples = samples.collect();
        self.push(name, labels, samples);
    }

    fn constant(&mut self, name: &str, labels: &[(&'static str, &str)]) {
        let samples = self.times().into_iter().map(|ts_ms| (ts_ms, 1.0)).collect();
        self.push(name, labels, samples);
    }

    fn histogram(&mut self, family: &str, labels: [(&'static str, &str); 2]) {
        let times = self.times();
        let floor = self.floor;
        let mut counts = [floor; BOUNDS.len()];
        let mut sum = f64::from(floor);
        let mut buckets = vec![Vec::new(); BOUNDS.len()];
        let (mut sums, mut totals) = (Vec::new(), Vec::new());
        for ts_ms in times {
            if self.rng.u8(0..80) == 0 {
                (counts, sum) = ([floor; BOUNDS.len()], f64::from(floor));
            }
            for _ in 0..self.rng.u8(0..12) {
                counts[self.rng.usize(0..BOUNDS.len())] += 1;
                sum += self.rng.f64();
            }
            let mut total = 0;
            for (bucket, count) in buckets.iter_mut().zip(counts) {
                total += count;
                bucket.push((ts_ms, f64::from(total)));
            }
            sums.push((ts_ms, sum));
            totals.push((ts_ms, f64::from(total)));
        }
        for (bound, samples) in BOUNDS.into_iter().zip(buckets) {
            self.push(&format!("{family}_bucket"), &[labels[0], labels[1], ("le", bound)], samples);
        }
        self.push(&format!("{family}_sum"), &labels, sums);
        self.push(&format!("{family}_count"), &labels, totals);
    }

    /// A counter of native histograms: grows, begins anew, of one schema for each series.
    fn native(&mut self, name: &str, labels: [(&'static str, &str); 2]) {
        let schema = self.rng.i32(0..3);
        let first = self.rng.i32(-4..3);
        let mut counts = [0.0_f64; 8];
        let (mut zeros, mut sum) = (0.0, 0.0);
        let mut histograms = Vec::new();
        for ts_ms in self.times() {
            if self.rng.u8(0..60) == 0 {
                (counts, zeros, sum) = ([0.0; 8], 0.0, 0.0);
            }
            for _ in 0..self.rng.u8(0..10) {
                counts[self.rng.usize(0..counts.len())] += 1.0;
                sum += self.rng.f64() * 4.0;
            }
            zeros += f64::from(self.rng.u8(0..2));
            let spans = vec![BucketSpan { offset: first, length: 5 }, BucketSpan { offset: 2, length: 3 }];
            let histogram = Histogram {
                schema,
                count: zeros + counts.iter().sum::<f64>(),
                sum,
                zero_threshold: 0.001,
                zero_count: zeros,
                positive: Buckets { spans, counts: counts.to_vec() },
                ..Histogram::default()
            };
            histograms.push(HistogramSample { ts_ms, start_ms: 0, histogram: Arc::new(histogram) });
        }
        self.push(name, &labels, Vec::new());
        if let Some(series) = self.series.last_mut() {
            series.histograms = histograms;
        }
    }
}
