//! Chunks of native histograms: a column per bucket.
//!
//! ```text
//! histograms := flags u8 | count varint | times column | [start times column]      flags: 1 float counts, 2 start times
//!             | schema zigzag | zero threshold f64 | n varint, custom bounds f64*n
//!             | n varint, layout*n | [layout of each sample column, if n > 1]
//!             | reset hints column | sums | counts | zero counts | bucket*          each of them `values`
//! layout     := positive spans | negative spans       spans := n varint | (offset zigzag, length varint)*n
//! bucket     := a bucket that any layout has: first the positive ones, ascending, then the negative ones
//! ```
//! - What samples have in common stands there once: schema, threshold, bounds and kind of count are those of the whole
//!   chunk, and the few ways in which their buckets are laid out are listed. Each sample comes back with its own layout.
//! - A column of a bucket has the value before in the place of a sample that lacks the bucket, which costs nothing.
//! - A stale marker is a sum; whatever else it has is not kept.
//! - Bits come back as they were. Integer counts are decimals without decimals, so that one encoding serves both kinds.

use std::sync::Arc;

use codec::{Cursor, put_varint, zigzag};
use model::{BUCKETS_MAX, BucketSpan, Buckets, Histogram, HistogramSample, ResetHint};

use super::{ChunkError, ESCAPE, HISTOGRAMS, SAMPLES_MAX, column, read_count, values};

const FLOAT_COUNTS: u8 = 1;
const START_TIMES: u8 = 2;
/// A chunk ends before a sample that would bring in one more.
const LAYOUTS_MAX: usize = 16;
/// Shortest encoding of a column of values: bounds what a forged layout makes us allocate.
const VALUES_BYTES_MIN: usize = 3;

const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];

/// What all samples of a chunk share.
#[derive(Clone, PartialEq)]
struct Frame {
    schema: i32,
    is_float: bool,
    zero_threshold_bits: u64,
    custom_bounds: Arc<[f64]>,
}

type Spans = Vec<BucketSpan>;

impl Frame {
    fn of(histogram: &Histogram) -> Self {
        Self {
            schema: histogram.schema,
            is_float: histogram.is_float,
            zero_threshold_bits: histogram.zero_threshold.to_bits(),
            custom_bounds: Arc::clone(&histogram.custom_bounds),
        }
    }
}

/// The samples that go into one chunk.
struct Run<'s> {
    samples: &'s [HistogramSample],
    frame: Frame,
    layouts: Vec<(&'s Spans, &'s Spans)>,
    /// Layout of each sample.
    layout_of: Vec<i64>,
}

impl<'s> Run<'s> {
    /// As many of the first `samples` as have a frame in common and few layouts.
    fn start(samples: &'s [HistogramSample]) -> Self {
        let first = samples.iter().find(|sample| !sample.histogram.is_stale());
        let frame =
            first.map_or_else(|| Frame::of(&Histogram::default()), |first| Frame::of(&first.histogram));
        let mut run = Self { samples, frame, layouts: Vec::new(), layout_of: Vec::new() };
        for sample in samples.iter().take(SAMPLES_MAX) {
            let Some(layout) = run.layout(&sample.histogram) else { break };
            run.layout_of.push(layout);
        }
        run.samples = samples.get(..run.layout_of.len()).unwrap_or_default();
        run
    }

    fn layout(&mut self, histogram: &'s Histogram) -> Option<i64> {
        if histogram.is_stale() {
            return Some(self.layout_of.last().copied().unwrap_or_default());
        }
        if Frame::of(histogram) != self.frame {
            return None;
        }
        let layout = (&histogram.positive.spans, &histogram.negative.spans);
        let known = self.layouts.iter().rposition(|known| *known == layout);
        let index = known.or_else(|| {
            let has_room = self.layouts.len() < LAYOUTS_MAX;
            has_room.then(|| {
                self.layouts.push(layout);
                self.layouts.len() - 1
            })
        });
        index.map(|index| index as i64)
    }

    /// Appends a column of what `value` answers; where it answers nothing, the value before stands.
    fn put_column(&self, value: impl Fn(usize, &Histogram) -> Option<f64>, out: &mut Vec<u8>) {
        let mut previous = 0.0;
        let mut column = [0.0; SAMPLES_MAX];
        for (index, (place, sample)) in column.iter_mut().zip(self.samples).enumerate() {
            let is_stale = sample.histogram.is_stale();
            previous = value(index, &sample.histogram).filter(|_| !is_stale).unwrap_or(previous);
            *place = previous;
        }
        values::write(column.get(..self.samples.len()).unwrap_or_default(), out);
    }

    fn put_buckets(&self, sign: Sign, out: &mut Vec<u8>) {
        let layouts: Vec<_> =
            self.layouts.iter().map(|(positive, negative)| indexes(sign.spans(positive, negative))).collect();
        for bucket in union(&layouts) {
            let places: Vec<_> = layouts.iter().map(|layout| layout.binary_search(&bucket).ok()).collect();
            let count = |index: usize, histogram: &Histogram| {
                let layout = usize::try_from(*self.layout_of.get(index)?).ok()?;
                let place = places.get(layout).copied().flatten()?;
                sign.buckets(histogram).counts.get(place).copied()
            };
            self.put_column(count, out);
        }
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Positive,
    Negative,
}

impl Sign {
    fn spans<'s>(self, positive: &'s [BucketSpan], negative: &'s [BucketSpan]) -> &'s [BucketSpan] {
        match self {
            Self::Positive => positive,
            Self::Negative => negative,
        }
    }

    fn buckets(self, histogram: &Histogram) -> &Buckets {
        match self {
            Self::Positive => &histogram.positive,
            Self::Negative => &histogram.negative,
        }
    }
}

/// Appends the chunk of as many of the first `samples` as fit into one, and answers how many: at least 1.
pub(crate) fn encode_histograms(samples: &[HistogramSample], out: &mut Vec<u8>) -> usize {
    let run = Run::start(samples);
    let has_starts = run.samples.iter().any(|sample| sample.start_ms != 0);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.extend_from_slice(&[ESCAPE, HISTOGRAMS]);
    out.push(flag(run.frame.is_float, FLOAT_COUNTS) | flag(has_starts, START_TIMES));
    put_varint(out, run.samples.len() as u64);
    put_integers(run.samples.iter().map(|sample| sample.ts_ms), out);
    if has_starts {
        put_integers(run.samples.iter().map(|sample| sample.start_ms), out);
    }
    put_varint(out, zigzag(i64::from(run.frame.schema)));
    out.extend_from_slice(&run.frame.zero_threshold_bits.to_le_bytes());
    put_varint(out, run.frame.custom_bounds.len() as u64);
    run.frame.custom_bounds.iter().for_each(|bound| out.extend_from_slice(&bound.to_le_bytes()));
    put_varint(out, run.layouts.len() as u64);
    for (positive, negative) in &run.layouts {
        put_spans(positive, out);
        put_spans(negative, out);
    }
    if run.layouts.len() > 1 {
        put_integers(run.layout_of.iter().copied(), out);
    }
    let hint = |hint| HINTS.iter().position(|known| *known == hint).unwrap_or_default() as i64;
    put_integers(run.samples.iter().map(|sample| hint(sample.histogram.reset_hint)), out);
    let sums: Vec<_> = run.samples.iter().map(|sample| sample.histogram.sum).collect();
    values::write(&sums, out);
    run.put_column(|_, histogram| Some(histogram.count), out);
    run.put_column(|_, histogram| Some(histogram.zero_count), out);
    run.put_buckets(Sign::Positive, out);
    run.put_buckets(Sign::Negative, out);
    run.samples.len()
}

fn put_integers(integers: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    let mut column = [0; SAMPLES_MAX];
    let count = column.iter_mut().zip(integers).map(|(place, integer)| *place = integer).count();
    column::write(column.get_mut(..count).unwrap_or_default(), out);
}

fn put_spans(spans: &[BucketSpan], out: &mut Vec<u8>) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        put_varint(out, zigzag(i64::from(span.offset)));
        put_varint(out, u64::from(span.length));
    }
}

/// Indexes of the buckets that `spans` have, ascending when they are valid.
fn indexes(spans: &[BucketSpan]) -> Vec<i64> {
    let mut next = 0_i64;
    let mut indexes = Vec::new();
    for span in spans {
        let start = next.wrapping_add(i64::from(span.offset));
        next = start.wrapping_add(i64::from(span.length));
        indexes.extend(start..next);
    }
    indexes
}

fn union(layouts: &[Vec<i64>]) -> Vec<i64> {
    let mut all: Vec<_> = layouts.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Appends the samples of the chunk whose kind has been read.
pub(super) fn decode(cursor: &mut Cursor<'_>, out: &mut Vec<HistogramSample>) -> Result<(), ChunkError> {
    let flags = cursor.u8()?;
    let count = read_count(cursor)?;
    let ts_ms = read_integers(cursor, count)?;
    let start_ms = if flags & START_TIMES == 0 { Vec::new() } else { read_integers(cursor, count)? };
    let schema =
        i32::try_from(cursor.signed_varint()?).map_err(|_| ChunkError::Invalid("schema out of range"))?;
    let zero_threshold = f64::from_le_bytes(cursor.array()?);
    let custom_bounds = read_bounds(cursor)?;
    let layouts = read_layouts(cursor)?;
    let layout_of = if layouts.len() > 1 { read_integers(cursor, count)? } else { vec![0; count] };
    let hints = read_integers(cursor, count)?;
    let sums = read_values(cursor, count)?;
    let counts = read_values(cursor, count)?;
    let zero_counts = read_values(cursor, count)?;
    let positive = Columns::read(cursor, &layouts, Sign::Positive, count)?;
    let negative = Columns::read(cursor, &layouts, Sign::Negative, count)?;
    let at = |column: &[f64], index: usize| column.get(index).copied().unwrap_or_default();
    for (index, &ts_ms) in ts_ms.iter().enumerate() {
        let start_ms = start_ms.get(index).copied().unwrap_or_default();
        let sum = at(&sums, index);
        let layout =
            layout_of.get(index).and_then(|layout| usize::try_from(*layout).ok()).unwrap_or(usize::MAX);
        let histogram = if model::is_stale_nan(sum) {
            Histogram::stale()
        } else {
            let hint = hints.get(index).and_then(|hint| HINTS.get(usize::try_from(*hint).ok()?));
            Histogram {
                schema,
                is_float: flags & FLOAT_COUNTS != 0,
                reset_hint: *hint.ok_or(ChunkError::Invalid("unknown reset hint"))?,
                count: at(&counts, index),
                sum,
                zero_threshold,
                zero_count: at(&zero_counts, index),
                positive: positive.buckets(&layouts, layout, index)?,
                negative: negative.buckets(&layouts, layout, index)?,
                custom_bounds: Arc::clone(&custom_bounds),
            }
        };
        out.push(HistogramSample { ts_ms, start_ms, histogram: Arc::new(histogram) });
    }
    Ok(())
}

/// Decoded columns of the buckets of one sign.
struct Columns {
    sign: Sign,
    /// Columns one behind the other, and the length of each.
    values: Vec<f64>,
    count: usize,
    /// Which column each bucket of a layout is in.
    columns_of: Vec<Vec<usize>>,
}

impl Columns {
    fn read(
        cursor: &mut Cursor<'_>,
        layouts: &[(Spans, Spans)],
        sign: Sign,
        count: usize,
    ) -> Result<Self, ChunkError> {
        let layouts: Vec<_> =
            layouts.iter().map(|(positive, negative)| indexes(sign.spans(positive, negative))).collect();
        let union = union(&layouts);
        if union.len().saturating_mul(VALUES_BYTES_MIN) > cursor.remaining().len() {
            return Err(ChunkError::Invalid("more buckets than bytes"));
        }
        let mut values = Vec::with_capacity(union.len() * count);
        let mut scratch = [0; SAMPLES_MAX];
        let (scratch, _) = scratch.split_at_mut(count);
        for _ in &union {
            values::read(cursor, scratch, &mut values)?;
        }
        let columns =
            |layout: &Vec<i64>| layout.iter().filter_map(|bucket| union.binary_search(bucket).ok()).collect();
        let columns_of = layouts.iter().map(columns).collect();
        Ok(Self { sign, values, count, columns_of })
    }

    fn buckets(
        &self,
        layouts: &[(Spans, Spans)],
        layout: usize,
        index: usize,
    ) -> Result<Buckets, ChunkError> {
        let found = layouts.get(layout).zip(self.columns_of.get(layout));
        let ((positive, negative), columns) = found.ok_or(ChunkError::Invalid("layout out of range"))?;
        let value =
            |column: &usize| self.values.get(column * self.count + index).copied().unwrap_or_default();
        Ok(Buckets {
            spans: self.sign.spans(positive, negative).to_vec(),
            counts: columns.iter().map(value).collect(),
        })
    }
}

fn read_integers(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, ChunkError> {
    let mut column = vec![0; count];
    column::read(cursor, &mut column)?;
    Ok(column)
}

fn read_values(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, ChunkError> {
    let mut scratch = [0; SAMPLES_MAX];
    let mut values = Vec::with_capacity(count);
    values::read(cursor, scratch.split_at_mut(count).0, &mut values)?;
    Ok(values)
}

fn read_bounds(cursor: &mut Cursor<'_>) -> Result<Arc<[f64]>, ChunkError> {
    let count = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
    let bytes = cursor.take(count.saturating_mul(8))?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|bound| f64::from_le_bytes(*bound)).collect())
}

fn read_layouts(cursor: &mut Cursor<'_>) -> Result<Vec<(Spans, Spans)>, ChunkError> {
    let count = cursor.varint()?;
    if count > LAYOUTS_MAX as u64 {
        return Err(ChunkError::Invalid("too many layouts"));
    }
    let mut layouts = Vec::new();
    for _ in 0..count {
        layouts.push((read_spans(cursor)?, read_spans(cursor)?));
    }
    Ok(layouts)
}

fn read_spans(cursor: &mut Cursor<'_>) -> Result<Spans, ChunkError> {
    let mut spans = Vec::new();
    let mut buckets = 0_u64;
    for _ in 0..cursor.varint()? {
        let offset = i32::try_from(cursor.signed_varint()?);
        let length = u32::try_from(cursor.varint()?);
        let (Ok(offset), Ok(length)) = (offset, length) else {
            return Err(ChunkError::Invalid("span out of range"));
        };
        buckets += u64::from(length);
        if buckets > BUCKETS_MAX as u64 {
            return Err(ChunkError::Invalid("too many buckets"));
        }
        spans.push(BucketSpan { offset, length });
    }
    Ok(spans)
}
