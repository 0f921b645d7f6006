//! One sample, as the head keeps it.

/// A value at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) ts_ms: i64,
    pub(crate) value: f64,
}

/// Bit for bit: a NaN equals itself.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.ts_ms == other.ts_ms && self.value.to_bits() == other.value.to_bits()
    }
}
