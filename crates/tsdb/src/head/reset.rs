//! What a histogram says of a counter reset since the one before: decided once, when it is appended.

use model::{Buckets, Histogram, ResetHint};

/// The hint that `histogram` gets after `before`, the newest sample of its series (none if that is a float).
///
/// As in Prometheus's head: what begins a chain is unknown, unless the sender knows better; a gauge stays one; a
/// count, zero bucket or bucket that shrinks is a reset. Other boundaries begin a chain.
pub(super) fn hint_after(before: Option<&Histogram>, histogram: &Histogram) -> ResetHint {
    if histogram.is_stale() {
        return ResetHint::Unknown;
    }
    match histogram.reset_hint {
        ResetHint::Gauge => return ResetHint::Gauge,
        ResetHint::Reset => return ResetHint::Reset,
        ResetHint::Unknown | ResetHint::NotReset => {}
    }
    let Some(before) = before.filter(|before| is_same_chain(before, histogram)) else {
        return ResetHint::Unknown;
    };
    if histogram.count < before.count {
        return ResetHint::Reset;
    }
    let has_same_boundaries = histogram.schema == before.schema
        && histogram.zero_threshold.to_bits() == before.zero_threshold.to_bits()
        && histogram.custom_bounds == before.custom_bounds;
    if !has_same_boundaries {
        return ResetHint::Unknown;
    }
    let has_shrunk = histogram.zero_count < before.zero_count
        || has_shrunk(&before.positive, &histogram.positive)
        || has_shrunk(&before.negative, &histogram.negative);
    if has_shrunk { ResetHint::Reset } else { ResetHint::NotReset }
}

fn is_same_chain(before: &Histogram, histogram: &Histogram) -> bool {
    !before.is_stale() && before.reset_hint != ResetHint::Gauge && before.is_float == histogram.is_float
}

/// Whether a bucket has less than before; one that is gone has nothing.
fn has_shrunk(before: &Buckets, after: &Buckets) -> bool {
    if before.spans == after.spans {
        return before.counts.iter().zip(&after.counts).any(|(before, after)| after < before);
    }
    let mut after = after.iter().peekable();
    before.iter().any(|(index, count)| {
        while after.next_if(|(other, _)| *other < index).is_some() {}
        let now = after.next_if(|(other, _)| *other == index).map_or(0.0, |(_, count)| count);
        now < count
    })
}

/// Whether two histograms of one time are the same sample.
pub(super) fn is_same(left: &Histogram, right: &Histogram) -> bool {
    let bits = |histogram: &Histogram| (histogram.sum.to_bits(), histogram.zero_threshold.to_bits());
    if left.is_stale() && right.is_stale() {
        return true;
    }
    bits(left) == bits(right)
        && left.schema == right.schema
        && left.is_float == right.is_float
        && left.count == right.count
        && left.zero_count == right.zero_count
        && left.positive == right.positive
        && left.negative == right.negative
        && left.custom_bounds == right.custom_bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::BucketSpan;

    fn counter(counts: &[f64]) -> Histogram {
        let spans = vec![BucketSpan { offset: 0, length: counts.len() as u32 }];
        let count = counts.iter().sum();
        Histogram { positive: Buckets { spans, counts: counts.to_vec() }, count, ..Histogram::default() }
    }

    #[test]
    fn hints_are_those_of_prometheus() {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let before = counter(&[1.0, 2.0]);
        let hinted = |reset_hint| Histogram { reset_hint, ..counter(&[5.0, 5.0]) };
        let cases: &[(&str, Option<Histogram>, Histogram, ResetHint)] = &[
            ("the first", None, before.clone(), Unknown),
            ("the first, told by the sender", None, hinted(Reset), Reset),
            ("grown", Some(before.clone()), counter(&[1.0, 3.0]), NotReset),
            ("wider", Some(before.clone()), counter(&[1.0, 2.0, 1.0]), NotReset),
            ("the count is less", Some(before.clone()), counter(&[1.0, 1.0]), Reset),
            ("a bucket is less", Some(before.clone()), counter(&[0.0, 4.0]), Reset),
            ("a bucket is gone", Some(before.clone()), counter(&[9.0]), Reset),
            ("a gauge", Some(before.clone()), hinted(Gauge), Gauge),
            ("after a gauge", Some(hinted(Gauge)), counter(&[9.0, 9.0]), Unknown),
            ("stale", Some(before.clone()), Histogram::stale(), Unknown),
            ("after stale", Some(Histogram::stale()), before.clone(), Unknown),
            ("finer", Some(before.clone()), Histogram { schema: 1, ..counter(&[9.0, 9.0]) }, Unknown),
            (
                "other kind",
                Some(before.clone()),
                Histogram { is_float: true, ..counter(&[9.0, 9.0]) },
                Unknown,
            ),
            ("the sender does not know", Some(before), hinted(NotReset), NotReset),
        ];
        for (name, before, histogram, want) in cases {
            assert_eq!(hint_after(before.as_ref(), histogram), *want, "{name}");
        }
    }
}
