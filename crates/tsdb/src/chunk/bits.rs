//! Bit packing: numbers of one width, least significant bit first.

use codec::Cursor;

use super::ChunkError;

/// Bytes that `count` numbers of `width` bits take.
pub(super) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `values`, each below `2^width`.
pub(super) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut pending = 0_u128;
    let mut pending_bits = 0;
    for value in values {
        pending |= u128::from(value) << pending_bits;
        pending_bits += width;
        if pending_bits >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            pending_bits -= 64;
        }
    }
    let rest = pending.to_le_bytes();
    out.extend_from_slice(rest.get(..pending_bits.div_ceil(8) as usize).unwrap_or_default());
}

/// Reads as many numbers as `out` has room for, adding `base` to each.
pub(super) fn unpack(
    cursor: &mut Cursor<'_>,
    width: u32,
    base: i64,
    out: &mut [i64],
) -> Result<(), ChunkError> {
    if width > 64 {
        return Err(ChunkError::Invalid("bit width over 64"));
    }
    if width == 0 {
        out.fill(base);
        return Ok(());
    }
    let bytes = cursor.take(packed_bytes(out.len(), width))?;
    let mask = u64::MAX >> (64 - width);
    for (index, slot) in out.iter_mut().enumerate() {
        let bit = index * width as usize;
        let window = window(bytes, bit / 8);
        let value = (window >> (bit % 8)) as u64 & mask;
        *slot = base.wrapping_add(value as i64);
    }
    Ok(())
}

/// The 9 bytes from `start` on, zeros behind the end.
#[inline]
fn window(bytes: &[u8], start: usize) -> u128 {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.first_chunk::<16>() {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |window, byte| (window << 8) | u128::from(*byte)),
    }
}
