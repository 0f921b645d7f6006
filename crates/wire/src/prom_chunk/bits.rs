//! Bits, most significant first, and the variable-length numbers made of them.

/// The bytes end before the number does.
#[derive(Debug)]
pub(super) struct Short;

/// Payload widths of variable-length numbers; `n` ones and a zero stand before the width at place `n - 1`.
const WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];
/// The same for the second difference of times in XOR chunks.
const TIME_WIDTHS: [u32; 4] = [14, 17, 20, 64];

/// Appends bits to bytes.
#[derive(Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Free bits of the last byte.
    free: u32,
}

impl BitWriter {
    /// After these whole bytes.
    pub(super) fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// The low `count` bits of `value`, at most 64.
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let part = (value >> (left - taken)) & ((1 << taken) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - taken)) as u8;
            }
            self.free -= taken;
            left -= taken;
        }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bits(u64::from(byte), 8);
    }

    /// The bytes of a LEB128 varint.
    pub(super) fn leb(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        codec::put_varint(&mut bytes, value);
        bytes.into_iter().for_each(|byte| self.byte(byte));
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.signed_of(value, &WIDTHS);
    }

    /// The second difference of a time in an XOR chunk.
    pub(super) fn time(&mut self, value: i64) {
        self.signed_of(value, &TIME_WIDTHS);
    }

    fn signed_of(&mut self, value: i64, widths: &[u32]) {
        if value == 0 {
            return self.bits(0, 1);
        }
        let fits = |width: u32| width == 64 || (-(1_i64 << (width - 1)) < value && value <= 1 << (width - 1));
        self.wide(value.cast_unsigned(), widths, fits);
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        if value == 0 {
            return self.bits(0, 1);
        }
        self.wide(value, &WIDTHS, |width| width == 64 || value >> width == 0);
    }

    fn wide(&mut self, value: u64, widths: &[u32], fits: impl Fn(u32) -> bool) {
        for (place, width) in (1_u32..).zip(widths) {
            if fits(*width) {
                // Ones, and a zero behind them unless no longer width is left.
                let is_last = place as usize == widths.len();
                self.bits((1 << place) - 1, place);
                if !is_last {
                    self.bits(0, 1);
                }
                return self.bits(value, *width);
            }
        }
    }
}

/// Takes bits from bytes.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bits(&mut self, count: u32) -> Result<u64, Short> {
        let mut value = 0_u64;
        let mut left = count;
        while left > 0 {
            let byte = *self.bytes.get(self.at / 8).ok_or(Short)?;
            let used = (self.at % 8) as u32;
            let taken = left.min(8 - used);
            let part = (u64::from(byte) >> (8 - used - taken)) & ((1 << taken) - 1);
            value = value << taken | part;
            self.at += taken as usize;
            left -= taken;
        }
        Ok(value)
    }

    pub(super) fn bit(&mut self) -> Result<bool, Short> {
        Ok(self.bits(1)? == 1)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Short> {
        Ok(self.bits(8)? as u8)
    }

    pub(super) fn leb(&mut self) -> Result<u64, Short> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Short)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Short> {
        self.signed_of(&WIDTHS)
    }

    pub(super) fn time(&mut self) -> Result<i64, Short> {
        self.signed_of(&TIME_WIDTHS)
    }

    fn signed_of(&mut self, widths: &[u32]) -> Result<i64, Short> {
        let Some(width) = self.width(widths)? else { return Ok(0) };
        let bits = self.bits(width)?;
        let is_negative = width < 64 && bits > 1 << (width - 1);
        Ok(if is_negative { bits.cast_signed() - (1 << width) } else { bits.cast_signed() })
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Short> {
        let Some(width) = self.width(&WIDTHS)? else { return Ok(0) };
        self.bits(width)
    }

    /// The width that the ones before it say; `None` for a zero.
    fn width(&mut self, widths: &[u32]) -> Result<Option<u32>, Short> {
        let mut width = None;
        for next in widths {
            if !self.bit()? {
                return Ok(width);
            }
            width = Some(*next);
        }
        Ok(width)
    }
}

/// A number that is written as the XOR with its predecessor.
///
/// ```text
/// same            0
/// same window     10 · bits of the window
/// new window      11 · leading zeros (5) · length (6; 0 = 64) · bits
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Xored {
    pub(super) value: f64,
    /// Zeros before and behind the window; none yet when `leading` is `NO_WINDOW`.
    leading: u32,
    trailing: u32,
}

const NO_WINDOW: u32 = 255;

impl Xored {
    pub(super) fn new(value: f64) -> Self {
        Self { value, leading: NO_WINDOW, trailing: 0 }
    }

    pub(super) fn write(&mut self, value: f64, out: &mut BitWriter) {
        let delta = value.to_bits() ^ self.value.to_bits();
        self.value = value;
        if delta == 0 {
            return out.bits(0, 1);
        }
        let (leading, trailing) = (delta.leading_zeros().min(31), delta.trailing_zeros());
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            out.bits(0b10, 2);
            return out.bits(delta >> self.trailing, 64 - self.leading - self.trailing);
        }
        (self.leading, self.trailing) = (leading, trailing);
        let length = 64 - leading - trailing;
        out.bits(0b11, 2);
        out.bits(u64::from(leading), 5);
        out.bits(u64::from(length % 64), 6);
        out.bits(delta >> trailing, length);
    }

    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Result<f64, Short> {
        if !bits.bit()? {
            return Ok(self.value);
        }
        if bits.bit()? {
            self.leading = bits.bits(5)? as u32;
            let length = match bits.bits(6)? as u32 {
                0 => 64,
                length => length,
            };
            self.trailing = 64_u32.checked_sub(self.leading + length).ok_or(Short)?;
        } else if self.leading == NO_WINDOW {
            return Err(Short);
        }
        let delta = bits.bits(64 - self.leading - self.trailing)? << self.trailing;
        self.value = f64::from_bits(self.value.to_bits() ^ delta);
        Ok(self.value)
    }
}
