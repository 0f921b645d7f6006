//! One float, as the head takes it.

/// A value at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) ts_ms: i64,
    pub(crate) value: f64,
    /// When the counter began, 0 when nobody knows.
    pub(crate) start_ms: i64,
}
