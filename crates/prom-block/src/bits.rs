//! Bits, most significant first, and the encodings of numbers in them.

use crate::bytes::Detail;

#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// Next bit.
    position: usize,
}

/// The previous float of a column, which the next one is XORed with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct XorState {
    pub(crate) bits: u64,
    leading: u32,
    trailing: u32,
}

/// Widths of the numbers that 1, 2, … bits announce.
const VARBIT_WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn bit(&mut self) -> Result<bool, Detail> {
        let byte = self.bytes.get(self.position / 8).ok_or("the chunk is cut short")?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// A number of up to 64 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u64, Detail> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u64::from(self.bit()?);
        }
        Ok(number)
    }

    pub(crate) fn float(&mut self) -> Result<f64, Detail> {
        self.bits(64).map(f64::from_bits)
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64, Detail> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.bits(8)?;
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a varint is longer than 64 bits".into())
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Detail> {
        let number = self.uvarint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number in two's complement whose largest value is `2^(width-1)`: one more than usual.
    pub(crate) fn signed(&mut self, width: u32) -> Result<i64, Detail> {
        let bits = self.bits(width)?;
        if width < 64 && bits > 1 << (width - 1) {
            return Ok((bits as i64).wrapping_sub(1 << width));
        }
        Ok(bits as i64)
    }

    pub(crate) fn varbit_int(&mut self) -> Result<i64, Detail> {
        match self.varbit_width(0)? {
            0 => Ok(0),
            width => self.signed(width),
        }
    }

    pub(crate) fn varbit_uint(&mut self) -> Result<u64, Detail> {
        let width = self.varbit_width(0)?;
        self.bits(width)
    }

    /// As [`varbit_uint`](Self::varbit_uint), when the first bit has been read already and was 1.
    pub(crate) fn varbit_uint_after_one(&mut self) -> Result<u64, Detail> {
        let width = self.varbit_width(1)?;
        self.bits(width)
    }

    fn varbit_width(&mut self, ones_read: usize) -> Result<u32, Detail> {
        let mut ones = ones_read;
        while ones < VARBIT_WIDTHS.len() && self.bit()? {
            ones += 1;
        }
        let before = ones.checked_sub(1);
        Ok(before.and_then(|index| VARBIT_WIDTHS.get(index)).copied().unwrap_or_default())
    }

    /// The next float of a column.
    pub(crate) fn xor(&mut self, state: &mut XorState) -> Result<f64, Detail> {
        if self.bit()? {
            if self.bit()? {
                state.leading = self.bits(5)? as u32;
                // 64 does not fit in 6 bits; 0 stands for it.
                let significant = match self.bits(6)? as u32 {
                    0 => 64,
                    significant => significant,
                };
                let trailing = 64_u32.checked_sub(state.leading + significant);
                state.trailing = trailing.ok_or("a float has more than 64 bits")?;
            }
            let significant = 64 - state.leading - state.trailing;
            state.bits ^= self.bits(significant)? << state.trailing;
        }
        Ok(f64::from_bits(state.bits))
    }
}

impl XorState {
    /// The first float of a column stands as it is.
    pub(crate) fn first(value: f64) -> Self {
        Self { bits: value.to_bits(), ..Self::default() }
    }
}
