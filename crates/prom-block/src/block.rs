//! A block: its files, and its series one by one.

use std::path::{Path, PathBuf};

use disk::{Disk, Map};
use model::{LabelSet, SampleColumns};

use crate::bytes::{Bytes, Detail};
use crate::index::{ChunkMeta, Index, IndexError};
use crate::tombstones::{self, Deleted};
use crate::{Error, float_chunk, histogram_chunk};

const SEGMENT_MAGIC: u32 = 0x85BD_40DD;
const SEGMENT_VERSION: u8 = 1;

/// What `meta.json` says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct BlockMeta {
    pub ulid: String,
    pub version: u64,
    /// Samples are in `[min_time, max_time)`, in milliseconds.
    #[serde(rename = "minTime")]
    pub min_time: i64,
    #[serde(rename = "maxTime")]
    pub max_time: i64,
}

/// The files of a block.
pub struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    index: Map,
    segments: Vec<Map>,
    deleted: Deleted,
}

/// A series of a block.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: LabelSet,
    reference: u32,
    chunks: Vec<ChunkMeta>,
}

/// Directories of blocks in a Prometheus data directory (or in the directory of a snapshot), ascending.
///
/// # Errors
/// [`Error::Io`].
pub fn block_dirs(disk: &Disk, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(io)? {
        // A block without meta.json was not finished, or is being deleted.
        let is_block = disk.exists(&path.join("meta.json")).map_err(io)?;
        if is_block && disk.exists(&path.join("index")).map_err(io)? {
            found.push(path);
        }
    }
    Ok(found)
}

impl Block {
    /// Opens the block in `dir`.
    ///
    /// # Errors
    /// [`Error`]; damage is found here only in the table of contents, the symbols and the tombstones.
    pub fn open(disk: &Disk, dir: &Path) -> Result<Self, Error> {
        let map = |path: PathBuf| disk.map(&path).map_err(|source| Error::Io { path, source });
        let meta_path = dir.join("meta.json");
        let meta: BlockMeta = serde_json::from_slice(&map(meta_path.clone())?)
            .map_err(|error| Error::Corrupt { path: meta_path.clone(), detail: error.to_string() })?;
        if meta.version != 1 {
            return Err(Error::Unsupported { path: meta_path, what: "block version", found: meta.version });
        }
        let chunks = dir.join("chunks");
        let segment_paths = disk.list(&chunks).map_err(|source| Error::Io { path: chunks, source })?;
        let mut segments = Vec::new();
        for path in segment_paths {
            let segment = map(path.clone())?;
            check_segment(&path, &segment)?;
            segments.push(segment);
        }
        let tombstones_path = dir.join("tombstones");
        let has_tombstones = disk.exists(&tombstones_path);
        let has_tombstones =
            has_tombstones.map_err(|source| Error::Io { path: tombstones_path.clone(), source })?;
        let deleted = if has_tombstones {
            let file = map(tombstones_path.clone())?;
            tombstones::parse(&file).map_err(|detail| Error::Corrupt { path: tombstones_path, detail })?
        } else {
            Deleted::new()
        };
        Ok(Self { dir: dir.to_owned(), meta, index: map(dir.join("index"))?, segments, deleted })
    }

    /// What `meta.json` says.
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// All series, ascending by labels.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unsupported`].
    pub fn series(&self) -> Result<Vec<Series>, Error> {
        let path = self.dir.join("index");
        let corrupt = |detail| Error::Corrupt { path: path.clone(), detail };
        let index = Index::parse(&self.index).map_err(|error| match error {
            IndexError::Corrupt(detail) => corrupt(detail),
            IndexError::Version(version) => {
                Error::Unsupported { path: path.clone(), what: "index version", found: u64::from(version) }
            }
        })?;
        let mut all = Vec::new();
        for reference in index.series_refs().map_err(corrupt)? {
            let (labels, chunks) = index.series(reference).map_err(corrupt)?;
            all.push(Series { labels, reference, chunks });
        }
        all.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(all)
    }

    /// Replaces `out` by the samples of a series, in the order of its chunks, without deleted ones.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unsupported`].
    pub fn read(&self, series: &Series, out: &mut SampleColumns) -> Result<(), Error> {
        out.clear();
        for chunk in &series.chunks {
            self.read_chunk(*chunk, out)?;
        }
        for range in self.deleted.get(&series.reference).into_iter().flatten() {
            let mut kept = SampleColumns::default();
            for (ts_ms, value) in
                out.ts_ms.iter().zip(&out.values).filter(|(ts_ms, _)| !range.contains(**ts_ms))
            {
                kept.push(*ts_ms, *value);
            }
            kept.histograms = std::mem::take(&mut out.histograms);
            kept.histograms.retain(|sample| !range.contains(sample.ts_ms));
            *out = kept;
        }
        Ok(())
    }

    fn read_chunk(&self, chunk: ChunkMeta, out: &mut SampleColumns) -> Result<(), Error> {
        let path = || self.dir.join("chunks").join(format!("{:06}", u64::from(chunk.segment) + 1));
        let corrupt = |detail: Detail| Error::Corrupt {
            path: path(),
            detail: format!("chunk at {}: {detail}", chunk.offset),
        };
        let segment = self.segments.get(chunk.segment as usize);
        let segment = segment.ok_or_else(|| corrupt("there is no such file".into()))?;
        let (encoding, data) = chunk_at(segment, chunk.offset).map_err(corrupt)?;
        match encoding {
            1 => float_chunk::decode(data, out),
            2 => histogram_chunk::decode_integers(data, &mut out.histograms),
            3 => histogram_chunk::decode_floats(data, &mut out.histograms),
            _ => {
                let found = u64::from(encoding);
                return Err(Error::Unsupported { path: path(), what: "chunk encoding", found });
            }
        }
        .map_err(corrupt)
    }
}

/// Encoding and data of the chunk at `offset`.
fn chunk_at(segment: &[u8], offset: u32) -> Result<(u8, &[u8]), Detail> {
    let mut bytes = Bytes::at(segment, u64::from(offset))?;
    let len = usize::try_from(bytes.uvarint()?).ok().and_then(|len| len.checked_add(1));
    let content = bytes.checked(len.ok_or("a length is out of range")?)?;
    let (encoding, data) = content.split_first().ok_or("empty")?;
    Ok((*encoding, data))
}

fn check_segment(path: &Path, segment: &[u8]) -> Result<(), Error> {
    let mut header = Bytes::new(segment);
    let corrupt = |detail| Error::Corrupt { path: path.to_owned(), detail };
    if header.u32().map_err(corrupt)? != SEGMENT_MAGIC {
        return Err(corrupt("no chunks of Prometheus".into()));
    }
    match header.u8().map_err(corrupt)? {
        SEGMENT_VERSION => Ok(()),
        version => Err(Error::Unsupported {
            path: path.to_owned(),
            what: "version of chunks",
            found: u64::from(version),
        }),
    }
}
