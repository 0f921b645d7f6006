//! Adding histograms up.
//!
//! ```text
//! schemas differ          the finer one's buckets are merged:  i → ((i − 1) >> difference) + 1
//! zero buckets differ     the narrower one grows to the wider; a populated bucket that it would cut is taken in whole
//! custom bounds differ    the bounds that both have remain; buckets between them are merged
//! exponential + custom    an error
//! ```
//! Every number carries its rounding error ([`KahanSum`]): a count of 10 survives a detour over 10^100.

use std::sync::Arc;

use super::{Buckets, CUSTOM_BOUNDS_SCHEMA, Histogram, ResetHint, exponential_bound};
use crate::KahanSum;

/// An exponential histogram meets one with custom bounds: they have no common buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchemas;

/// What had to be given up for an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// One said that its counter was reset, the other that it was not.
    pub reset_hints_collided: bool,
    /// Custom bounds differed.
    pub custom_bounds_differed: bool,
}

/// A running sum of histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    schema: i32,
    reset_hint: ResetHint,
    count: KahanSum,
    sum: KahanSum,
    zero_threshold: f64,
    zero_count: KahanSum,
    positive: Cells,
    negative: Cells,
    custom_bounds: Arc<[f64]>,
}

/// Buckets of one sign, ascending by index.
type Cells = Vec<(i32, KahanSum)>;

impl HistogramSum {
    /// A sum of one histogram.
    pub fn new(first: &Histogram) -> Self {
        let cells =
            |buckets: &Buckets| buckets.iter().map(|(index, count)| (index, KahanSum::of(count))).collect();
        Self {
            schema: first.schema,
            reset_hint: first.reset_hint,
            count: KahanSum::of(first.count),
            sum: KahanSum::of(first.sum),
            zero_threshold: first.zero_threshold,
            zero_count: KahanSum::of(first.zero_count),
            positive: cells(&first.positive),
            negative: cells(&first.negative),
            custom_bounds: first.custom_bounds.clone(),
        }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`]; the sum is then unchanged.
    pub fn add(&mut self, other: &Histogram) -> Result<Reconciled, IncompatibleSchemas> {
        self.add_scaled(other, 1.0)
    }

    /// Subtracts a histogram. The hint of the result is that of a sum.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn subtract(&mut self, other: &Histogram) -> Result<Reconciled, IncompatibleSchemas> {
        self.add_scaled(other, -1.0)
    }

    /// Multiplies everything by a factor and leaves the hint alone.
    pub fn scale(&mut self, factor: f64) {
        self.each(|number| number.scaled(factor));
    }

    /// Divides everything by a number and leaves the hint alone.
    pub fn divide(&mut self, divisor: f64) {
        self.each(|number| KahanSum { sum: number.sum / divisor, carry: number.carry / divisor });
    }

    /// Merges buckets into those of a coarser schema; a finer one, or custom bounds, change nothing.
    pub fn coarsen(&mut self, schema: i32) {
        if self.schema == CUSTOM_BOUNDS_SCHEMA || schema >= self.schema {
            return;
        }
        for cells in [&mut self.positive, &mut self.negative] {
            *cells = coarser(cells.iter().copied(), self.schema, schema);
        }
        self.schema = schema;
    }

    fn each(&mut self, function: impl Fn(KahanSum) -> KahanSum) {
        let numbers = [&mut self.count, &mut self.sum, &mut self.zero_count];
        let cells = self.positive.iter_mut().chain(&mut self.negative).map(|(_, cell)| cell);
        for number in numbers.into_iter().chain(cells) {
            *number = function(*number);
        }
    }

    /// Whether any number is infinite.
    pub fn has_overflow(&self) -> bool {
        let numbers = [&self.count, &self.sum, &self.zero_count];
        let cells = self.positive.iter().chain(&self.negative).map(|(_, cell)| cell);
        numbers.into_iter().chain(cells).any(|number| number.sum.is_infinite())
    }

    /// The sum as a histogram with float counts.
    pub fn total(&self) -> Histogram {
        let buckets =
            |cells: &Cells| Buckets::from_ascending(cells.iter().map(|(index, cell)| (*index, cell.total())));
        Histogram {
            schema: self.schema,
            is_float: true,
            reset_hint: self.reset_hint,
            count: self.count.total(),
            sum: self.sum.total(),
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.total(),
            positive: buckets(&self.positive),
            negative: buckets(&self.negative),
            custom_bounds: self.custom_bounds.clone(),
        }
    }

    fn add_scaled(&mut self, other: &Histogram, factor: f64) -> Result<Reconciled, IncompatibleSchemas> {
        let is_custom = self.schema == CUSTOM_BOUNDS_SCHEMA;
        if is_custom != other.has_custom_bounds() {
            return Err(IncompatibleSchemas);
        }
        let hint = merge_hints(self.reset_hint, other.reset_hint);
        self.reset_hint = hint.unwrap_or(ResetHint::Unknown);
        self.count.add(other.count * factor);
        self.sum.add(other.sum * factor);
        let custom_bounds_differed = is_custom && self.custom_bounds != other.custom_bounds;
        if custom_bounds_differed {
            self.add_with_other_bounds(other, factor);
        } else if is_custom {
            merge(&mut self.positive, scaled(other.positive.iter(), factor));
        } else {
            self.add_exponential(other, factor);
        }
        Ok(Reconciled { reset_hints_collided: hint.is_none(), custom_bounds_differed })
    }

    fn add_exponential(&mut self, other: &Histogram, factor: f64) {
        let other_zero_count = self.reconcile_zero_buckets(other);
        self.zero_count.add_sum(other_zero_count.scaled(factor));
        self.coarsen(other.schema);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let sides = [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)];
        for (cells, buckets) in sides {
            let counts = buckets.iter().map(|(index, count)| (index, KahanSum::of(count)));
            let counts =
                if other.schema > schema { coarser(counts, other.schema, schema) } else { counts.collect() };
            // What is inside the zero bucket has been counted there.
            let outside =
                counts.into_iter().skip_while(|(index, _)| exponential_bound(schema, *index) <= threshold);
            merge(cells, outside.map(|(index, count)| (index, count.scaled(factor))));
        }
    }

    /// Makes the zero bucket wide enough for both, and answers what would be in the other's if it were as wide.
    fn reconcile_zero_buckets(&mut self, other: &Histogram) -> KahanSum {
        let mut wide = KahanSum::of(other.zero_count);
        let mut threshold = other.zero_threshold;
        // Each turn widens one of the two to a bound of its buckets, so it ends.
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (wide, threshold) = other.zero_count_within(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen_zero_bucket(threshold);
            }
            if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        wide
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        let sides = (&self.positive, &self.negative);
        (self.zero_count, self.zero_threshold) =
            zero_count_within(self.schema, self.zero_count, sides, threshold);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        for cells in [&mut self.positive, &mut self.negative] {
            cells.retain(|(index, _)| exponential_bound(schema, index.saturating_sub(1)) >= threshold);
        }
    }

    fn add_with_other_bounds(&mut self, other: &Histogram, factor: f64) {
        let common: Vec<f64> =
            self.custom_bounds.iter().copied().filter(|bound| other.custom_bounds.contains(bound)).collect();
        let mut cells = rebound(self.positive.iter().copied(), &self.custom_bounds, &common);
        let added = scaled(other.positive.iter(), factor);
        merge(&mut cells, rebound(added, &other.custom_bounds, &common).into_iter());
        cells.retain(|(_, cell)| cell.sum != 0.0 || cell.carry != 0.0);
        self.positive = cells;
        self.custom_bounds = common.into();
    }
}

impl Histogram {
    /// What would be in the zero bucket if its threshold were `threshold`, and the threshold that this needs:
    /// a populated bucket is never cut.
    pub(super) fn zero_count_within(&self, threshold: f64) -> (KahanSum, f64) {
        let cells = |buckets: &Buckets| -> Cells {
            buckets.iter().map(|(index, count)| (index, KahanSum::of(count))).collect()
        };
        let (positive, negative) = (cells(&self.positive), cells(&self.negative));
        zero_count_within(self.schema, KahanSum::of(self.zero_count), (&positive, &negative), threshold)
    }
}

fn zero_count_within(
    schema: i32,
    zero_count: KahanSum,
    (positive, negative): (&Cells, &Cells),
    threshold: f64,
) -> (KahanSum, f64) {
    let mut threshold = threshold;
    loop {
        let before = threshold;
        let mut count = zero_count;
        for (index, cell) in positive.iter().chain(negative) {
            let upper = exponential_bound(schema, *index);
            if exponential_bound(schema, index.saturating_sub(1)) < threshold {
                count.add_sum(*cell);
                if upper > threshold && cell.sum != 0.0 {
                    threshold = upper;
                }
            }
        }
        // A threshold that grew may cover more on the other side.
        if threshold == before || threshold.is_nan() {
            return (count, threshold);
        }
    }
}

/// The hint of a sum; nothing when the two contradict each other.
fn merge_hints(left: ResetHint, right: ResetHint) -> Option<ResetHint> {
    match (left, right) {
        _ if left == right => Some(left),
        (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => Some(ResetHint::Gauge),
        (ResetHint::Unknown, _) | (_, ResetHint::Unknown) => Some(ResetHint::Unknown),
        _ => None,
    }
}

fn scaled(counts: impl Iterator<Item = (i32, f64)>, factor: f64) -> impl Iterator<Item = (i32, KahanSum)> {
    counts.map(move |(index, count)| (index, KahanSum::of(count * factor)))
}

/// Adds `added`, which ascends by index.
fn merge(cells: &mut Cells, added: impl Iterator<Item = (i32, KahanSum)>) {
    let mut position = 0;
    for (index, count) in added {
        while cells.get(position).is_some_and(|(at, _)| *at < index) {
            position += 1;
        }
        match cells.get_mut(position) {
            Some((at, cell)) if *at == index => cell.add_sum(count),
            _ => cells.insert(position, (index, count)),
        }
    }
}

/// Merges buckets into those of a schema of lower resolution.
fn coarser(counts: impl Iterator<Item = (i32, KahanSum)>, from: i32, to: i32) -> Cells {
    let mut cells = Cells::new();
    for (index, count) in counts {
        let index = coarser_index(index, from, to);
        match cells.last_mut() {
            Some((at, cell)) if *at == index => cell.add_sum(count),
            _ => cells.push((index, count)),
        }
    }
    cells
}

pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    (index.wrapping_sub(1) >> from.abs_diff(to).min(31)).wrapping_add(1)
}

/// Merges buckets under `bounds` into those under `common`, which are some of them.
fn rebound(counts: impl Iterator<Item = (i32, KahanSum)>, bounds: &[f64], common: &[f64]) -> Cells {
    let mut cells = Cells::new();
    for (index, count) in counts {
        let bound = usize::try_from(index).ok().and_then(|index| bounds.get(index)).copied();
        let target = common.partition_point(|candidate| *candidate < bound.unwrap_or(f64::INFINITY));
        let target = i32::try_from(target).unwrap_or(i32::MAX);
        match cells.last_mut() {
            Some((at, cell)) if *at == target => cell.add_sum(count),
            _ => cells.push((target, count)),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential(
        schema: i32,
        zero: (f64, f64),
        positive: &[(i32, f64)],
        negative: &[(i32, f64)],
    ) -> Histogram {
        let count = |pairs: &[(i32, f64)]| pairs.iter().map(|(_, count)| count).sum::<f64>();
        Histogram {
            schema,
            count: zero.1 + count(positive) + count(negative),
            sum: 1.0,
            zero_threshold: zero.0,
            zero_count: zero.1,
            positive: Buckets::from_ascending(positive.iter().copied()),
            negative: Buckets::from_ascending(negative.iter().copied()),
            ..Histogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[(i32, f64)]) -> Histogram {
        Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            count: counts.iter().map(|(_, count)| count).sum(),
            custom_bounds: bounds.into(),
            positive: Buckets::from_ascending(counts.iter().copied()),
            ..Histogram::default()
        }
    }

    #[track_caller]
    fn check(left: &Histogram, right: &Histogram, want: &str) {
        for (left, right) in [(left, right), (right, left)] {
            let mut sum = HistogramSum::new(left);
            sum.add(right).expect("compatible");
            assert_eq!(sum.total().to_string(), want);
        }
    }

    #[test]
    fn same_layout() {
        let left = exponential(0, (0.1, 1.0), &[(0, 1.0), (2, 2.0)], &[(1, 3.0)]);
        let right = exponential(0, (0.1, 1.0), &[(1, 5.0), (2, 1.0)], &[]);
        let want = "{count:14, sum:2, [-2,-1):3, [-0.1,0.1]:2, (0.5,1]:1, (1,2]:5, (2,4]:3}";
        check(&left, &right, want);
    }

    #[test]
    fn the_coarser_schema_wins() {
        let fine = exponential(1, (0.0, 0.0), &[(1, 1.0), (2, 2.0), (3, 4.0)], &[]);
        let coarse = exponential(0, (0.0, 0.0), &[(1, 10.0)], &[]);
        check(&fine, &coarse, "{count:17, sum:2, (1,2]:13, (2,4]:4}");
    }

    #[test]
    fn the_wider_zero_bucket_takes_populated_buckets_whole() {
        let narrow = exponential(0, (0.001, 1.0), &[(-1, 2.0), (0, 3.0), (2, 4.0)], &[(0, 5.0)]);
        let wide = exponential(0, (0.6, 10.0), &[(2, 1.0)], &[]);
        check(&narrow, &wide, "{count:26, sum:2, [-1,1]:21, (2,4]:5}");
    }

    #[test]
    fn differing_bounds_keep_what_they_share() {
        let left = custom(&[1.0, 2.0, 5.0], &[(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0)]);
        let right = custom(&[1.0, 3.0, 5.0], &[(0, 10.0), (1, 20.0)]);
        check(&left, &right, "{count:45, sum:0, [-Inf,1]:11, (1,5]:26, (5,+Inf]:8}");
        let mut sum = HistogramSum::new(&left);
        let noted = sum.add(&right).expect("compatible");
        assert!(noted.custom_bounds_differed && !noted.reset_hints_collided);
    }

    #[test]
    fn kinds_do_not_mix() {
        let mut sum = HistogramSum::new(&custom(&[1.0], &[]));
        assert_eq!(sum.add(&Histogram::default()), Err(IncompatibleSchemas));
    }

    #[test]
    fn small_counts_survive_large_ones() {
        let of = |count: f64| exponential(0, (0.0, 0.0), &[(1, count)], &[]);
        let mut sum = HistogramSum::new(&of(1e100));
        sum.add(&of(10.0)).expect("compatible");
        sum.subtract(&of(1e100)).expect("compatible");
        assert_eq!(sum.total().to_string(), "{count:10, sum:1, (1,2]:10}");
    }

    #[test]
    fn contradicting_hints_are_told() {
        let of = |reset_hint| Histogram { reset_hint, ..Histogram::default() };
        let cases = [
            (ResetHint::Reset, ResetHint::NotReset, ResetHint::Unknown, true),
            (ResetHint::Reset, ResetHint::Gauge, ResetHint::Gauge, false),
            (ResetHint::NotReset, ResetHint::Unknown, ResetHint::Unknown, false),
            (ResetHint::NotReset, ResetHint::NotReset, ResetHint::NotReset, false),
        ];
        for (left, right, hint, collided) in cases {
            let mut sum = HistogramSum::new(&of(left));
            let noted = sum.add(&of(right)).expect("compatible");
            assert_eq!((sum.total().reset_hint, noted.reset_hints_collided), (hint, collided));
        }
    }
}
