//! Reading a block.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use disk::{Disk, Map};
use model::{LabelIds, LatestSample, Matcher, SampleColumns, TimeRange};
use roaring::{MultiOps, RoaringBitmap};

use super::cache::{PageBudget, PageCache};
use super::directory::{Directory, LabelPlace, PagePlace};
use super::footer::{FOOTER_BYTES, Footer};
use super::labels::Section;
use super::old::OldIndex;
use super::page::{ChunkEntry, PAGE_SERIES, Page, PageSeries};
use super::{HEADER_BYTES, MAGIC, Resolution, VERSION, header};
use crate::index::{Places, Test};
use crate::{Error, chunk};

/// A block on disk. Shared by whoever reads it; it stays readable after its file has been removed.
pub(crate) struct Block {
    pub(crate) path: PathBuf,
    id: u64,
    file: Map,
    footer: Footer,
    sources: Vec<String>,
    index: Index,
    pages: PageCache,
    was_damaged: AtomicBool,
}

/// Where the index is.
enum Index {
    /// In the map.
    Mapped { pages: Vec<PagePlace>, labels: Vec<LabelSection> },
    /// Of versions 1 and 2: decoded as a whole.
    Old(OldIndex),
}

struct LabelSection {
    place: LabelPlace,
    /// Whether its checksum was found right.
    was_checked: AtomicBool,
}

impl Block {
    /// Maps a block and checks header, footer and directory. `id` is the number in its name.
    pub(crate) fn open(disk: &Disk, path: &Path, id: u64, budget: &Arc<PageBudget>) -> Result<Self, Error> {
        let file = disk.map(path).map_err(Error::io("map", path))?;
        let (footer, sources, index) = match check_header(path, &file)? {
            1 | 2 => {
                let (old, mut footer) = OldIndex::open(path, &file)?;
                footer.order = id;
                (footer, Vec::new(), Index::Old(old))
            }
            _ => {
                let (footer, directory) = open_directory(path, &file)?;
                let section = |place| LabelSection { place, was_checked: AtomicBool::new(false) };
                let labels = directory.labels.into_iter().map(section).collect();
                (footer, directory.sources, Index::Mapped { pages: directory.pages, labels })
            }
        };
        let pages = usize::try_from(footer.series).unwrap_or(usize::MAX).div_ceil(PAGE_SERIES);
        if let Index::Mapped { pages: places, .. } = &index
            && places.len() != pages
        {
            let detail = format!("{} series in {} pages", footer.series, places.len());
            return Err(Error::corrupt(path, detail));
        }
        Ok(Self {
            path: path.to_owned(),
            id,
            footer,
            sources,
            index,
            pages: PageCache::new(pages, budget),
            was_damaged: AtomicBool::new(false),
            file,
        })
    }

    /// The number in its name; later blocks have higher numbers.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Of two samples at one time that of the block with the smaller order counts: it was written first.
    pub(crate) fn order(&self) -> u64 {
        self.footer.order
    }

    pub(crate) fn resolution(&self) -> Resolution {
        self.footer.resolution
    }

    /// Whether it is of a version without sources.
    pub(crate) fn is_old(&self) -> bool {
        matches!(self.index, Index::Old(_))
    }

    /// Its name without `.blk`.
    pub(crate) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// Stems of the blocks that it was made of.
    pub(crate) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// `[first, last]` as a half-open range.
    pub(crate) fn range_ms(&self) -> TimeRange {
        TimeRange::new(self.footer.min_ms, self.footer.max_ms.saturating_add(1))
    }

    pub(crate) fn samples(&self) -> u64 {
        self.footer.samples
    }

    pub(crate) fn series_count(&self) -> u64 {
        self.footer.series
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// Whether a read has met damage since the block was opened.
    pub(crate) fn was_damaged(&self) -> bool {
        self.was_damaged.load(Ordering::Relaxed)
    }

    /// Forgets what was decoded and not asked for since the last call.
    pub(crate) fn forget_idle(&self) {
        self.pages.forget_idle();
        if let Index::Old(old) = &self.index {
            old.forget_idle();
        }
    }

    /// Ids of the series that pass all `matchers`.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
        if let Index::Old(old) = &self.index {
            return Ok(self.noting(old.get(&self.path, &self.file, &self.footer))?.labels.select(matchers));
        }
        let (subtracting, intersecting): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_empty());
        let mut result: Option<RoaringBitmap> = None;
        for matcher in intersecting {
            let passing = self.with_value(matcher, true)?;
            result = Some(match result {
                Some(so_far) => so_far & passing,
                None => passing,
            });
            if result.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return Ok(RoaringBitmap::new());
            }
        }
        let mut result = match result {
            Some(result) => result,
            None => self.all(),
        };
        for matcher in subtracting {
            result -= self.with_value(matcher, false)?;
        }
        Ok(result)
    }

    /// Adds the names of labels that a series of `among` (of any series if it is `None`) has.
    pub(crate) fn label_names(
        &self,
        among: Option<&RoaringBitmap>,
        out: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        match &self.index {
            Index::Old(old) => {
                let index = self.noting(old.get(&self.path, &self.file, &self.footer))?;
                match among {
                    Some(ids) => out.extend(index.labels.names_among(ids).map(str::to_owned)),
                    None => out.extend(index.labels.names().map(str::to_owned)),
                }
            }
            Index::Mapped { labels, .. } => {
                for section in labels {
                    let name = &*section.place.name;
                    if !out.contains(name) && self.is_used(section, among)? {
                        out.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the values of one label, likewise.
    pub(crate) fn label_values(
        &self,
        name: &str,
        among: Option<&RoaringBitmap>,
        out: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        if let Index::Old(old) = &self.index {
            let index = self.noting(old.get(&self.path, &self.file, &self.footer))?;
            match among {
                Some(ids) => out.extend(index.labels.values_among(name, ids).map(str::to_owned)),
                None => out.extend(index.labels.values(name).map(str::to_owned)),
            }
            return Ok(());
        }
        let Some(section) = self.section(name)? else { return Ok(()) };
        let mut values = section.values();
        while self.sound(values.next())? {
            let text = self.sound(values.text())?;
            if out.contains(text) {
                continue;
            }
            let is_used = match among {
                Some(ids) => !self.sound(values.postings())?.is_disjoint(ids),
                None => true,
            };
            if is_used {
                out.insert(text.to_owned());
            }
        }
        Ok(())
    }

    /// The values of one label of `series`, ascending ids of this block, off its postings; `None` when looking at the
    /// labels of each series takes less, and for a block whose index is of an older format.
    pub(crate) fn label_ids(&self, name: &str, series: &[u32]) -> Result<Option<LabelIds>, Error> {
        if matches!(self.index, Index::Old(_)) {
            return Ok(None);
        }
        let mut ids = LabelIds { ids: vec![0; series.len()], values: vec!["".into()] };
        let Some(section) = self.section(name)? else { return Ok(Some(ids)) };
        let wanted = RoaringBitmap::from_sorted_iter(series.iter().copied()).ok();
        let Some(wanted) = wanted.filter(|_| section.values_about() < series.len() / 4) else {
            return Ok(None);
        };
        let mut positions = vec![0_u32; series.last().map_or(0, |last| *last as usize + 1)];
        for (position, id) in (0..).zip(series) {
            if let Some(slot) = positions.get_mut(*id as usize) {
                *slot = position;
            }
        }
        let mut values = section.values();
        while self.sound(values.next())? {
            let with_value = self.sound(values.postings())? & &wanted;
            if with_value.is_empty() {
                continue;
            }
            let number = ids.values.len() as u32;
            ids.values.push(self.sound(values.text())?.into());
            for id in with_value {
                let position = positions.get(id as usize).map_or(0, |position| *position as usize);
                if let Some(slot) = ids.ids.get_mut(position) {
                    *slot = number;
                }
            }
        }
        Ok(Some(ids))
    }

    pub(crate) fn page_count(&self) -> usize {
        usize::try_from(self.footer.series).unwrap_or(usize::MAX).div_ceil(PAGE_SERIES)
    }

    /// The page with series `number * 128` and the following ones; kept while it is used.
    pub(crate) fn page(&self, number: usize) -> Result<Arc<Page>, Error> {
        self.pages.get(number, || self.load_page(number))
    }

    /// The same page, not kept: for whoever reads all of them once.
    pub(crate) fn load_page(&self, number: usize) -> Result<Arc<Page>, Error> {
        match &self.index {
            Index::Old(old) => {
                let index = self.noting(old.get(&self.path, &self.file, &self.footer))?;
                let page = index.pages.get(number).cloned();
                page.ok_or_else(|| Error::corrupt(&self.path, format!("no page {number}")))
            }
            Index::Mapped { pages, .. } => {
                let place = pages.get(number).copied().unwrap_or_default();
                self.sound(self.decode_page(place).map_err(|detail| format!("page {number}: {detail}")))
                    .map(Arc::new)
            }
        }
    }

    /// The newest sample of the series in `range_ms`, when its chunks hold floats alone; `None` when that needs them
    /// decoded.
    pub(crate) fn latest(
        &self,
        page: &Page,
        series: &PageSeries,
        range_ms: TimeRange,
    ) -> Result<Option<LatestSample>, Error> {
        let chunks = page.chunks_of(series);
        let bytes = self.samples_of(series, chunks)?;
        let is_plain = chunks.iter().all(|chunk| chunk.kind.is_floats() && chunk.kind.column() == 0);
        let newest = chunks.iter().rposition(|chunk| chunk.min_ms < range_ms.end);
        let Some(newest) = newest.filter(|_| is_plain) else { return Ok(None) };
        let start: usize = chunks.iter().take(newest).map(|chunk| chunk.bytes as usize).sum();
        let chunk = bytes.get(start..).unwrap_or_default();
        let found = chunk::latest_float(chunk, range_ms.end).map_err(|error| error.to_string());
        let found = self.sound(found)?.filter(|(ts_ms, _)| range_ms.start <= *ts_ms);
        Ok(found.map(|(ts_ms, value)| LatestSample::Float { ts_ms, value }))
    }

    /// The chunks of a series, whose checksum is right.
    fn samples_of(&self, series: &PageSeries, chunks: &[ChunkEntry]) -> Result<&[u8], Error> {
        let len: u64 = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
        let bytes = self.sound(self.slice(series.offset, len))?;
        if crc32c::crc32c(bytes) != series.sum {
            return self.sound(Err(format!("checksum of the samples of {} is wrong", series.labels)));
        }
        Ok(bytes)
    }

    /// Appends the samples of the chunks of `column` that overlap `range_ms`, strictly ascending. Column 0 are the
    /// samples; a downsampled block has more.
    pub(crate) fn read(
        &self,
        page: &Page,
        series: &PageSeries,
        column: u8,
        range_ms: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), Error> {
        let chunks = page.chunks_of(series);
        let mut rest = self.samples_of(series, chunks)?;
        for entry in chunks {
            let (chunk, after) = rest.split_at(entry.bytes as usize);
            rest = after;
            if entry.kind.column() == column && entry.overlaps(range_ms) {
                self.sound(chunk::decode(chunk, out).map_err(|error| error.to_string()))?;
            }
        }
        Ok(())
    }

    fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..u32::try_from(self.footer.series).unwrap_or(u32::MAX));
        all
    }

    /// Series that have the matcher's label, with a value that passes, or with one that does not.
    fn with_value(&self, matcher: &Matcher, passes: bool) -> Result<RoaringBitmap, Error> {
        let Some(section) = self.section(matcher.name())? else { return Ok(RoaringBitmap::new()) };
        let test = Test::of(matcher);
        let mut found = Vec::new();
        match test.places(passes) {
            Places::These(wanted) => {
                for value in wanted {
                    found.extend(self.sound(section.find(value))?);
                }
            }
            Places::From(prefix) => {
                let mut values = self.sound(section.values_from(prefix))?;
                while self.sound(values.next())? && values.value().starts_with(prefix.as_bytes()) {
                    if test.answers(self.sound(values.text())?, passes) {
                        found.push(self.sound(values.postings())?);
                    }
                }
            }
        }
        Ok(found.union())
    }

    fn is_used(&self, section: &LabelSection, among: Option<&RoaringBitmap>) -> Result<bool, Error> {
        let Some(ids) = among else { return Ok(true) };
        let Some(section) = self.section(&section.place.name)? else { return Ok(false) };
        let mut values = section.values();
        while self.sound(values.next())? {
            if !self.sound(values.postings())?.is_disjoint(ids) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The section of a label name, its checksum found right.
    fn section(&self, name: &str) -> Result<Option<Section<'_>>, Error> {
        let Index::Mapped { labels, .. } = &self.index else { return Ok(None) };
        let found = labels.binary_search_by(|section| (*section.place.name).cmp(name));
        let Some(section) = found.ok().and_then(|index| labels.get(index)) else { return Ok(None) };
        let bytes = self.sound(self.slice(section.place.offset, section.place.bytes))?;
        if !section.was_checked.load(Ordering::Relaxed) {
            if crc32c::crc32c(bytes) != section.place.sum {
                return self.sound(Err(format!("checksum of the values of label {name} is wrong")));
            }
            section.was_checked.store(true, Ordering::Relaxed);
        }
        let parsed = Section::new(&section.place, bytes);
        self.sound(parsed.ok_or_else(|| format!("lengths of the values of label {name} are wrong"))).map(Some)
    }

    fn decode_page(&self, place: PagePlace) -> Result<Page, String> {
        let bytes = self.slice(place.offset, place.bytes)?;
        if crc32c::crc32c(bytes) != place.sum {
            return Err("checksum is wrong".into());
        }
        let raw = zstd::bulk::decompress(bytes, place.raw_bytes).map_err(|error| error.to_string())?;
        Page::decode(&raw)
    }

    fn slice(&self, offset: u64, len: u64) -> Result<&[u8], String> {
        slice(&self.file, offset, len)
    }

    /// Turns damage into an error and remembers it, so that the block is repaired.
    fn sound<T>(&self, found: Result<T, String>) -> Result<T, Error> {
        self.noting(found.map_err(|detail| Error::corrupt(&self.path, detail)))
    }

    fn noting<T>(&self, found: Result<T, Error>) -> Result<T, Error> {
        if matches!(found, Err(Error::Corrupt { .. })) {
            self.was_damaged.store(true, Ordering::Relaxed);
        }
        found
    }
}

pub(super) fn slice(bytes: &[u8], offset: u64, len: u64) -> Result<&[u8], String> {
    let range = usize::try_from(offset).ok().zip(offset.checked_add(len).and_then(|end| end.try_into().ok()));
    let slice = range.and_then(|(start, end): (usize, usize)| bytes.get(start..end));
    slice.ok_or_else(|| format!("bytes {offset}+{len} are outside the file"))
}

fn open_directory(path: &Path, bytes: &[u8]) -> Result<(Footer, Directory), Error> {
    let footer = bytes.last_chunk::<FOOTER_BYTES>().and_then(Footer::decode);
    let footer = footer.ok_or_else(|| Error::corrupt(path, "no footer: the file is cut short or damaged"))?;
    let directory = slice(bytes, footer.directory_offset, footer.directory_bytes);
    let directory = directory.map_err(|detail| Error::corrupt(path, detail))?;
    if crc32c::crc32c(directory) != footer.directory_sum {
        return Err(Error::corrupt(path, "checksum of the directory is wrong"));
    }
    let directory = Directory::decode(directory).map_err(|detail| Error::corrupt(path, detail))?;
    Ok((footer, directory))
}

/// Answers the version.
fn check_header(path: &Path, bytes: &[u8]) -> Result<u32, Error> {
    let found = bytes.first_chunk::<HEADER_BYTES>();
    let found = found.ok_or_else(|| Error::corrupt(path, "shorter than a header"))?;
    let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
    if *found != header(version) || !found.starts_with(MAGIC) {
        return Err(Error::corrupt(path, "no header of a block"));
    }
    if version > VERSION {
        return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
    }
    Ok(version)
}
