//! Deleted times of a block's series.
//!
//! ```text
//! tombstones := 0x0130BA30 u32 | 1 u8 | (series uvarint, first varint, last varint)* | crc32c u32 of the entries
//! ```

use std::collections::HashMap;

use model::TimeRange;

use crate::bytes::{Bytes, Detail};

const MAGIC: u32 = 0x0130_BA30;

/// Deleted ranges by series.
pub(crate) type Deleted = HashMap<u32, Vec<TimeRange>>;

pub(crate) fn parse(file: &[u8]) -> Result<Deleted, Detail> {
    let mut header = Bytes::new(file);
    if header.u32()? != MAGIC {
        return Err("no tombstones of Prometheus".into());
    }
    match header.u8()? {
        1 => {}
        version => return Err(format!("version {version} is not known here")),
    }
    let len = file.len().checked_sub(5 + 4).ok_or("shorter than a checksum")?;
    let mut entries = Bytes::new(header.checked(len)?);
    let mut deleted = Deleted::new();
    while !entries.is_empty() {
        let reference = entries.uvarint()?;
        let reference =
            u32::try_from(reference).map_err(|_| format!("series {reference} is out of range"))?;
        let (first, last) = (entries.varint()?, entries.varint()?);
        deleted.entry(reference).or_default().push(TimeRange::new(first, last.saturating_add(1)));
    }
    Ok(deleted)
}
