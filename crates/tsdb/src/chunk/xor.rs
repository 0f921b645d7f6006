//! Floats without a short decimal: each XORed with its predecessor, whole zero bytes left out.
//!
//! ```text
//! value := 0                                              same as before
//!        | (leading << 4 | len) u8 | len bytes            zero bytes in front, then what differs, big-endian
//! ```

use codec::Cursor;

use super::ChunkError;

pub(super) fn write(values: &[f64], out: &mut Vec<u8>) {
    let mut previous = 0;
    for value in values {
        let bits = value.to_bits();
        let difference = bits ^ previous;
        previous = bits;
        if difference == 0 {
            out.push(0);
            continue;
        }
        let leading = difference.leading_zeros() as usize / 8;
        let end = 8 - difference.trailing_zeros() as usize / 8;
        out.push(((leading << 4) | (end - leading)) as u8);
        out.extend_from_slice(difference.to_be_bytes().get(leading..end).unwrap_or_default());
    }
}

pub(super) fn read(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let mut previous = 0;
    for _ in 0..count {
        let tag = usize::from(cursor.u8()?);
        let (leading, len) = (tag >> 4, tag & 15);
        let mut difference = [0; 8];
        let place = difference.get_mut(leading..leading + len);
        let place = place.ok_or(ChunkError::Invalid("float bytes out of range"))?;
        place.copy_from_slice(cursor.take(len)?);
        previous ^= u64::from_be_bytes(difference);
        out.push(f64::from_bits(previous));
    }
    Ok(())
}
