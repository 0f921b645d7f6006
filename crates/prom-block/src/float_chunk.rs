//! Chunks of floats: delta-of-delta times and XORed values.
//!
//! ```text
//! chunk := n u16 | t0 varint, v0 f64 | t1 - t0 uvarint, v1 xor | (change of the step, xor)*
//! step  := 0 | 10 + 14 bits | 110 + 17 | 1110 + 20 | 1111 + 64
//! ```

use model::SampleColumns;

use crate::bits::{Bits, XorState};
use crate::bytes::Detail;

const STEP_WIDTHS: [u32; 4] = [14, 17, 20, 64];

/// Appends the samples of a chunk.
pub(crate) fn decode(data: &[u8], out: &mut SampleColumns) -> Result<(), Detail> {
    let mut bits = Bits::new(data);
    let count = bits.bits(16)?;
    let (mut ts_ms, mut step_ms) = (0_i64, 0_i64);
    let mut value = XorState::default();
    for number in 0..count {
        match number {
            0 => {
                ts_ms = bits.varint()?;
                value = XorState::first(bits.float()?);
            }
            1 => {
                step_ms = bits.uvarint()? as i64;
                ts_ms = ts_ms.wrapping_add(step_ms);
                bits.xor(&mut value)?;
            }
            _ => {
                step_ms = step_ms.wrapping_add(step_change(&mut bits)?);
                ts_ms = ts_ms.wrapping_add(step_ms);
                bits.xor(&mut value)?;
            }
        }
        out.push(ts_ms, f64::from_bits(value.bits));
    }
    Ok(())
}

fn step_change(bits: &mut Bits<'_>) -> Result<i64, Detail> {
    let mut ones = 0;
    while ones < STEP_WIDTHS.len() && bits.bit()? {
        ones += 1;
    }
    let width = ones.checked_sub(1).and_then(|index| STEP_WIDTHS.get(index));
    width.map_or(Ok(0), |width| bits.signed(*width))
}
