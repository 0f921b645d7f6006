//! From columns to chunks.

use model::{Histogram, HistogramSample, ResetHint, SampleColumns};

use super::bits::{BitWriter, Xored};
use super::layout::Layout;
use super::{Chunk, Encoding, GAUGE, NOT_RESET, RESET, SAMPLES_MAX};

/// The samples as chunks of at most 120, ascending in time.
pub fn encode(columns: &SampleColumns) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut ts_ms, mut values) = (columns.ts_ms.as_slice(), columns.values.as_slice());
    let mut rest = columns.histograms.as_slice();
    loop {
        // A chunk of one kind ends where the other kind has a sample: chunks of a series do not overlap.
        let next_histogram = rest.first().map(|sample| sample.ts_ms);
        let floats = next_histogram.map_or(ts_ms.len(), |next| ts_ms.partition_point(|ts_ms| *ts_ms < next));
        let floats = floats.min(values.len()).min(SAMPLES_MAX);
        if floats > 0 {
            let ((now_ts, later_ts), (now, later)) = (ts_ms.split_at(floats), values.split_at(floats));
            chunks.extend(xor(now_ts, now));
            (ts_ms, values) = (later_ts, later);
            continue;
        }
        let Some(first) = rest.first() else { return chunks };
        let until =
            ts_ms.first().map_or(rest.len(), |next| rest.partition_point(|sample| sample.ts_ms < *next));
        // At least one, so that columns that are not in order end too.
        let (now, later) = rest.split_at(run(rest.get(..until.max(1)).unwrap_or(rest)));
        rest = later;
        chunks.push(histograms(first, now));
    }
}

fn header(samples: usize) -> Vec<u8> {
    let samples = u16::try_from(samples).unwrap_or(u16::MAX);
    samples.to_be_bytes().to_vec()
}

fn xor(ts_ms: &[i64], values: &[f64]) -> Option<Chunk> {
    let (&min_ms, &max_ms) = (ts_ms.first()?, ts_ms.last()?);
    let mut out = BitWriter::after(header(ts_ms.len()));
    let mut times = Times::default();
    let mut previous = Xored::new(*values.first()?);
    for (index, (ts_ms, value)) in ts_ms.iter().zip(values).enumerate() {
        match index {
            0 => {
                out.leb(codec::zigzag(times.first(*ts_ms)));
                out.bits(value.to_bits(), 64);
            }
            1 => {
                out.leb(times.delta(*ts_ms).cast_unsigned());
                previous.write(*value, &mut out);
            }
            _ => {
                out.time(times.second(*ts_ms));
                previous.write(*value, &mut out);
            }
        }
    }
    Some(Chunk { encoding: Encoding::Xor, min_ms, max_ms, data: out.bytes })
}

/// A number and its last difference.
#[derive(Clone, Copy, Default)]
struct Times {
    last: i64,
    delta: i64,
}

impl Times {
    fn first(&mut self, value: i64) -> i64 {
        self.last = value;
        value
    }

    fn delta(&mut self, value: i64) -> i64 {
        self.delta = value.wrapping_sub(self.last);
        self.last = value;
        self.delta
    }

    fn second(&mut self, value: i64) -> i64 {
        let before = self.delta;
        self.delta(value).wrapping_sub(before)
    }
}

/// How many of the samples go into one chunk: the same layout, kind and hint, and no reset between them.
fn run(samples: &[HistogramSample]) -> usize {
    let Some(first) = samples.first() else { return 0 };
    let layout = Layout::of(&first.histogram);
    let mut previous = &first.histogram;
    let mut count = 1;
    for sample in samples.iter().skip(1).take(SAMPLES_MAX - 1) {
        let next = &sample.histogram;
        let is_alike = next.is_float == previous.is_float && is_gauge(next) == is_gauge(previous);
        let goes_on = is_gauge(next) || !(next.reset_hint == ResetHint::Reset || has_dropped(previous, next));
        if previous.is_stale() || !is_alike || !goes_on || (!next.is_stale() && Layout::of(next) != layout) {
            break;
        }
        count += 1;
        previous = next;
    }
    count
}

fn is_gauge(histogram: &Histogram) -> bool {
    histogram.reset_hint == ResetHint::Gauge
}

fn has_dropped(before: &Histogram, after: &Histogram) -> bool {
    if after.is_stale() {
        return false;
    }
    let buckets = |histogram: &Histogram| -> Vec<f64> {
        histogram.positive.counts.iter().chain(&histogram.negative.counts).copied().collect()
    };
    let fell = buckets(before).into_iter().zip(buckets(after)).any(|(before, after)| after < before);
    fell || after.count < before.count || after.zero_count < before.zero_count
}

fn histograms(first: &HistogramSample, samples: &[HistogramSample]) -> Chunk {
    let mut bytes = header(samples.len());
    bytes.push(match first.histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => RESET,
        ResetHint::NotReset => NOT_RESET,
        ResetHint::Gauge => GAUGE,
    });
    let mut out = BitWriter::after(bytes);
    Layout::of(&first.histogram).write(&mut out);
    let encoding = if first.histogram.is_float {
        floats(samples, &mut out);
        Encoding::FloatHistogram
    } else {
        integers(samples, &mut out);
        Encoding::Histogram
    };
    let max_ms = samples.last().map_or(first.ts_ms, |last| last.ts_ms);
    Chunk { encoding, min_ms: first.ts_ms, max_ms, data: out.bytes }
}

/// Counts of the zero bucket and of all others; none of a stale marker.
fn counts(histogram: &Histogram) -> (f64, f64, impl Iterator<Item = &[f64]>) {
    let is_stale = histogram.is_stale();
    let sides = [&*histogram.positive.counts, &*histogram.negative.counts];
    let (count, zero) = if is_stale { (0.0, 0.0) } else { (histogram.count, histogram.zero_count) };
    (count, zero, sides.into_iter().filter(move |_| !is_stale))
}

fn integers(samples: &[HistogramSample], out: &mut BitWriter) {
    let (mut ts, mut count, mut zero) = (Times::default(), Times::default(), Times::default());
    let mut sum = Xored::new(0.0);
    let mut buckets: Vec<Times> = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let (all, in_zero, sides) = counts(&sample.histogram);
        let deltas = sides.flat_map(crate::native::deltas);
        let (all, in_zero) = (all as i64, in_zero as i64);
        match index {
            0 => {
                out.signed(ts.first(sample.ts_ms));
                out.unsigned(count.first(all).cast_unsigned());
                out.unsigned(zero.first(in_zero).cast_unsigned());
                sum = Xored::new(sample.histogram.sum);
                out.bits(sample.histogram.sum.to_bits(), 64);
                for delta in deltas {
                    let mut bucket = Times::default();
                    out.signed(bucket.first(delta));
                    buckets.push(bucket);
                }
            }
            1 => {
                out.unsigned(ts.delta(sample.ts_ms).cast_unsigned());
                out.signed(count.delta(all));
                out.signed(zero.delta(in_zero));
                sum.write(sample.histogram.sum, out);
                buckets.iter_mut().zip(deltas).for_each(|(bucket, delta)| out.signed(bucket.delta(delta)));
            }
            _ => {
                out.signed(ts.second(sample.ts_ms));
                out.signed(count.second(all));
                out.signed(zero.second(in_zero));
                sum.write(sample.histogram.sum, out);
                buckets.iter_mut().zip(deltas).for_each(|(bucket, delta)| out.signed(bucket.second(delta)));
            }
        }
    }
}

fn floats(samples: &[HistogramSample], out: &mut BitWriter) {
    let mut ts = Times::default();
    let mut numbers: Vec<Xored> = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let (count, zero, sides) = counts(&sample.histogram);
        let values = [count, zero, sample.histogram.sum].into_iter().chain(sides.flatten().copied());
        match index {
            0 => out.signed(ts.first(sample.ts_ms)),
            1 => out.unsigned(ts.delta(sample.ts_ms).cast_unsigned()),
            _ => out.signed(ts.second(sample.ts_ms)),
        }
        if index == 0 {
            for value in values {
                out.bits(value.to_bits(), 64);
                numbers.push(Xored::new(value));
            }
        } else {
            numbers.iter_mut().zip(values).for_each(|(number, value)| number.write(value, out));
        }
    }
}
