//! What one group of an aggregation knows of its floats, step by step.
//!
//! ```text
//! count   2    3    3    0          one column each, so that adding a series is a loop without branches
//! sum     1.5  4.0  9.1  0.0
//! carry   0    0    2e-17 0
//! ```
//! A count of 0 means that the step has nothing yet.

use super::column::{absent, is_absent};
use super::math::{KahanSum, Mean};
use crate::ast::AggregateOp;

/// The floats of one group, over all steps.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    /// Samples added at each step.
    pub(super) counts: Vec<f64>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Compensated sums: `sums[n] + carries[n]`.
    Sum {
        sums: Vec<f64>,
        carries: Vec<f64>,
    },
    Avg(Vec<Mean>),
    Min(Vec<f64>),
    Max(Vec<f64>),
    Count,
    Group,
    /// Welford's means and sums of squared differences.
    Variance {
        means: Vec<f64>,
        squares: Vec<f64>,
        root: bool,
    },
}

impl Fold {
    /// Empty, for an operation that needs to see one series at a time; `None` for those that need all at once.
    pub(super) fn new(op: AggregateOp, steps: usize) -> Option<Self> {
        let zeros = || vec![0.0; steps];
        let state = match op {
            AggregateOp::Sum => State::Sum { sums: zeros(), carries: zeros() },
            AggregateOp::Avg => State::Avg(vec![Mean::default(); steps]),
            AggregateOp::Min => State::Min(zeros()),
            AggregateOp::Max => State::Max(zeros()),
            AggregateOp::Count => State::Count,
            AggregateOp::Group => State::Group,
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                let root = op == AggregateOp::Stddev;
                State::Variance { means: zeros(), squares: zeros(), root }
            }
            _ => return None,
        };
        Some(Self { counts: zeros(), state })
    }

    /// Adds a series: one value per step, some absent.
    pub(super) fn add(&mut self, values: &[f64]) {
        match &mut self.state {
            State::Sum { sums, carries } => add_to_sums(sums, carries, values),
            State::Avg(means) => {
                let present = means.iter_mut().zip(values).filter(|(_, value)| !is_absent(**value));
                present.for_each(|(mean, value)| mean.add(*value));
            }
            State::Min(best) => replace(best, &self.counts, values, |value, best| value < best),
            State::Max(best) => replace(best, &self.counts, values, |value, best| value > best),
            State::Count | State::Group => {}
            State::Variance { means, squares, .. } => {
                let cells = means.iter_mut().zip(squares).zip(&self.counts);
                for (((mean, squares), count), value) in cells.zip(values) {
                    if !is_absent(*value) {
                        add_to_variance(mean, squares, *count, *value);
                    }
                }
            }
        }
        for (count, value) in self.counts.iter_mut().zip(values) {
            *count += if is_absent(*value) { 0.0 } else { 1.0 };
        }
    }

    /// The result of each step.
    pub(super) fn finish(self) -> Vec<f64> {
        let mut results = match self.state {
            State::Sum { sums, carries } => {
                let sums = sums.into_iter().zip(carries).map(|(sum, carry)| KahanSum { sum, carry });
                sums.map(|sum| if sum.sum.is_infinite() { sum.sum } else { sum.total() }).collect()
            }
            State::Avg(means) => means.into_iter().map(Mean::mean).collect(),
            State::Min(best) | State::Max(best) => best,
            State::Count => self.counts.clone(),
            State::Group => vec![1.0; self.counts.len()],
            State::Variance { squares, root, .. } => {
                let variances = squares.into_iter().zip(&self.counts).map(|(squares, count)| squares / count);
                variances.map(|variance| if root { variance.sqrt() } else { variance }).collect::<Vec<_>>()
            }
        };
        for (result, count) in results.iter_mut().zip(&self.counts) {
            if *count == 0.0 {
                *result = absent();
            }
        }
        results
    }
}

/// Neumaier's sum, with Knuth's form of the error (TwoSum), which is exact as well and has no branch. Once a sum is
/// infinite or no number its carry is not looked at any more.
fn add_to_sums(sums: &mut [f64], carries: &mut [f64], values: &[f64]) {
    for ((sum, carry), value) in sums.iter_mut().zip(carries).zip(values) {
        let value = if is_absent(*value) { 0.0 } else { *value };
        let total = *sum + value;
        let added = total - *sum;
        *carry += (*sum - (total - added)) + (value - added);
        *sum = total;
    }
}

/// Takes the values that are better than the best so far; NaN is worse than all.
fn replace(best: &mut [f64], counts: &[f64], values: &[f64], is_better: impl Fn(f64, f64) -> bool) {
    for ((best, count), value) in best.iter_mut().zip(counts).zip(values) {
        let takes = *count == 0.0 || is_better(*value, *best) || best.is_nan();
        if takes && !is_absent(*value) {
            *best = *value;
        }
    }
}

/// `count`: samples added before.
fn add_to_variance(mean: &mut f64, squares: &mut f64, count: f64, value: f64) {
    if count == 0.0 {
        *mean = value;
        *squares = if value.is_finite() { 0.0 } else { f64::NAN };
        return;
    }
    let delta = value - *mean;
    *mean += delta / (count + 1.0);
    *squares += delta * (value - *mean);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -1e3..1e3,
            2 => Just(absent()),
            1 => prop_oneof![Just(1e100), Just(-1e100), Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY)],
        ]
    }

    proptest! {
        #[test]
        fn sums_are_compensated_sums(columns in prop::collection::vec(prop::collection::vec(value(), 3), 1..20)) {
            let mut fold = Fold::new(AggregateOp::Sum, 3).expect("one at a time");
            columns.iter().for_each(|column| fold.add(column));
            for (step, found) in fold.finish().into_iter().enumerate() {
                let mut sum = KahanSum::default();
                let present: Vec<f64> =
                    columns.iter().map(|column| column[step]).filter(|value| !is_absent(*value)).collect();
                present.iter().for_each(|value| sum.add(*value));
                let wanted = if present.is_empty() {
                    absent()
                } else if sum.sum.is_infinite() {
                    sum.sum
                } else {
                    sum.total()
                };
                let same = found.to_bits() == wanted.to_bits()
                    || (found.is_nan() && wanted.is_nan() && is_absent(found) == is_absent(wanted));
                prop_assert!(same, "step {}: {} is not {}", step, found, wanted);
            }
        }
    }
}
