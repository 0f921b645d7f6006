//! Reading a block. The footer stays in memory, pages are read when a question needs them.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codec::Cursor;
use eino_metrics_core::Counter;
use model::{Span, TimeRange, TraceId};

use super::files::BlockId;
use super::footer::{Footer, PageMeta};
use super::{END_MAGIC, HEADER_BYTES, MAGIC, TAIL_BYTES, VERSION, header};
use crate::error::Error;
use crate::memtable::overlaps;
use crate::page::{self, Page, PageError};

/// An open block. Its file stays readable after it was deleted or renamed.
pub(crate) struct Block {
    pub(crate) id: BlockId,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) footer: Footer,
    file: File,
    /// Pages found damaged.
    damaged: Vec<AtomicBool>,
    pages_corrupt: Counter,
}

impl Block {
    /// Opens and checks header, tail and footer.
    pub(crate) fn open(path: &Path, id: BlockId, pages_corrupt: &Counter) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let bytes = file.metadata().map_err(Error::io("stat", path))?.len();
        let footer = read_footer(&file, path, bytes)?;
        let damaged = footer.pages.iter().map(|_| AtomicBool::new(false)).collect();
        let pages_corrupt = pages_corrupt.clone();
        Ok(Self { id, path: path.to_owned(), bytes, footer, file, damaged, pages_corrupt })
    }

    pub(crate) fn overlaps(&self, range_ns: TimeRange) -> bool {
        overlaps(self.footer.start_min_ns, self.footer.start_max_ns, range_ns)
    }

    /// Whether a page was found damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.iter().any(|damaged| damaged.load(Ordering::Relaxed))
    }

    /// Reads page `index` for `visit`; none when it is damaged.
    ///
    /// # Errors
    /// `Io` when the disk fails. Damage is counted and said once.
    pub(crate) fn with_page<T>(
        &self,
        index: usize,
        visit: impl FnOnce(&Page<'_>) -> Result<T, PageError>,
    ) -> Result<Option<T>, Error> {
        let (Some(meta), Some(damaged)) = (self.footer.pages.get(index), self.damaged.get(index)) else {
            return Ok(None);
        };
        if damaged.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut bytes = vec![0; meta.bytes as usize];
        self.file.read_exact_at(&mut bytes, meta.offset).map_err(Error::io("read", &self.path))?;
        let result = if crc32c::crc32c(&bytes) == meta.checksum {
            Page::parse(&bytes).and_then(|page| visit(&page))
        } else {
            Err(PageError::Invalid("checksum is wrong"))
        };
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                if !damaged.swap(true, Ordering::Relaxed) {
                    self.pages_corrupt.inc();
                    let (path, spans) = (self.path.display(), meta.spans);
                    tracing::warn!(%path, page = index, spans, %error, "damaged page left out");
                }
                Ok(None)
            }
        }
    }

    /// Adds the spans of a trace.
    pub(crate) fn trace(&self, id: TraceId, spans: &mut Vec<Arc<Span>>) -> Result<(), Error> {
        self.traces(&[id], spans)
    }

    /// Adds the spans of these traces, ascending by id.
    pub(crate) fn traces(&self, ids: &[TraceId], spans: &mut Vec<Arc<Span>>) -> Result<(), Error> {
        let ids: Vec<TraceId> = ids.iter().copied().filter(|id| self.footer.bloom.may_contain(*id)).collect();
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
        for index in self.pages_of(*first, *last) {
            let Some(meta) = self.footer.pages.get(index) else { continue };
            let from = ids.partition_point(|id| *id < meta.first);
            let until = ids.partition_point(|id| *id <= meta.last);
            let wanted = ids.get(from..until).unwrap_or_default();
            if !wanted.is_empty() {
                let found = self.with_page(index, |page| spans_of(page, wanted))?;
                spans.extend(found.into_iter().flatten());
            }
        }
        Ok(())
    }

    /// Pages that may have traces from `first` to `last`, both included.
    fn pages_of(&self, first: TraceId, last: TraceId) -> Range<usize> {
        let pages = &self.footer.pages;
        let start = pages.partition_point(|page| page.last < first);
        let end = pages.partition_point(|page| page.first <= last);
        start..end.max(start)
    }
}

/// Spans of a page that belong to one of the traces `ids`, which ascend.
fn spans_of(page: &Page<'_>, ids: &[TraceId]) -> Result<Vec<Arc<Span>>, PageError> {
    let core = page.core()?;
    let mut wanted = vec![false; core.rows()];
    let mut any = false;
    for run in core.runs.iter().filter(|run| ids.binary_search(&run.trace_id).is_ok()) {
        any = true;
        wanted.get_mut(run.rows.clone()).unwrap_or_default().fill(true);
    }
    if !any {
        return Ok(Vec::new());
    }
    page.spans(&core, &mut page.strings()?, |row| wanted.get(row).copied().unwrap_or(false))
}

fn read_footer(file: &File, path: &Path, bytes: u64) -> Result<Footer, Error> {
    let corrupt = |detail: &str| Error::corrupt(path, detail);
    let Some(tail_offset) =
        bytes.checked_sub(TAIL_BYTES as u64).filter(|offset| *offset >= HEADER_BYTES as u64)
    else {
        return Err(corrupt("shorter than a header and a tail"));
    };
    let short = |error: codec::Error| Error::corrupt(path, error);
    let mut start = [0; HEADER_BYTES];
    file.read_exact_at(&mut start, 0).map_err(Error::io("read", path))?;
    let mut cursor = Cursor::new(&start);
    cursor.take(MAGIC.len()).map_err(short)?;
    let version = u32::from_le_bytes(cursor.array().map_err(short)?);
    if start != header(version) {
        return Err(corrupt("does not start like a block"));
    }
    if version != VERSION {
        return Err(Error::Format { path: path.to_owned(), found: version.to_string(), known: "1" });
    }
    let mut tail = [0; TAIL_BYTES];
    file.read_exact_at(&mut tail, tail_offset).map_err(Error::io("read", path))?;
    let mut cursor = Cursor::new(&tail);
    let offset = u64::from_le_bytes(cursor.array().map_err(short)?);
    let len = u32::from_le_bytes(cursor.array().map_err(short)?);
    let checksum = u32::from_le_bytes(cursor.array().map_err(short)?);
    if cursor.remaining() != END_MAGIC {
        return Err(corrupt("does not end like a block"));
    }
    if offset.checked_add(u64::from(len)) != Some(tail_offset) {
        return Err(corrupt("the tail points outside the file"));
    }
    let mut footer = vec![0; len as usize];
    file.read_exact_at(&mut footer, offset).map_err(Error::io("read", path))?;
    if crc32c::crc32c(&footer) != checksum {
        return Err(corrupt("checksum of the footer is wrong"));
    }
    let raw = page::read_section(&footer).map_err(|error| Error::corrupt(path, error))?;
    let footer = Footer::decode(&raw).map_err(|error| Error::corrupt(path, error))?;
    let is_inside =
        |page: &PageMeta| page.offset.checked_add(u64::from(page.bytes)).is_some_and(|end| end <= offset);
    if footer.pages.iter().all(is_inside) { Ok(footer) } else { Err(corrupt("a page lies outside the file")) }
}
