//! Writing a block, series by series.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use codec::{put_bytes, put_varint, zigzag};
use model::{LabelSet, SampleColumns};

use super::{Footer, HEADER_BYTES, VERSION, header};
use crate::{Error, chunk};

const INDEX_ZSTD_LEVEL: i32 = 3;

/// A block being written. Dropped before [`finish`](Self::finish), it leaves a `.tmp` file that the next open removes.
pub(crate) struct BlockWriter {
    path: PathBuf,
    tmp: PathBuf,
    file: BufWriter<File>,
    offset: u64,
    footer: Footer,
    index: Vec<u8>,
    previous: Option<LabelSet>,
    chunks: Vec<u8>,
}

impl BlockWriter {
    /// Starts the block that will be called `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let tmp = path.with_extension("tmp");
        let file = File::create(&tmp).map_err(Error::io("create", &tmp))?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 20, file),
            offset: HEADER_BYTES as u64,
            footer: Footer { min_ms: i64::MAX, max_ms: i64::MIN, ..Footer::default() },
            index: Vec::new(),
            previous: None,
            chunks: Vec::new(),
            tmp,
        };
        writer.write(&header(VERSION))?;
        Ok(writer)
    }

    /// Adds a series. Labels ascend from call to call, times strictly within one; without samples nothing is added.
    pub(crate) fn push(&mut self, labels: &LabelSet, columns: &SampleColumns) -> Result<(), Error> {
        if columns.is_empty() {
            return Ok(());
        }
        assert!(
            columns.ts_ms.is_sorted_by(|left, right| left < right),
            "BUG: times of {labels} do not ascend"
        );
        assert!(
            self.previous.as_ref().is_none_or(|previous| previous < labels),
            "BUG: series of a block do not ascend at {labels}"
        );
        let mut chunks = std::mem::take(&mut self.chunks);
        chunks.clear();
        self.put_labels(labels);
        let described = chunk::encode_columns(columns, &mut chunks);
        self.index.extend_from_slice(&crc32c::crc32c(&chunks).to_le_bytes());
        put_varint(&mut self.index, described.len() as u64);
        for chunk in &described {
            put_varint(&mut self.index, zigzag(chunk.min_ms));
            put_varint(&mut self.index, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
            put_varint(&mut self.index, chunk.bytes as u64);
            self.footer.min_ms = self.footer.min_ms.min(chunk.min_ms);
            self.footer.max_ms = self.footer.max_ms.max(chunk.max_ms);
            self.footer.samples += u64::from(chunk.samples);
        }
        self.footer.series += 1;
        self.offset += chunks.len() as u64;
        let written = self.write(&chunks);
        self.chunks = chunks;
        written
    }

    /// Writes index and footer, makes all of it durable and gives the block its name. Answers whether there is a
    /// block: one without series is not kept.
    pub(crate) fn finish(mut self) -> Result<bool, Error> {
        if self.footer.series == 0 {
            drop(self.file);
            fs::remove_file(&self.tmp).map_err(Error::io("remove", &self.tmp))?;
            return Ok(false);
        }
        let index =
            zstd::bulk::compress(&self.index, INDEX_ZSTD_LEVEL).map_err(Error::io("compress", &self.tmp))?;
        self.footer.index_offset = self.offset;
        self.footer.index_bytes = index.len() as u64;
        self.footer.index_raw_bytes = self.index.len() as u64;
        self.footer.index_sum = crc32c::crc32c(&index);
        self.write(&index)?;
        let footer = self.footer.encode();
        self.write(&footer)?;
        let file = self.file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).map_err(Error::io("write", &self.tmp))?;
        fs::rename(&self.tmp, &self.path).map_err(Error::io("rename", &self.tmp))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir))?;
        Ok(true)
    }

    fn put_labels(&mut self, labels: &LabelSet) {
        let bytes = labels.as_bytes();
        let previous = self.previous.as_ref().map(LabelSet::as_bytes).unwrap_or_default();
        let shared = previous.iter().zip(bytes).take_while(|(left, right)| left == right).count();
        put_varint(&mut self.index, shared as u64);
        put_bytes(&mut self.index, bytes.get(shared..).unwrap_or_default());
        self.previous = Some(labels.clone());
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.tmp))
    }
}
