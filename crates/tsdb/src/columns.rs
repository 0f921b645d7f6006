//! Columns that were put together piece by piece, made strictly ascending.

use model::{HistogramSample, ResetHint, SampleColumns, TimeRange};

/// Sorts by time, keeps the first of several samples at one time (the one written first; a float before a
/// histogram), and cuts to the range.
pub(crate) fn tidy_up(range_ms: TimeRange, columns: &mut SampleColumns) {
    if !columns.ts_ms.is_sorted_by(|left, right| left < right) {
        sort_floats(columns);
    }
    let end = columns.ts_ms.partition_point(|ts_ms| *ts_ms < range_ms.end);
    let start = columns.ts_ms.partition_point(|ts_ms| *ts_ms < range_ms.start).min(end);
    clip(&mut columns.ts_ms, start, end);
    clip(&mut columns.values, start, end);
    clip(&mut columns.start_ms, start, end);
    if columns.histograms.is_empty() {
        return;
    }
    let ts_ms = &columns.ts_ms;
    columns.histograms.retain(|sample| ts_ms.binary_search(&sample.ts_ms).is_err());
    if !columns.histograms.is_sorted_by(|left, right| left.ts_ms < right.ts_ms) {
        columns.histograms = sort_histograms(std::mem::take(&mut columns.histograms));
    }
    columns.histograms.retain(|sample| range_ms.contains(sample.ts_ms));
}

/// Takes the samples in `range_ms` out of columns that are strictly ascending.
pub(crate) fn cut_out(range_ms: TimeRange, columns: &mut SampleColumns) {
    let start = columns.ts_ms.partition_point(|ts_ms| *ts_ms < range_ms.start);
    let end = columns.ts_ms.partition_point(|ts_ms| *ts_ms < range_ms.end).max(start);
    columns.ts_ms.drain(start..end);
    columns.values.drain(start..end);
    columns.start_ms.drain(start.min(columns.start_ms.len())..end.min(columns.start_ms.len()));
    columns.histograms.retain(|sample| !range_ms.contains(sample.ts_ms));
}

fn clip<T>(column: &mut Vec<T>, start: usize, end: usize) {
    column.truncate(end);
    column.drain(..start.min(column.len()));
}

fn sort_floats(columns: &mut SampleColumns) {
    let ts_ms = &columns.ts_ms;
    let mut order: Vec<u32> = (0..ts_ms.len() as u32).collect();
    order.sort_by_key(|index| ts_ms.get(*index as usize));
    order.dedup_by_key(|index| ts_ms.get(*index as usize));
    columns.values = pick(&columns.values, &order);
    columns.start_ms = pick(&columns.start_ms, &order);
    columns.ts_ms = pick(&columns.ts_ms, &order);
}

fn pick<T: Copy>(column: &[T], order: &[u32]) -> Vec<T> {
    order.iter().filter_map(|index| column.get(*index as usize).copied()).collect()
}

/// What a histogram's hint says of its predecessor no longer holds when it has got another one.
fn sort_histograms(samples: Vec<HistogramSample>) -> Vec<HistogramSample> {
    let mut numbered: Vec<_> = samples.into_iter().enumerate().collect();
    numbered.sort_by_key(|(_, sample)| sample.ts_ms);
    numbered.dedup_by_key(|(_, sample)| sample.ts_ms);
    let mut expected = 0;
    let sorted = numbered.into_iter().map(|(number, mut sample)| {
        let has_moved = number != expected;
        expected = number + 1;
        if has_moved && matches!(sample.histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            std::sync::Arc::make_mut(&mut sample.histogram).reset_hint = ResetHint::Unknown;
        }
        sample
    });
    sorted.collect()
}
