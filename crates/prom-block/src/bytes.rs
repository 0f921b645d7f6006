//! A cursor over big-endian bytes with Go's varints.

/// What is wrong with bytes, without their place.
pub(crate) type Detail = String;

#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// From `offset` on.
    pub(crate) fn at(bytes: &'a [u8], offset: u64) -> Result<Self, Detail> {
        let start = usize::try_from(offset).ok();
        let rest = start.and_then(|start| bytes.get(start..));
        rest.map(Self).ok_or_else(|| format!("offset {offset} is behind the end"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Detail> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| format!("{len} bytes more were expected"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Detail> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Detail> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Detail> {
        Ok(self.take(8)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64, Detail> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
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

    /// A length as varint, then so many bytes, as text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Detail> {
        let len = usize::try_from(self.uvarint()?).unwrap_or(usize::MAX);
        std::str::from_utf8(self.take(len)?).map_err(|_| "a text is not UTF-8".into())
    }

    /// `len` bytes and their checksum behind them.
    pub(crate) fn checked(&mut self, len: usize) -> Result<&'a [u8], Detail> {
        let content = self.take(len)?;
        if crc32c::crc32c(content) != self.u32()? {
            return Err("a checksum is wrong".into());
        }
        Ok(content)
    }

    /// A length (u32), so many bytes, their checksum.
    pub(crate) fn section(&mut self) -> Result<Bytes<'a>, Detail> {
        let len = self.u32()? as usize;
        self.checked(len).map(Bytes)
    }
}
