//! Floats as decimals: `value = mantissa / 10^exponent`, one exponent for all values of a chunk.
//!
//! A double that was read from a text of at most 15 digits is the double nearest to that decimal, and so is the
//! quotient of its mantissa and a power of ten, as IEEE division rounds correctly. Every value is tried and
//! compared bit for bit all the same; one that does not come back is an exception.

use super::ChunkError;

const EXPONENT_MAX: u8 = 15;
/// Integers up to here are exact as doubles.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;
/// One value in so many may be an exception.
const EXCEPTION_SHARE: usize = 8;

const POWERS: [f64; EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// What stands beside the mantissas.
pub(super) struct Scaled {
    pub(super) exponent: u8,
    /// Index and bits of the values that are no such decimals.
    pub(super) exceptions: Vec<(u16, u64)>,
}

/// Fills `mantissas`, or answers `None` when too many values are no decimals.
pub(super) fn scale(values: &[f64], mantissas: &mut [i64]) -> Option<Scaled> {
    let exceptions_max = values.len() / EXCEPTION_SHARE + 1;
    let exponent = common_exponent(values, exceptions_max)?;
    let power = power(exponent)?;
    let mut exceptions = Vec::new();
    let mut previous = 0;
    for (index, (value, slot)) in values.iter().zip(mantissas).enumerate() {
        match mantissa(*value, power) {
            Some(mantissa) => previous = mantissa,
            None => exceptions.push((u16::try_from(index).ok()?, value.to_bits())),
        }
        *slot = previous;
    }
    (exceptions.len() <= exceptions_max).then_some(Scaled { exponent, exceptions })
}

/// The smallest exponent at which every value but a few is an integer.
fn common_exponent(values: &[f64], exceptions_max: usize) -> Option<u8> {
    let mut exponent = 0;
    let mut exceptions = 0;
    for value in values {
        let needed = (exponent..=EXPONENT_MAX)
            .find(|exponent| power(*exponent).is_some_and(|power| mantissa(*value, power).is_some()));
        match needed {
            Some(needed) => exponent = needed,
            None => exceptions += 1,
        }
        if exceptions > exceptions_max {
            return None;
        }
    }
    Some(exponent)
}

/// Appends the values of `mantissas`.
pub(super) fn unscale(mantissas: &[i64], exponent: u8, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let power = power(exponent).ok_or(ChunkError::Invalid("decimal exponent out of range"))?;
    if exponent == 0 {
        out.extend(mantissas.iter().map(|mantissa| *mantissa as f64));
    } else {
        out.extend(mantissas.iter().map(|mantissa| *mantissa as f64 / power));
    }
    Ok(())
}

/// The mantissa of `value` at an exponent, if it is such a decimal.
#[inline]
pub(crate) fn mantissa_at(value: f64, exponent: u8) -> Option<i64> {
    mantissa(value, power(exponent)?)
}

/// The value of a mantissa; of an exponent that is none, NaN.
#[inline]
pub(crate) fn unscaled(mantissa: i64, exponent: u8) -> f64 {
    match exponent {
        0 => mantissa as f64,
        _ => power(exponent).map_or(f64::NAN, |power| mantissa as f64 / power),
    }
}

fn power(exponent: u8) -> Option<f64> {
    POWERS.get(usize::from(exponent)).copied()
}

#[inline]
fn mantissa(value: f64, power: f64) -> Option<i64> {
    let scaled = (value * power).round_ties_even();
    // False for NaN too.
    if scaled.abs() <= MANTISSA_MAX {
        let mantissa = scaled as i64;
        return (((mantissa as f64) / power).to_bits() == value.to_bits()).then_some(mantissa);
    }
    None
}
