//! The newest floats of a series, as bytes that are cheap to add to: about 3 a sample instead of 24.
//!
//! ```text
//! tail  := sample*          every sample leans on the one before; the first on all zeros
//! sample := tag u8 | [time step varint] | [start time difference zigzag] | value
//! tag    := 0..=1 value: 0 as before, 1 difference of mantissas zigzag, 2 mantissa zigzag, 3 bits[8]
//!         | bit 2: the time step differs from the one before, and stands there
//!         | bit 3: the start time differs, and its difference stands there
//!         | 4..=7 decimal exponent of a mantissa (2 only; 1 keeps the exponent)
//! ```
//! - Times ascend strictly. Decoding gives back the very bits.
//! - It is a form of memory, and of the head's snapshot. Chunks, which take a third of it, are made from it when it is
//!   long enough.

use codec::{Cursor, put_bytes, put_varint, zigzag};
use model::{SampleColumns, TimeRange};

use crate::chunk::ChunkError;
use crate::chunk::decimal::{mantissa_at, unscaled};
use crate::sample::Sample;

const SAME: u8 = 0;
const DIFFERENCE: u8 = 1;
const MANTISSA: u8 = 2;
const BITS: u8 = 3;
const MODE_MASK: u8 = 3;
const STEP: u8 = 4;
const START: u8 = 8;

/// Exponents above are rare, and trying all of them costs.
const EXPONENT_MAX: u8 = 6;
/// Few samples take more.
const SAMPLE_BYTES: usize = 8;
/// Memory grows by this.
const GROWTH_BYTES: usize = 32;
/// No exponent is known.
const NONE: u8 = u8::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    /// The sample added last. It stays when the tail is emptied.
    last: Sample,
    /// 0 when it is too large for the field.
    step_ms: u32,
    exponent: u8,
    count: u8,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bytes: Vec::new(), last: Sample::default(), step_ms: 0, exponent: NONE, count: 0 }
    }
}

impl Tail {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.count)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sample added last, if there ever was one.
    pub(super) fn last(&self) -> Option<Sample> {
        (self.last.ts_ms != 0).then_some(self.last)
    }

    /// First and last time.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then(|| (first_ms(&self.bytes).unwrap_or_default(), self.last.ts_ms))
    }

    /// Takes the samples out.
    pub(super) fn take(&mut self) -> Self {
        let rest = Self { last: self.last, ..Self::default() };
        std::mem::replace(self, rest)
    }

    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        *self = Self { bytes: std::mem::take(&mut self.bytes), last: self.last, ..Self::default() };
    }

    /// Adds a sample that is newer than all others.
    #[inline]
    pub(super) fn push(&mut self, sample: Sample) {
        let before = if self.is_empty() { Sample::default() } else { self.last };
        let step_ms = sample.ts_ms.wrapping_sub(before.ts_ms) as u64;
        let mut tag = 0;
        if self.bytes.capacity() - self.bytes.len() < SAMPLE_BYTES {
            // Doubling would leave a third of the memory of a million short tails unused.
            self.bytes.reserve_exact(GROWTH_BYTES);
        }
        let tag_at = self.bytes.len();
        self.bytes.push(0);
        if step_ms != u64::from(self.step_ms) {
            tag |= STEP;
            put_varint(&mut self.bytes, step_ms);
            self.step_ms = u32::try_from(step_ms).unwrap_or_default();
        }
        if sample.start_ms != before.start_ms {
            tag |= START;
            put_varint(&mut self.bytes, zigzag(sample.start_ms.wrapping_sub(before.start_ms)));
        }
        tag |= self.put_value(sample.value, before.value);
        if let Some(place) = self.bytes.get_mut(tag_at) {
            *place = tag;
        }
        self.last = sample;
        self.count = self.count.saturating_add(1);
    }

    /// Appends a value and answers its part of the tag.
    #[inline]
    fn put_value(&mut self, value: f64, before: f64) -> u8 {
        if value.to_bits() == before.to_bits() {
            return SAME;
        }
        if self.exponent != NONE
            && let (Some(mantissa), Some(old)) =
                (mantissa_at(value, self.exponent), mantissa_at(before, self.exponent))
        {
            put_varint(&mut self.bytes, zigzag(mantissa - old));
            return DIFFERENCE;
        }
        let exponents = (0..=EXPONENT_MAX).map(|exponent| (exponent, mantissa_at(value, exponent)));
        match exponents.into_iter().find_map(|(exponent, mantissa)| Some((exponent, mantissa?))) {
            Some((exponent, mantissa)) => {
                put_varint(&mut self.bytes, zigzag(mantissa));
                self.exponent = exponent;
                MANTISSA | exponent << 4
            }
            None => {
                self.bytes.extend_from_slice(&value.to_le_bytes());
                self.exponent = NONE;
                BITS
            }
        }
    }

    /// The tail without samples, that still knows the one added last.
    pub(super) fn take_last(mut self) -> Self {
        self.clear();
        self
    }

    /// Appends all of it, for the snapshot.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, zigzag(self.last.ts_ms));
        out.extend_from_slice(&self.last.value.to_bits().to_le_bytes());
        put_varint(out, zigzag(self.last.start_ms));
        put_varint(out, u64::from(self.step_ms));
        out.extend_from_slice(&[self.exponent, self.count]);
        put_bytes(out, &self.bytes);
    }

    /// Reads what [`put`](Self::put) wrote.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, ChunkError> {
        let ts_ms = cursor.signed_varint()?;
        let value = f64::from_bits(u64::from_le_bytes(cursor.array()?));
        let start_ms = cursor.signed_varint()?;
        let step_ms =
            u32::try_from(cursor.varint()?).map_err(|_| ChunkError::Invalid("step out of range"))?;
        let [exponent, count] = cursor.array()?;
        let bytes = cursor.bytes()?.to_vec();
        Ok(Self { bytes, last: Sample { ts_ms, value, start_ms }, step_ms, exponent, count })
    }

    /// A tail of samples that stood in bytes before.
    #[cfg(test)]
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut tail = Self::default();
        visit(bytes, |sample| tail.push(sample))?;
        Ok(tail)
    }
}

fn first_ms(bytes: &[u8]) -> Option<i64> {
    let mut cursor = Cursor::new(bytes);
    cursor.u8().ok()?;
    cursor.varint().ok().map(|step_ms| step_ms as i64)
}

/// Appends the samples of `range_ms`.
pub(crate) fn read(bytes: &[u8], range_ms: TimeRange, out: &mut SampleColumns) -> Result<(), ChunkError> {
    visit(bytes, |sample| {
        if range_ms.contains(sample.ts_ms) {
            put(sample, out);
        }
    })
}

/// Appends a sample to columns.
#[inline]
pub(super) fn put(sample: Sample, out: &mut SampleColumns) {
    if sample.start_ms != 0 && out.start_ms.is_empty() {
        out.start_ms.resize(out.ts_ms.len(), 0);
        out.start_ms.push(sample.start_ms);
    } else if !out.start_ms.is_empty() {
        out.start_ms.push(sample.start_ms);
    }
    out.ts_ms.push(sample.ts_ms);
    out.values.push(sample.value);
}

#[inline]
fn visit(bytes: &[u8], mut take: impl FnMut(Sample)) -> Result<(), ChunkError> {
    let mut cursor = Cursor::new(bytes);
    let mut sample = Sample::default();
    let (mut step_ms, mut mantissa, mut exponent) = (0_u64, 0_i64, 0_u8);
    while !cursor.is_empty() {
        let tag = cursor.u8()?;
        if tag & STEP != 0 {
            step_ms = cursor.varint()?;
        }
        if tag & START != 0 {
            sample.start_ms = sample.start_ms.wrapping_add(cursor.signed_varint()?);
        }
        sample.ts_ms = sample.ts_ms.wrapping_add(step_ms as i64);
        match tag & MODE_MASK {
            SAME => {}
            DIFFERENCE => {
                mantissa = mantissa.wrapping_add(cursor.signed_varint()?);
                sample.value = unscaled(mantissa, exponent);
            }
            MANTISSA => {
                exponent = tag >> 4;
                mantissa = cursor.signed_varint()?;
                sample.value = unscaled(mantissa, exponent);
            }
            _ => sample.value = f64::from_le_bytes(cursor.array()?),
        }
        take(sample);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-1000_i64..1000).prop_map(|n| n as f64),
            4 => (-100_000_i64..100_000, 0..9_i32).prop_map(|(n, e)| n as f64 / 10_f64.powi(e)),
            1 => any::<f64>(),
            1 => Just(-0.0),
            1 => Just(f64::from_bits(model::STALE_NAN_BITS)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_pushed_comes_back(
            samples in proptest::collection::vec((1..40_000_i64, any_value(), 0..3_i64), 1..100),
            start in prop_oneof![Just(1), 1_600_000_000_000_i64..1_700_000_000_000],
        ) {
            let (mut tail, mut want, mut ts_ms) = (Tail::default(), SampleColumns::default(), start);
            for (step, value, start_ms) in samples {
                ts_ms += if step > 20_000 { 15_000 } else { step };
                tail.push(Sample { ts_ms, value, start_ms });
                put(Sample { ts_ms, value, start_ms }, &mut want);
            }
            let mut got = SampleColumns::default();
            read(tail.bytes(), TimeRange::ALL, &mut got).unwrap();
            prop_assert_eq!((&got.ts_ms, &got.start_ms), (&want.ts_ms, &want.start_ms));
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&got.values), bits(&want.values));
            prop_assert_eq!(tail.bounds(), want.ts_ms.first().copied().zip(want.ts_ms.last().copied()));
            let again = Tail::from_bytes(tail.bytes()).unwrap();
            prop_assert_eq!(again.bytes(), tail.bytes());
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _refused_or_not = read(&bytes, TimeRange::ALL, &mut SampleColumns::default()).is_err();
        }
    }

    #[test]
    fn common_samples_take_few_bytes() {
        let mut tail = Tail::default();
        for n in 0..100_i64 {
            tail.push(Sample {
                ts_ms: 1_700_000_000_000 + n * 15_000,
                value: (n * 37) as f64 / 100.0,
                start_ms: 1,
            });
        }
        assert!(tail.bytes().len() <= 240, "{} bytes for 100 samples", tail.bytes().len());
    }
}
