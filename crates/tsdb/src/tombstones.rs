//! Tombstones: what has been deleted, until no block holds it any more.
//!
//! ```text
//! delete_series ──▶ head becomes a block ──▶ tombstone {matchers, range, blocks up to id n} ──▶ two files, synced
//!                                                          │ resolved once per block
//! reads, labels, merges ◀── ids and ranges deleted of each block ◀┘
//! ```
//! - A tombstone covers the blocks with ids up to `up_to`: what was written before the deletion. Samples that come later
//!   are in blocks with higher ids, and stay.
//! - A merge leaves out what is deleted, and its block has a higher id. A tombstone goes when no block needs it.
//! - The file is small and written as a whole, twice, under two names: if one is damaged the other is read. The higher
//!   generation counts.
//!
//! Bytes: `docs/format/metrics.md`.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::path::Path;
use std::sync::Arc;

use codec::{Cursor, put_bytes, put_varint, zigzag};
use disk::{Appender, Disk};
use model::{MatchOp, Matcher, SampleColumns, TimeRange};
use roaring::RoaringBitmap;
use tracing::warn;

use crate::Error;
use crate::block::{Block, PAGE_SERIES};
use crate::columns::cut_out;
use crate::metrics::Metrics;

const MAGIC: &[u8; 8] = b"eino.tmb";
const VERSION: u32 = 1;
const FILES: [&str; 2] = ["tombstones.1", "tombstones.2"];
const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

/// One deletion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tombstone {
    /// The last block that it covers.
    pub(crate) up_to: u64,
    pub(crate) range_ms: TimeRange,
    pub(crate) matchers: Vec<Matcher>,
}

/// All deletions that are in force, and how often they have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tombstones {
    generation: u64,
    list: Vec<Arc<Tombstone>>,
}

/// What is deleted of one block.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    parts: Vec<Part>,
    /// Series of which nothing is left.
    gone: RoaringBitmap,
}

#[derive(Debug)]
struct Part {
    tombstone: Arc<Tombstone>,
    ids: RoaringBitmap,
}

impl Tombstones {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The highest block id that a tombstone covers.
    pub(crate) fn up_to_max(&self) -> u64 {
        self.list.iter().map(|tombstone| tombstone.up_to).max().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, added: Vec<Tombstone>) {
        self.generation += 1;
        self.list.extend(added.into_iter().map(Arc::new));
    }

    /// Those that one of `blocks` still needs.
    pub(crate) fn needed<'d>(&self, blocks: impl Iterator<Item = &'d Deleted>) -> Self {
        let parts: Vec<&Part> = blocks.flat_map(|deleted| &deleted.parts).collect();
        let is_needed =
            |tombstone: &&Arc<Tombstone>| parts.iter().any(|part| Arc::ptr_eq(&part.tombstone, tombstone));
        let list = self.list.iter().filter(is_needed).cloned().collect();
        Self { generation: self.generation + 1, list }
    }

    /// What is deleted of a block.
    pub(crate) fn resolve(&self, block: &Block) -> Result<Deleted, Error> {
        let mut deleted = Deleted::default();
        let range_ms = block.range_ms();
        for tombstone in &self.list {
            if block.id() <= tombstone.up_to && tombstone.range_ms.overlaps(&range_ms) {
                let ids = block.select(&tombstone.matchers)?;
                if !ids.is_empty() {
                    deleted.parts.push(Part { tombstone: Arc::clone(tombstone), ids });
                }
            }
        }
        deleted.gone = deleted.find_gone(block)?;
        Ok(deleted)
    }

    /// Reads the tombstones of a store. Damaged files are put aside.
    pub(crate) fn load(disk: &Disk, dir: &Path, metrics: &Metrics) -> Result<Self, Error> {
        let mut best = Self::default();
        let mut damaged = 0;
        for path in FILES.map(|name| dir.join(name)) {
            let bytes = match disk.read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::Io { op: "read", path, source }),
            };
            match decode(&path, &bytes) {
                Ok(found) if found.generation >= best.generation => best = found,
                Ok(_older) => {}
                Err(Error::Corrupt { detail, .. }) => {
                    warn!(path = %path.display(), detail, "damaged tombstones put aside");
                    metrics.tombstones_quarantined.inc();
                    damaged += 1;
                    let aside = path.with_extension(format!("{}.bad", extension(&path)));
                    disk.rename(&path, &aside).map_err(Error::io("rename", &path))?;
                }
                Err(error) => return Err(error),
            }
        }
        if damaged > 0 {
            if damaged == FILES.len() {
                tracing::error!(dir = %dir.display(), "both copies of the tombstones are damaged: deleted samples are back");
            }
            best.save(disk, dir)?;
        }
        Ok(best)
    }

    /// Makes them durable.
    pub(crate) fn save(&self, disk: &Disk, dir: &Path) -> Result<(), Error> {
        let bytes = self.encode();
        for name in FILES {
            let path = dir.join(name);
            let tmp = dir.join(format!("{name}.tmp"));
            let mut file = Appender::new(disk.create(&tmp).map_err(Error::io("create", &tmp))?);
            file.append(&bytes).and_then(|()| file.finish()).map_err(Error::io("write", &tmp))?;
            disk.rename(&tmp, &path).map_err(Error::io("rename", &tmp))?;
            disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        put_varint(&mut out, self.generation);
        put_varint(&mut out, self.list.len() as u64);
        for tombstone in &self.list {
            put_varint(&mut out, tombstone.up_to);
            put_varint(&mut out, zigzag(tombstone.range_ms.start));
            put_varint(&mut out, zigzag(tombstone.range_ms.end));
            put_varint(&mut out, tombstone.matchers.len() as u64);
            for matcher in &tombstone.matchers {
                let op = OPS.iter().position(|op| *op == matcher.op()).unwrap_or_default();
                out.push(op as u8);
                put_bytes(&mut out, matcher.name().as_bytes());
                put_bytes(&mut out, matcher.value().as_bytes());
            }
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }
}

impl Deleted {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Series of which nothing is left.
    pub(crate) fn gone(&self) -> &RoaringBitmap {
        &self.gone
    }

    /// Takes the deleted samples of a series out of `columns`.
    pub(crate) fn apply(&self, id: u32, columns: &mut SampleColumns) {
        for part in self.parts.iter().filter(|part| part.ids.contains(id)) {
            cut_out(part.tombstone.range_ms, columns);
        }
    }

    fn find_gone(&self, block: &Block) -> Result<RoaringBitmap, Error> {
        let mut gone = RoaringBitmap::new();
        let touched = self.parts.iter().fold(RoaringBitmap::new(), |all, part| all | &part.ids);
        for id in touched {
            let page = block.page(id as usize / PAGE_SERIES)?;
            let Some(series) = page.series.get(id as usize % PAGE_SERIES) else { continue };
            let chunks = page.chunks_of(series);
            let ranges = self.parts.iter().filter(|part| part.ids.contains(id));
            let mut ranges: Vec<_> = ranges.map(|part| part.tombstone.range_ms).collect();
            ranges.sort_unstable_by_key(|range| range.start);
            let start = chunks.iter().map(|chunk| chunk.min_ms).min().unwrap_or_default();
            let end = chunks.iter().map(|chunk| chunk.max_ms).max().unwrap_or_default();
            let reached = ranges.iter().fold(start, |reached, range| {
                if range.start <= reached { reached.max(range.end) } else { reached }
            });
            if reached > end {
                gone.insert(id);
            }
        }
        Ok(gone)
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Tombstones, Error> {
    let corrupt = |detail: String| Error::corrupt(path, detail);
    let short = |error: codec::Error| Error::corrupt(path, error);
    let (body, sum) =
        bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("shorter than a checksum".into()))?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(corrupt("checksum is wrong".into()));
    }
    let mut cursor = Cursor::new(body);
    if cursor.take(MAGIC.len()).map_err(short)? != MAGIC {
        return Err(corrupt("no tombstones".into()));
    }
    let version = u32::from_le_bytes(cursor.array().map_err(short)?);
    if version > VERSION {
        return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
    }
    let mut tombstones = Tombstones { generation: cursor.varint().map_err(short)?, list: Vec::new() };
    for _ in 0..cursor.varint().map_err(short)? {
        let up_to = cursor.varint().map_err(short)?;
        let (start, end) = (cursor.signed_varint().map_err(short)?, cursor.signed_varint().map_err(short)?);
        let mut matchers = Vec::new();
        for _ in 0..cursor.varint().map_err(short)? {
            let op = cursor.u8().map_err(short)?;
            let op = OPS.get(usize::from(op)).ok_or_else(|| corrupt(format!("unknown operator {op}")))?;
            let text =
                |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| corrupt(error.to_string()));
            let name = text(cursor.bytes().map_err(short)?)?;
            let value = text(cursor.bytes().map_err(short)?)?;
            matchers.push(Matcher::new(name, *op, value).map_err(|error| corrupt(error.to_string()))?);
        }
        tombstones.list.push(Arc::new(Tombstone { up_to, range_ms: TimeRange::new(start, end), matchers }));
    }
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use eino_metrics_core::Registry;

    fn some() -> Tombstones {
        let matchers = vec![
            Matcher::equal("__name__", "up"),
            Matcher::new("job", MatchOp::NotRegex, "a|b.*").expect("valid"),
        ];
        let mut tombstones = Tombstones::default();
        tombstones.add(vec![
            Tombstone { up_to: 7, range_ms: TimeRange::new(-5, 1_700_000_000_000), matchers },
            Tombstone { up_to: 9, range_ms: TimeRange::ALL, matchers: Vec::new() },
        ]);
        tombstones
    }

    #[test]
    fn any_flipped_or_missing_byte_of_one_copy_leaves_the_other() {
        let dir = tempfile::TempDir::new().unwrap();
        let saved = some();
        let image = saved.encode();
        let damages = (0..image.len()).map(|at| {
            let mut bytes = image.clone();
            bytes[at] ^= 0x10;
            bytes
        });
        for damaged in damages.chain((0..image.len()).map(|len| image[..len].to_vec())) {
            for name in FILES {
                saved.save(&Disk::real(), dir.path()).unwrap();
                fs::write(dir.path().join(name), &damaged).unwrap();
                let registry = Registry::new();
                assert_eq!(
                    Tombstones::load(&Disk::real(), dir.path(), &Metrics::new(&registry)).unwrap(),
                    saved
                );
                assert!(registry.encode_text().contains("eino_tsdb_tombstones_quarantined_total 1"));
                assert_eq!(fs::read(dir.path().join(name)).unwrap(), image, "the copy is written again");
            }
        }
    }

    #[test]
    fn the_later_generation_counts_and_a_newer_version_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let metrics = Metrics::new(&Registry::new());
        assert!(Tombstones::load(&Disk::real(), dir.path(), &metrics).unwrap().is_empty());
        let old = some();
        old.save(&Disk::real(), dir.path()).unwrap();
        let mut new = old.clone();
        new.add(Vec::new());
        fs::write(dir.path().join(FILES[1]), new.encode()).unwrap();
        assert_eq!(Tombstones::load(&Disk::real(), dir.path(), &metrics).unwrap(), new);
        let mut image = new.encode();
        image.truncate(image.len() - 4);
        image[8] = 2;
        let sum = crc32c::crc32c(&image);
        image.extend_from_slice(&sum.to_le_bytes());
        fs::write(dir.path().join(FILES[0]), image).unwrap();
        let refused = Tombstones::load(&Disk::real(), dir.path(), &metrics);
        assert!(matches!(refused, Err(Error::NewerVersion { version: 2, .. })), "{refused:?}");
    }
}
