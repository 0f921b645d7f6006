//! Writing a block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use model::{Span, SpanId, TraceId};

use super::bloom::Bloom;
use super::files::sync_dir;
use super::footer::{Footer, PageMeta};
use super::{END_MAGIC, VERSION, header};
use crate::admit::span_bytes;
use crate::error::Error;
use crate::memtable::{Catalog, add_to_catalog};
use crate::page;

/// A page is closed at this many spans …
const PAGE_SPANS: usize = 4096;
/// … or at about this many bytes.
const PAGE_BYTES: usize = 4 << 20;
const ZSTD_LEVEL: i32 = 3;

/// The order of a block.
pub(crate) fn order_key(span: &Span) -> (TraceId, u64, SpanId) {
    (span.trace_id, span.start_ns, span.span_id)
}

/// Takes spans in the block's order; those with the key of the one before are dropped as duplicates.
pub(crate) struct BlockWriter {
    path: PathBuf,
    tmp: PathBuf,
    file: BufWriter<File>,
    offset: u64,
    page: Vec<Arc<Span>>,
    page_bytes: usize,
    last: Option<(TraceId, u64, SpanId)>,
    summary: Summary,
}

#[derive(Default)]
struct Summary {
    spans: u64,
    trace_ids: Vec<TraceId>,
    pages: Vec<(PageMeta, BTreeSet<Arc<str>>)>,
    catalog: Catalog,
}

impl BlockWriter {
    /// Starts `path` as a `.tmp` file beside it.
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let tmp = path.with_extension("tmp");
        let file = File::create(&tmp).map_err(Error::io("create", &tmp))?;
        let mut writer = Self {
            path,
            tmp,
            file: BufWriter::new(file),
            offset: 0,
            page: Vec::new(),
            page_bytes: 0,
            last: None,
            summary: Summary::default(),
        };
        writer.write(&header(VERSION))?;
        Ok(writer)
    }

    pub(crate) fn push(&mut self, span: Arc<Span>) -> Result<(), Error> {
        let key = order_key(&span);
        assert!(self.last.is_none_or(|last| last <= key), "BUG: spans of a block are in order");
        if self.last == Some(key) {
            return Ok(());
        }
        if self.last.is_none_or(|(trace_id, ..)| trace_id != span.trace_id) {
            self.summary.trace_ids.push(span.trace_id);
        }
        self.last = Some(key);
        self.page_bytes += span_bytes(&span);
        self.page.push(span);
        if self.page.len() >= PAGE_SPANS || self.page_bytes >= PAGE_BYTES {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), Error> {
        let spans = std::mem::take(&mut self.page);
        self.page_bytes = 0;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(()) };
        let mut bytes = Vec::new();
        page::encode(&spans, ZSTD_LEVEL, &mut bytes);
        let meta = PageMeta {
            offset: self.offset,
            bytes: bytes.len() as u32,
            checksum: crc32c::crc32c(&bytes),
            spans: spans.len() as u32,
            first: first.trace_id,
            last: last.trace_id,
            start_min_ns: spans.iter().map(|span| span.start_ns).min().unwrap_or_default(),
            start_max_ns: spans.iter().map(|span| span.start_ns).max().unwrap_or_default(),
            duration_max_ns: spans.iter().map(|span| span.duration_ns()).max().unwrap_or_default(),
            services: Vec::new(),
        };
        let mut services = BTreeSet::new();
        for span in &spans {
            add_to_catalog(&mut self.summary.catalog, span);
            if !services.contains(span.service()) {
                services.insert(Arc::clone(span.service()));
            }
        }
        self.summary.spans += spans.len() as u64;
        self.summary.pages.push((meta, services));
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.tmp))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Writes the footer and gives the file its name. When it returns, the block survives a power cut.
    pub(crate) fn finish(mut self) -> Result<PathBuf, Error> {
        self.end_page()?;
        let mut footer = Vec::new();
        page::put_section(&mut footer, &std::mem::take(&mut self.summary).into_footer().encode(), ZSTD_LEVEL);
        let offset = self.offset;
        self.write(&footer)?;
        self.write(&offset.to_le_bytes())?;
        self.write(&(footer.len() as u32).to_le_bytes())?;
        self.write(&crc32c::crc32c(&footer).to_le_bytes())?;
        self.write(END_MAGIC)?;
        let Self { file, tmp, path, .. } = self;
        let file = file.into_inner().map_err(|error| Error::io("write", &tmp)(error.into_error()))?;
        file.sync_all().map_err(Error::io("sync", &tmp))?;
        std::fs::rename(&tmp, &path).map_err(Error::io("rename", &tmp))?;
        sync_dir(path.parent().unwrap_or(&path))?;
        Ok(path)
    }
}

impl Summary {
    fn into_footer(self) -> Footer {
        let mut bloom = Bloom::new(self.trace_ids.len());
        self.trace_ids.iter().for_each(|id| bloom.insert(*id));
        let operations: BTreeMap<_, BTreeSet<_>> = self
            .catalog
            .into_iter()
            .map(|(service, operations)| (service, operations.into_iter().collect()))
            .collect();
        let indexes: BTreeMap<&Arc<str>, usize> =
            operations.keys().enumerate().map(|(index, service)| (service, index)).collect();
        let pages: Vec<PageMeta> = self
            .pages
            .into_iter()
            .map(|(meta, services)| {
                let services = services.iter().filter_map(|service| indexes.get(service).copied());
                PageMeta { services: bitmap(services, indexes.len()), ..meta }
            })
            .collect();
        Footer {
            spans: self.spans,
            traces: self.trace_ids.len() as u64,
            start_min_ns: pages.iter().map(|page| page.start_min_ns).min().unwrap_or_default(),
            start_max_ns: pages.iter().map(|page| page.start_max_ns).max().unwrap_or_default(),
            duration_max_ns: pages.iter().map(|page| page.duration_max_ns).max().unwrap_or_default(),
            operations,
            pages,
            bloom,
        }
    }
}

fn bitmap(indexes: impl Iterator<Item = usize>, len: usize) -> Vec<u8> {
    let mut bits = vec![0_u8; len.div_ceil(8)];
    for index in indexes {
        if let Some(byte) = bits.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
        }
    }
    bits
}
