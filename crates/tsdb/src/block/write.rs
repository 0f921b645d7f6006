//! Writing a block, series by series.
//!
//! Chunks go to the file at once. Kept until the end: the compressed pages and the label sections, about 50 bytes a series.

use std::path::{Path, PathBuf};

use disk::{Appender, Disk};
use model::{LabelSet, SampleColumns};

use super::directory::{Directory, PagePlace};
use super::footer::Footer;
use super::labels::LabelsBuilder;
use super::page::{ChunkEntry, ChunkKind, PAGE_SERIES, Page};
use super::{Resolution, VERSION, header};
use crate::{Error, chunk};

const PAGE_ZSTD_LEVEL: i32 = 6;

/// A block being written. Dropped before [`finish`](Self::finish), it removes what it has written.
pub(crate) struct BlockWriter {
    path: PathBuf,
    tmp: TmpFile,
    file: Appender,
    footer: Footer,
    labels: LabelsBuilder,
    page: Page,
    pages: Vec<u8>,
    directory: Directory,
    previous: Option<LabelSet>,
    chunks: Vec<u8>,
    entries: Vec<ChunkEntry>,
}

/// Removed when dropped, unless it has got its name. Where even that fails, the next open removes it.
struct TmpFile {
    disk: Disk,
    path: PathBuf,
    is_kept: bool,
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if !self.is_kept {
            let _removed_on_open = self.disk.remove_file(&self.path).is_err();
        }
    }
}

/// What a block is, beside its series.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BlockKind {
    /// See [`Block::order`](super::Block::order).
    pub(crate) order: u64,
    pub(crate) resolution: Resolution,
}

impl BlockWriter {
    /// Starts the block that will be called `path`.
    pub(crate) fn create(disk: &Disk, path: &Path, kind: BlockKind) -> Result<Self, Error> {
        let tmp = TmpFile { disk: disk.clone(), path: path.with_extension("tmp"), is_kept: false };
        let file = disk.create(&tmp.path).map_err(Error::io("create", &tmp.path))?;
        let mut writer = Self {
            path: path.to_owned(),
            file: Appender::new(file),
            footer: Footer {
                min_ms: i64::MAX,
                max_ms: i64::MIN,
                order: kind.order,
                resolution: kind.resolution,
                ..Footer::default()
            },
            labels: LabelsBuilder::default(),
            page: Page::default(),
            pages: Vec::new(),
            directory: Directory::default(),
            previous: None,
            chunks: Vec::new(),
            entries: Vec::new(),
            tmp,
        };
        writer.write(&header(VERSION))?;
        Ok(writer)
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.offset() + self.pages.len() as u64
    }

    /// Adds a series. Labels ascend from call to call, times strictly within one; without samples nothing is added.
    pub(crate) fn push(&mut self, labels: &LabelSet, columns: &SampleColumns) -> Result<(), Error> {
        self.push_columns(labels, std::slice::from_ref(columns))
    }

    /// Adds a series of several columns, the samples first; see [`crate::downsample`].
    pub(crate) fn push_columns(&mut self, labels: &LabelSet, columns: &[SampleColumns]) -> Result<(), Error> {
        if columns.iter().all(SampleColumns::is_empty) {
            return Ok(());
        }
        assert!(
            self.previous.as_ref().is_none_or(|previous| previous < labels),
            "BUG: series of a block do not ascend at {labels}"
        );
        self.chunks.clear();
        self.entries.clear();
        for (number, column) in (0..).zip(columns) {
            self.encode(labels, column, number);
        }
        let id = u32::try_from(self.footer.series).expect("BUG: over 2^32 series: series_max bounds them");
        self.labels.push(id, labels.as_ref());
        self.page.push(labels.clone(), self.file.offset(), crc32c::crc32c(&self.chunks), &self.entries);
        self.footer.series += 1;
        self.previous = Some(labels.clone());
        let chunks = std::mem::take(&mut self.chunks);
        let written = self.write(&chunks);
        self.chunks = chunks;
        written?;
        if self.page.series.len() == PAGE_SERIES { self.close_page() } else { Ok(()) }
    }

    /// Writes pages, label sections, directory and footer, makes all of it durable and gives the block its name.
    /// Answers whether there is a block: one without series is not kept.
    pub(crate) fn finish(mut self, sources: Vec<String>) -> Result<bool, Error> {
        if self.footer.series == 0 {
            return Ok(false);
        }
        self.close_page()?;
        let mut offset = self.file.offset();
        for page in &mut self.directory.pages {
            page.offset = offset;
            offset += page.bytes;
        }
        let pages = std::mem::take(&mut self.pages);
        self.write(&pages)?;
        drop(pages);
        for section in std::mem::take(&mut self.labels).into_sections() {
            let (mut place, bytes) = section.map_err(Error::io("encode", &self.tmp.path))?;
            place.offset = self.file.offset();
            self.directory.labels.push(place);
            self.write(&bytes)?;
        }
        self.directory.sources = sources;
        let directory = self.directory.encode();
        self.footer.directory_offset = self.file.offset();
        self.footer.directory_bytes = directory.len() as u64;
        self.footer.directory_sum = crc32c::crc32c(&directory);
        self.write(&directory)?;
        let footer = self.footer.encode();
        self.write(&footer)?;
        let Self { path, mut tmp, file, .. } = self;
        file.finish().map_err(Error::io("write", &tmp.path))?;
        tmp.disk.rename(&tmp.path, &path).map_err(Error::io("rename", &tmp.path))?;
        tmp.is_kept = true;
        let dir = path.parent().unwrap_or(Path::new("."));
        tmp.disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        Ok(true)
    }

    fn encode(&mut self, labels: &LabelSet, columns: &SampleColumns, column: u8) {
        assert!(
            columns.ts_ms.is_sorted_by(|left, right| left < right),
            "BUG: times of {labels} do not ascend"
        );
        let mut start = self.chunks.len();
        for chunk in chunk::encode_columns(columns, &mut self.chunks) {
            let kind = chunk::kind(self.chunks.get(start..).unwrap_or_default());
            let kind = kind.expect("BUG: a chunk made here has no kind");
            start += chunk.bytes;
            self.entries.push(ChunkEntry {
                min_ms: chunk.min_ms,
                max_ms: chunk.max_ms,
                bytes: u32::try_from(chunk.bytes).expect("BUG: a chunk of 480 samples takes over 4 GiB"),
                samples: chunk.samples,
                kind: ChunkKind::new(kind, column),
            });
            self.footer.min_ms = self.footer.min_ms.min(chunk.min_ms);
            self.footer.max_ms = self.footer.max_ms.max(chunk.max_ms);
        }
        if column == 0 {
            self.footer.samples += columns.len() as u64;
            self.footer.histograms += columns.histograms.len() as u64;
        }
    }

    fn close_page(&mut self) -> Result<(), Error> {
        if self.page.series.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.page).encode();
        let bytes =
            zstd::bulk::compress(&raw, PAGE_ZSTD_LEVEL).map_err(Error::io("compress", &self.tmp.path))?;
        self.directory.pages.push(PagePlace {
            offset: 0,
            bytes: bytes.len() as u64,
            raw_bytes: raw.len(),
            sum: crc32c::crc32c(&bytes),
        });
        self.pages.extend_from_slice(&bytes);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.append(bytes).map_err(Error::io("write", &self.tmp.path))
    }
}
