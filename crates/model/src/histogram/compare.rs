//! Histograms of a series, one after the other: are they the same, was the counter reset.

use super::sum::coarser_index;
use super::{Buckets, Histogram, ResetHint, exponential_bound};

impl Histogram {
    /// Whether two hold the same data to the bit. Hints, and how spans are cut, do not count; buckets that hold nothing
    /// do.
    pub fn same_data(&self, other: &Self) -> bool {
        let numbers = |h: &Self| [h.count, h.sum, h.zero_count].map(f64::to_bits);
        self.schema == other.schema
            && numbers(self) == numbers(other)
            && self.zero_threshold == other.zero_threshold
            && self.custom_bounds == other.custom_bounds
            && same_buckets(&self.positive, &other.positive)
            && same_buckets(&self.negative, &other.negative)
    }

    /// Whether the counter was reset between `previous` and this one: what the hint says, else whether any count fell,
    /// a bucket vanished, the resolution grew or the zero bucket shrank.
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_bounds() {
            return !previous.has_custom_bounds() || self.custom_buckets_fell(previous);
        }
        if previous.has_custom_bounds() {
            return true;
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_within(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count.total() {
            return true;
        }
        self.buckets_fell(&self.positive, previous.schema, &previous.positive)
            || self.buckets_fell(&self.negative, previous.schema, &previous.negative)
    }

    fn buckets_fell(&self, current: &Buckets, previous_schema: i32, previous: &Buckets) -> bool {
        let mut current = current.iter().peekable();
        let mut merged: Option<(i32, f64)> = None;
        let mut fell = |(index, count): (i32, f64)| {
            if exponential_bound(self.schema, index) <= self.zero_threshold {
                return false;
            }
            while current.next_if(|(at, _)| *at < index).is_some() {}
            let now = current.peek().filter(|(at, _)| *at == index).map_or(0.0, |(_, count)| *count);
            now < count
        };
        for (index, count) in previous.iter() {
            let index = coarser_index(index, previous_schema, self.schema);
            match &mut merged {
                Some((at, total)) if *at == index => *total += count,
                _ => {
                    if merged.replace((index, count)).is_some_and(&mut fell) {
                        return true;
                    }
                }
            }
        }
        merged.is_some_and(fell)
    }

    /// Compares the counts between the bounds that both have.
    fn custom_buckets_fell(&self, previous: &Self) -> bool {
        let common = self.custom_bounds.iter().filter(|bound| previous.custom_bounds.contains(bound));
        let mut before = 0.0;
        let mut before_previous = 0.0;
        for &bound in common.chain(&[f64::INFINITY]) {
            let (now, then) = (self.observed_up_to(bound), previous.observed_up_to(bound));
            if now - before < then - before_previous {
                return true;
            }
            (before, before_previous) = (now, then);
        }
        false
    }

    fn observed_up_to(&self, bound: f64) -> f64 {
        self.positive_buckets().filter(|bucket| bucket.upper <= bound).map(|bucket| bucket.count).sum()
    }
}

fn same_buckets(left: &Buckets, right: &Buckets) -> bool {
    let bits = |(index, count): (i32, f64)| (index, count.to_bits());
    left.iter().map(bits).eq(right.iter().map(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CUSTOM_BOUNDS_SCHEMA;

    fn of(schema: i32, zero: (f64, f64), positive: &[(i32, f64)]) -> Histogram {
        Histogram {
            schema,
            count: 100.0,
            zero_threshold: zero.0,
            zero_count: zero.1,
            positive: Buckets::from_ascending(positive.iter().copied()),
            ..Histogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[(i32, f64)]) -> Histogram {
        Histogram { custom_bounds: bounds.into(), ..of(CUSTOM_BOUNDS_SCHEMA, (0.0, 0.0), counts) }
    }

    #[test]
    fn resets_are_seen() {
        let before = of(1, (0.001, 2.0), &[(0, 1.0), (1, 2.0), (2, 3.0)]);
        let cases: &[(&str, Histogram, bool)] = &[
            ("the same", before.clone(), false),
            ("a count fell", Histogram { count: 99.0, ..before.clone() }, true),
            ("a bucket fell", of(1, (0.001, 2.0), &[(0, 1.0), (1, 1.0), (2, 3.0)]), true),
            ("a bucket vanished", of(1, (0.001, 2.0), &[(0, 1.0), (2, 3.0)]), true),
            ("a bucket more", of(1, (0.001, 2.0), &[(0, 1.0), (1, 2.0), (2, 3.0), (9, 1.0)]), false),
            ("coarser", of(0, (0.001, 2.0), &[(0, 1.0), (1, 5.0)]), false),
            ("coarser and fewer", of(0, (0.001, 2.0), &[(0, 1.0), (1, 4.0)]), true),
            ("finer", of(2, (0.001, 2.0), &[(0, 9.0), (1, 9.0), (2, 9.0)]), true),
            ("zero bucket shrank", of(1, (0.0001, 2.0), &[(0, 1.0), (1, 2.0), (2, 3.0)]), true),
            ("zero bucket took a bucket", of(1, (1.0, 3.0), &[(1, 2.0), (2, 3.0)]), false),
            ("zero bucket cuts a bucket", of(1, (0.9, 3.0), &[(1, 2.0), (2, 3.0)]), true),
        ];
        for (what, after, want) in cases {
            assert_eq!(after.is_reset_after(&before), *want, "{what}");
        }
        let hinted = |reset_hint| Histogram { reset_hint, ..before.clone() };
        assert!(hinted(ResetHint::Reset).is_reset_after(&before));
        assert!(!Histogram { count: 0.0, ..hinted(ResetHint::NotReset) }.is_reset_after(&before));
    }

    #[test]
    fn resets_of_custom_bounds() {
        let before = custom(&[1.0, 2.0, 3.0], &[(0, 1.0), (1, 2.0), (2, 3.0)]);
        assert!(!custom(&[1.0, 3.0], &[(0, 1.0), (1, 5.0)]).is_reset_after(&before));
        assert!(custom(&[1.0, 3.0], &[(0, 1.0), (1, 4.0)]).is_reset_after(&before));
        assert!(custom(&[1.0], &[(0, 1.0)]).is_reset_after(&of(0, (0.0, 0.0), &[])));
    }
}
