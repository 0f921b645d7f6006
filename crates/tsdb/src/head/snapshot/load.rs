//! Filling the head from the newest snapshot that is whole.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codec::Cursor;
use disk::{Disk, Map};
use log::SegmentId;
use model::LabelSetRef;
use tracing::warn;

use super::super::series::Series;
use super::super::{Head, join_id, lock, shard_of};
use super::series::{Stored, read_series};
use super::{
    END_BYTES, END_MAGIC, HEADER_BYTES, PAIRS, RECORD, SERIES, Section, VERSION, header, list,
    remove_unfinished,
};
use crate::Error;
use crate::index::PairId;

/// What a snapshot brought.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The log is to be replayed from here on.
    pub(crate) segment: SegmentId,
    pub(crate) bytes: u64,
    /// Log records of what is not in the head.
    pub(crate) records: Vec<Vec<u8>>,
    /// Snapshots put aside.
    pub(crate) damaged: u64,
}

/// Loads the newest snapshot that is whole into the empty `head`; without one, there is just the log. Damaged ones
/// are put aside.
///
/// # Errors
/// [`Error::Io`], and [`Error::NewerVersion`].
pub(crate) fn load_newest(
    disk: &Disk,
    dir: &Path,
    head: &mut Head,
    threads: usize,
    minute: u32,
) -> Result<Loaded, Error> {
    let mut damaged = 0;
    remove_unfinished(disk, dir)?;
    for (segment, path) in list(disk, dir)? {
        match load(disk, &path, threads, minute) {
            Ok((loaded, bytes, records)) => {
                *head = loaded;
                return Ok(Loaded { segment, bytes, records, damaged });
            }
            Err(Error::Corrupt { detail, .. }) => {
                warn!(path = %path.display(), detail, "damaged snapshot put aside, the log is replayed instead");
                damaged += 1;
                let bad = path.with_extension("snap.bad");
                disk.rename(&path, &bad).map_err(Error::io("rename", &path))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Loaded { damaged, ..Loaded::default() })
}

fn load(disk: &Disk, path: &Path, threads: usize, minute: u32) -> Result<(Head, u64, Vec<Vec<u8>>), Error> {
    let map = Arc::new(disk.map(path).map_err(Error::io("map", path))?);
    let corrupt = |detail: String| Error::corrupt(path, detail);
    check_header(path, &map)?;
    let sections = read_table(&map).map_err(corrupt)?;
    let head = Head::new();
    let of_kind = |kind: u8| sections.iter().filter(move |section| section.kind == kind);
    let pairs = of_kind(PAIRS).map(|section| read_pairs(&map, section)).collect::<Result<Vec<_>, _>>();
    let pairs: Vec<Box<[u8]>> = pairs.map_err(corrupt)?.concat();
    let series: Vec<_> = of_kind(SERIES).copied().collect();
    load_series(&head, &map, &series, &pairs, threads, minute).map_err(corrupt)?;
    let mut records = Vec::new();
    for section in of_kind(RECORD) {
        records.push(checked(&map, section).map_err(corrupt)?.to_vec());
    }
    Ok((head, map.len() as u64, records))
}

fn check_header(path: &Path, map: &Map) -> Result<(), Error> {
    let found = map.first_chunk::<HEADER_BYTES>();
    let found = found.ok_or_else(|| Error::corrupt(path, "shorter than a header"))?;
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *found;
    let version = u32::from_le_bytes([a, b, c, d]);
    if *found != header(version) {
        return Err(Error::corrupt(path, "no header of a snapshot"));
    }
    if version > VERSION {
        return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
    }
    Ok(())
}

fn read_table(map: &Map) -> Result<Vec<Section>, String> {
    let (rest, end) = map.split_last_chunk::<END_BYTES>().ok_or("no end: the file is cut short")?;
    let mut end = Cursor::new(end);
    let short = |error: codec::Error| error.to_string();
    let bytes = u64::from_le_bytes(end.array().map_err(short)?);
    let sum = u32::from_le_bytes(end.array().map_err(short)?);
    if end.remaining() != END_MAGIC {
        return Err("no end: the file is cut short".into());
    }
    let start = usize::try_from(bytes).ok().and_then(|bytes| rest.len().checked_sub(bytes));
    let table = start.and_then(|start| rest.get(start..)).ok_or("the table is outside the file")?;
    if crc32c::crc32c(table) != sum {
        return Err("checksum of the table is wrong".into());
    }
    let mut cursor = Cursor::new(table);
    let mut sections = Vec::new();
    for _ in 0..cursor.varint().map_err(short)? {
        let kind = cursor.u8().map_err(short)?;
        let offset = cursor.varint().map_err(short)?;
        let bytes = cursor.varint().map_err(short)?;
        let sum = u32::from_le_bytes(cursor.array().map_err(short)?);
        sections.push(Section { kind, offset, bytes, sum });
    }
    Ok(sections)
}

/// The bytes of a section, its checksum found right.
fn checked<'m>(map: &'m Map, section: &Section) -> Result<&'m [u8], String> {
    let place = usize::try_from(section.offset).ok().zip(usize::try_from(section.bytes).ok());
    let bytes = place.and_then(|(start, len)| map.get(start..)?.get(..len));
    let bytes = bytes.ok_or("a section is outside the file")?;
    if crc32c::crc32c(bytes) != section.sum {
        return Err(format!("checksum of the section at {} is wrong", section.offset));
    }
    Ok(bytes)
}

/// Pairs by their id when the snapshot was written.
fn read_pairs(map: &Map, section: &Section) -> Result<Vec<Box<[u8]>>, String> {
    let bytes = checked(map, section)?;
    let short = |error: codec::Error| error.to_string();
    let mut cursor = Cursor::new(bytes);
    let mut pairs: Vec<Box<[u8]>> = Vec::new();
    while !cursor.is_empty() {
        let id = usize::try_from(cursor.varint().map_err(short)?).unwrap_or(usize::MAX);
        // Ids are dense but for pairs that went: a gap as large as the section is damage.
        if id > pairs.len().saturating_add(bytes.len()) {
            return Err(format!("pair id {id} is out of range"));
        }
        if pairs.len() <= id {
            pairs.resize(id + 1, Box::default());
        }
        let pair = cursor.bytes().map_err(short)?;
        LabelSetRef::from_canonical(pair).map_err(|error| error.to_string())?;
        if let Some(place) = pairs.get_mut(id) {
            *place = pair.into();
        }
    }
    Ok(pairs)
}

/// Reads sections on several threads. Series go to the shards one section at a time.
fn load_series(
    head: &Head,
    map: &Arc<Map>,
    sections: &[Section],
    pairs: &[Box<[u8]>],
    threads: usize,
    minute: u32,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, sections.len().max(1)) {
            scope.spawn(|| {
                while let Some(section) = sections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(detail) = load_section(head, map, section, pairs, minute) {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(detail);
                        return;
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn load_section(
    head: &Head,
    map: &Arc<Map>,
    section: &Section,
    pairs: &[Box<[u8]>],
    minute: u32,
) -> Result<(), String> {
    let mut cursor = Cursor::new(checked(map, section)?);
    let mut loaded = Vec::new();
    let mut labels = Vec::new();
    while !cursor.is_empty() {
        let stored = read_series(&mut cursor, map, section.offset).map_err(|error| error.to_string())?;
        labels.clear();
        put_labels(&stored.pairs, pairs, &mut labels)?;
        let hash = head.hash(LabelSetRef::from_canonical(&labels).map_err(|error| error.to_string())?);
        loaded.push((hash, stored));
    }
    insert_all(head, loaded, pairs, minute);
    Ok(())
}

fn put_labels(ids: &[PairId], pairs: &[Box<[u8]>], out: &mut Vec<u8>) -> Result<(), String> {
    for id in ids {
        out.extend_from_slice(pairs.get(*id as usize).ok_or_else(|| format!("pair {id} is unknown"))?);
    }
    Ok(())
}

fn insert_all(head: &Head, loaded: Vec<(u64, Stored)>, pairs: &[Box<[u8]>], minute: u32) {
    let (mut samples, count) = (0, loaded.len() as u64);
    let mut placed = Vec::with_capacity(loaded.len());
    for (hash, stored) in loaded {
        let number = shard_of(hash);
        let Some(shard) = head.shards.get(number) else { continue };
        let mut series = Series::new(hash, head.next_birth(), minute);
        series.newest_ms = stored.newest_ms;
        series.last_histogram = stored.last_histogram.map(Box::new);
        series.live = stored.data;
        samples += series.live.sample_count();
        let (oldest_ms, newest_ms) = series.live.bounds().unzip();
        head.widen(oldest_ms, newest_ms);
        placed.push((join_id(number, lock(shard).insert(series)), stored.pairs));
    }
    let mut labels = head.labels_mut();
    for (id, pair_ids) in placed {
        labels.insert_pairs(id, pair_ids.iter().filter_map(|id| pairs.get(*id as usize)).map(AsRef::as_ref));
    }
    drop(labels);
    head.samples.fetch_add(samples, Ordering::Relaxed);
    head.series.fetch_add(count, Ordering::Relaxed);
}
