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
    // Eight numbers fill `width` bytes, so that every block of eight begins at a byte.
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let (whole, tail) = bytes.split_at(blocks.len() * width as usize);
    let unpack_block = block_unpacker(width);
    for (block, bytes) in blocks.iter_mut().zip(whole.chunks_exact(width as usize)) {
        unpack_block(bytes, base, block);
    }
    if !rest.is_empty() {
        let mut padded = [0; 64];
        if let Some(place) = padded.get_mut(..tail.len()) {
            place.copy_from_slice(tail);
        }
        let mut block = [0; BLOCK];
        unpack_block(padded.get(..width as usize).unwrap_or_default(), base, &mut block);
        let len = rest.len();
        rest.copy_from_slice(block.get(..len).unwrap_or_default());
    }
    Ok(())
}

const BLOCK: usize = 8;

type UnpackBlock = fn(&[u8], i64, &mut [i64; BLOCK]);

/// The function for one width: with the width known to the compiler, every shift is a constant and the eight numbers
/// are independent of each other. One general loop took 5 times as long for chunks of counters.
fn block_unpacker(width: u32) -> UnpackBlock {
    macro_rules! of_widths {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_block::<$width>,)*
                _ => unpack_block::<64>,
            }
        };
    }
    of_widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
}

/// Reads eight numbers of `WIDTH` bits (1 to 64) from `WIDTH` bytes.
fn unpack_block<const WIDTH: usize>(bytes: &[u8], base: i64, out: &mut [i64; BLOCK]) {
    // Room for the 16 bytes of a window that begins in the last byte.
    let mut padded = [0; 80];
    if let (Some(place), Some(bytes)) = (padded.get_mut(..WIDTH), bytes.get(..WIDTH)) {
        place.copy_from_slice(bytes);
    }
    let mask = u64::MAX >> (64 - WIDTH);
    for (index, slot) in out.iter_mut().enumerate() {
        let bit = index * WIDTH;
        let (start, shift) = (bit / 8, bit % 8);
        let window = padded.get(start..).unwrap_or_default();
        // Up to 57 bits, a number and the bits before it in its first byte fit eight bytes.
        let value = if WIDTH <= 57 {
            u64::from_le_bytes(window.first_chunk().copied().unwrap_or_default()) >> shift
        } else {
            (u128::from_le_bytes(window.first_chunk().copied().unwrap_or_default()) >> shift) as u64
        };
        *slot = base.wrapping_add((value & mask) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_width_comes_back(width in 0_u32..=64, base: i64, mut numbers in proptest::collection::vec(any::<u64>(), 0..70)) {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            numbers.iter_mut().for_each(|number| *number &= mask);
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(numbers.len(), width));
            bytes.push(0xff);
            let mut out = vec![0; numbers.len()];
            let mut cursor = Cursor::new(&bytes);
            unpack(&mut cursor, width, base, &mut out).unwrap();
            let want: Vec<_> = numbers.iter().map(|number| base.wrapping_add(*number as i64)).collect();
            prop_assert_eq!(out, want);
            prop_assert_eq!(cursor.u8().unwrap(), 0xff);
        }
    }
}
