//! A reader over a byte slice that knows its offset.

use crate::{Error, unzigzag};

/// Reads forward through a byte slice. Every method answers `Err` instead of reading past the end.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// Whether everything is read.
    pub fn is_empty(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Error> {
        let byte = *self.bytes.get(self.offset).ok_or(Error::Short { offset: self.offset, what: "byte" })?;
        self.offset += 1;
        Ok(byte)
    }

    /// A varint of at most 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        let start = self.offset;
        let mut value = 0_u64;
        let mut shift = 0_u32;
        loop {
            let byte = *self.bytes.get(self.offset).ok_or(Error::Short { offset: start, what: "varint" })?;
            self.offset += 1;
            if shift == 63 && byte > 1 {
                return Err(Error::VarintTooLong { offset: start });
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A zigzag varint.
    #[inline]
    pub fn signed_varint(&mut self) -> Result<i64, Error> {
        self.varint().map(unzigzag)
    }

    /// Exactly `len` bytes, borrowed.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.offset.checked_add(len);
        let slice = end.and_then(|end| self.bytes.get(self.offset..end));
        let slice = slice.ok_or(Error::Short { offset: self.offset, what: "byte string" })?;
        self.offset += len;
        Ok(slice)
    }

    /// A length-prefixed byte string, borrowed.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let start = self.offset;
        let len = self.varint()?;
        let len = usize::try_from(len).map_err(|_| Error::Short { offset: start, what: "byte string" })?;
        self.take(len).map_err(|_| Error::Short { offset: start, what: "byte string" })
    }

    /// A fixed array, such as the bytes of a little-endian number.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let slice = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(slice);
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{put_bytes, put_varint, varint_len, zigzag};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_of_encode_is_the_value(values in proptest::collection::vec(any::<u64>(), 0..50), signed: i64, blob: Vec<u8>) {
            let mut out = Vec::new();
            for &value in &values {
                let before = out.len();
                put_varint(&mut out, value);
                prop_assert_eq!(out.len() - before, varint_len(value));
            }
            put_varint(&mut out, zigzag(signed));
            put_bytes(&mut out, &blob);
            let mut cursor = Cursor::new(&out);
            for &value in &values {
                prop_assert_eq!(cursor.varint(), Ok(value));
            }
            prop_assert_eq!(cursor.signed_varint(), Ok(signed));
            prop_assert_eq!(cursor.bytes(), Ok(blob.as_slice()));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while !cursor.is_empty() {
                if cursor.bytes().is_err() && cursor.u8().is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn errors_name_the_offset() {
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(Error::Short { offset: 0, what: "varint" }));
        assert_eq!(Cursor::new(&[0xff; 11]).varint(), Err(Error::VarintTooLong { offset: 0 }));
        assert_eq!(Cursor::new(&[5, 1]).bytes(), Err(Error::Short { offset: 0, what: "byte string" }));
    }
}
