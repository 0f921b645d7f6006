//! A column of floats: decimals where they are, XORed bits where they are not.

use codec::{Cursor, put_varint};

use super::{ChunkError, SAMPLES_MAX, column, decimal, xor};

const XOR: u8 = 255;

/// Appends the column of 1 to [`SAMPLES_MAX`] `values`.
pub(super) fn write(values: &[f64], out: &mut Vec<u8>) {
    let mut mantissas = [0; SAMPLES_MAX];
    let (mantissas, _) = mantissas.split_at_mut(values.len());
    match decimal::scale(values, mantissas) {
        Some(scaled) => {
            out.push(scaled.exponent);
            put_varint(out, scaled.exceptions.len() as u64);
            for (index, bits) in scaled.exceptions {
                put_varint(out, u64::from(index));
                out.extend_from_slice(&bits.to_le_bytes());
            }
            column::write(mantissas, out);
        }
        None => {
            out.push(XOR);
            xor::write(values, out);
        }
    }
}

/// The value at `index` (below `scratch.len()`) of a column of as many values as `scratch` has places: only those
/// before it are read, and only it becomes a float.
pub(super) fn read_one(
    cursor: &mut Cursor<'_>,
    scratch: &mut [i64],
    index: usize,
) -> Result<f64, ChunkError> {
    let none = ChunkError::Invalid("index out of range");
    let exponent = cursor.u8()?;
    if exponent == XOR {
        let mut values = Vec::with_capacity(index + 1);
        xor::read(cursor, index + 1, &mut values)?;
        return values.last().copied().ok_or(none);
    }
    let mut exception = None;
    for _ in 0..cursor.varint()? {
        let at = cursor.varint()?;
        let bits = u64::from_le_bytes(cursor.array()?);
        if at == index as u64 {
            exception = Some(f64::from_bits(bits));
        }
    }
    if let Some(value) = exception {
        return Ok(value);
    }
    column::read(cursor, scratch.get_mut(..=index).ok_or(none)?)?;
    let mut value = Vec::with_capacity(1);
    decimal::unscale(scratch.get(index..=index).unwrap_or_default(), exponent, &mut value)?;
    value.last().copied().ok_or(none)
}

/// Appends as many values as `scratch` has places to `out`.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    scratch: &mut [i64],
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let start = out.len();
    let exponent = cursor.u8()?;
    if exponent == XOR {
        return xor::read(cursor, scratch.len(), out);
    }
    let exception_count = cursor.varint()?;
    let mut exceptions = cursor.clone();
    for _ in 0..exception_count {
        cursor.varint()?;
        cursor.take(8)?;
    }
    column::read(cursor, scratch)?;
    decimal::unscale(scratch, exponent, out)?;
    for _ in 0..exception_count {
        let index = usize::try_from(exceptions.varint()?).unwrap_or(usize::MAX);
        let bits = u64::from_le_bytes(exceptions.array()?);
        let slot = start.checked_add(index).and_then(|index| out.get_mut(index));
        *slot.ok_or(ChunkError::Invalid("exception out of range"))? = f64::from_bits(bits);
    }
    Ok(())
}
