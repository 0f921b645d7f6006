//! Half-open intervals of time.

/// `[start, end)`, in the unit its user's name says (`_ms` for metrics, `_ns` for spans).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub start: i64,
    pub end: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };

    /// `[start, end)`.
    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// PromQL's `(after, until]` in milliseconds: a sample exactly at `after` is outside, one at `until` inside.
    pub fn left_open_ms(after: i64, until: i64) -> Self {
        Self { start: after.saturating_add(1), end: until.saturating_add(1) }
    }

    /// Whether `time` is inside.
    pub fn contains(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether the two share a moment.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether no moment is inside.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_open_excludes_its_start_and_includes_its_end() {
        let range = TimeRange::left_open_ms(1_000, 2_000);
        assert!(!range.contains(1_000) && range.contains(1_001));
        assert!(range.contains(2_000) && !range.contains(2_001));
    }

    #[test]
    fn touching_ranges_do_not_overlap() {
        assert!(!TimeRange::new(0, 10).overlaps(&TimeRange::new(10, 20)));
        assert!(TimeRange::new(0, 11).overlaps(&TimeRange::new(10, 20)));
    }
}
