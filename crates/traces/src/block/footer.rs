//! What a block says of itself.
//!
//! ```text
//! footer   := spans | traces | start_min | start_max | duration_max
//!           | services: count (name | operations: count (name | kind u8)*)*     ascending
//!           | pages: count page*
//!           | bloom bytes
//! page     := offset | bytes | crc32c u32 | spans | first trace id[16] | last trace id[16]
//!           | start_min | start_max | duration_max | bitmap of services (bytes)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use codec::{Cursor, put_bytes, put_varint};
use model::{SpanKind, TraceId};

use super::bloom::Bloom;
use crate::page::PageError;

/// Operations by service, both ascending.
pub(super) type Operations = BTreeMap<Arc<str>, BTreeSet<(Arc<str>, SpanKind)>>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Footer {
    pub(crate) spans: u64,
    pub(crate) traces: u64,
    pub(crate) start_min_ns: u64,
    pub(crate) start_max_ns: u64,
    pub(crate) duration_max_ns: u64,
    pub(crate) operations: Operations,
    pub(crate) pages: Vec<PageMeta>,
    pub(super) bloom: Bloom,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PageMeta {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
    pub(crate) spans: u32,
    pub(crate) first: TraceId,
    pub(crate) last: TraceId,
    pub(crate) start_min_ns: u64,
    pub(crate) start_max_ns: u64,
    pub(crate) duration_max_ns: u64,
    /// Bit i: the page has spans of the i-th service of the footer.
    pub(crate) services: Vec<u8>,
}

impl PageMeta {
    pub(crate) fn has_service(&self, index: usize) -> bool {
        self.services.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers = [self.spans, self.traces, self.start_min_ns, self.start_max_ns, self.duration_max_ns];
        numbers.into_iter().for_each(|number| put_varint(&mut out, number));
        put_varint(&mut out, self.operations.len() as u64);
        for (service, operations) in &self.operations {
            put_bytes(&mut out, service.as_bytes());
            put_varint(&mut out, operations.len() as u64);
            for (name, kind) in operations {
                put_bytes(&mut out, name.as_bytes());
                out.push(kind.to_otlp() as u8);
            }
        }
        put_varint(&mut out, self.pages.len() as u64);
        for page in &self.pages {
            put_page(&mut out, page);
        }
        put_bytes(&mut out, self.bloom.as_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PageError> {
        let mut cursor = Cursor::new(bytes);
        let mut number = || cursor.varint();
        let (spans, traces) = (number()?, number()?);
        let (start_min_ns, start_max_ns, duration_max_ns) = (number()?, number()?, number()?);
        let operations = read_operations(&mut cursor)?;
        let count = cursor.varint()?;
        let mut pages = Vec::new();
        for _ in 0..count {
            pages.push(read_page(&mut cursor)?);
        }
        let bloom = Bloom::from_bytes(cursor.bytes()?.to_vec());
        let bloom = bloom.ok_or(PageError::Invalid("the filter of trace ids is empty"))?;
        Ok(Self { spans, traces, start_min_ns, start_max_ns, duration_max_ns, operations, pages, bloom })
    }
}

fn read_operations(cursor: &mut Cursor<'_>) -> Result<Operations, PageError> {
    let mut services = Operations::new();
    for _ in 0..cursor.varint()? {
        let service = read_text(cursor)?;
        let mut operations = BTreeSet::new();
        for _ in 0..cursor.varint()? {
            operations.insert((read_text(cursor)?, SpanKind::from_otlp(u64::from(cursor.u8()?))));
        }
        services.insert(service, operations);
    }
    Ok(services)
}

fn read_text(cursor: &mut Cursor<'_>) -> Result<Arc<str>, PageError> {
    let text = std::str::from_utf8(cursor.bytes()?);
    text.map(Arc::from).map_err(|_| PageError::Invalid("name is not UTF-8"))
}

fn put_page(out: &mut Vec<u8>, page: &PageMeta) {
    put_varint(out, page.offset);
    put_varint(out, u64::from(page.bytes));
    out.extend_from_slice(&page.checksum.to_le_bytes());
    put_varint(out, u64::from(page.spans));
    out.extend_from_slice(&page.first.0);
    out.extend_from_slice(&page.last.0);
    put_varint(out, page.start_min_ns);
    put_varint(out, page.start_max_ns);
    put_varint(out, page.duration_max_ns);
    put_bytes(out, &page.services);
}

fn read_page(cursor: &mut Cursor<'_>) -> Result<PageMeta, PageError> {
    let narrow =
        |number: u64| u32::try_from(number).map_err(|_| PageError::Invalid("number is larger than 32 bits"));
    Ok(PageMeta {
        offset: cursor.varint()?,
        bytes: narrow(cursor.varint()?)?,
        checksum: u32::from_le_bytes(cursor.array()?),
        spans: narrow(cursor.varint()?)?,
        first: TraceId(cursor.array()?),
        last: TraceId(cursor.array()?),
        start_min_ns: cursor.varint()?,
        start_max_ns: cursor.varint()?,
        duration_max_ns: cursor.varint()?,
        services: cursor.bytes()?.to_vec(),
    })
}
