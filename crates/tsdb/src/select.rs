//! Selections: series of the head and of blocks, merged by labels, read one by one.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use model::{
    Aggregate, LabelIds, LabelSet, LatestSample, Matcher, SampleColumns, SeriesSet, SourceError, TimeRange,
};

use crate::Error;
use crate::block::{BlockSet, Held, PAGE_SERIES, Page, Resolution};
use crate::columns::tidy_up;
use crate::downsample;
use crate::head::{Head, HeadSelection};
use crate::label_order::compare_labels;

/// What a query reads: it does not change any more, whatever happens to the store.
pub(crate) struct Selection {
    range_ms: TimeRange,
    head: HeadSelection,
    blocks: Vec<Selecting>,
    series: Vec<Selected>,
    parts: Vec<Part>,
}

/// A block and those of its pages that have selected series.
struct Selecting {
    held: Held,
    pages: Vec<Arc<Page>>,
}

#[derive(Default)]
struct Selected {
    /// Those of the head are made when somebody asks.
    labels: OnceLock<LabelSet>,
    /// First and last of its parts, in the order of writing; the parts in between are linked.
    in_blocks: Option<(u32, u32)>,
    /// Position in `Selection::head`.
    in_head: Option<u32>,
}

/// A series in a block.
struct Part {
    /// In `Selection::blocks`.
    block: u32,
    /// In `Selecting::pages`.
    page: u32,
    /// Its id in the block.
    id: u32,
    next: Option<u32>,
}

impl Selection {
    pub(crate) fn new(
        head: &Head,
        blocks: &BlockSet,
        matchers: &[Matcher],
        range_ms: TimeRange,
    ) -> Result<Self, Error> {
        // Head first: what leaves it in between is in a block by then.
        let head = head.select(matchers, range_ms);
        let mut selection =
            Self { range_ms, head, blocks: Vec::new(), series: Vec::new(), parts: Vec::new() };
        if range_ms.is_empty() {
            return Ok(selection);
        }
        for held in blocks.state().blocks.iter().filter(|held| held.block.range_ms().overlaps(&range_ms)) {
            selection.add_block(held, matchers)?;
        }
        let in_head = (0..selection.head.len() as u32)
            .map(|position| Selected { in_head: Some(position), ..Selected::default() });
        selection.merge(in_head.collect());
        Ok(selection)
    }

    fn add_block(&mut self, held: &Held, matchers: &[Matcher]) -> Result<(), Error> {
        let mut ids = held.block.select(matchers)?;
        ids -= held.deleted.gone();
        let block = self.blocks.len() as u32;
        let mut pages: Vec<Arc<Page>> = Vec::new();
        let mut page_number = None;
        let mut found = Vec::new();
        for id in ids {
            let number = id as usize / PAGE_SERIES;
            if page_number != Some(number) {
                pages.push(held.block.page(number)?);
                page_number = Some(number);
            }
            let Some(page) = pages.last() else { continue };
            let series = page.series.get(id as usize % PAGE_SERIES);
            if let Some(series) = series.filter(|series| page.overlaps(series, self.range_ms)) {
                let part = self.parts.len() as u32;
                self.parts.push(Part { block, page: pages.len() as u32 - 1, id, next: None });
                let labels = series.labels.clone().into();
                found.push(Selected { labels, in_blocks: Some((part, part)), in_head: None });
            }
        }
        if !found.is_empty() {
            self.blocks.push(Selecting { held: held.clone(), pages });
            self.merge(found);
        }
        Ok(())
    }

    /// Merges two lists that ascend by labels.
    fn merge(&mut self, others: Vec<Selected>) {
        if self.series.is_empty() {
            self.series = others;
            return;
        }
        let mut merged = Vec::with_capacity(self.series.len().max(others.len()));
        let mut left = std::mem::take(&mut self.series).into_iter().peekable();
        let mut right = others.into_iter().peekable();
        while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
            match compare_labels(one.labels(&self.head).as_bytes(), other.labels(&self.head).as_bytes()) {
                Ordering::Less => merged.extend(left.next()),
                Ordering::Greater => merged.extend(right.next()),
                Ordering::Equal => merged.extend(left.next().zip(right.next()).map(|(mut one, other)| {
                    one.in_blocks = self.link(one.in_blocks, other.in_blocks);
                    one.in_head = other.in_head.or(one.in_head);
                    one
                })),
            }
        }
        merged.extend(left);
        merged.extend(right);
        self.series = merged;
    }

    fn link(&mut self, one: Option<(u32, u32)>, other: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let (Some((first, before)), Some((next, last))) = (one, other) else { return one.or(other) };
        if let Some(part) = self.parts.get_mut(before as usize) {
            part.next = Some(next);
        }
        Some((first, last))
    }

    /// The newest sample of a series that is in one block and nowhere else, if the block can say it without decoding.
    fn latest_in_block(&self, part: u32) -> Result<Option<LatestSample>, Error> {
        let Some(part) = self.parts.get(part as usize) else { return Ok(None) };
        let Some(selecting) = self.blocks.get(part.block as usize) else { return Ok(None) };
        let Held { block, deleted } = &selecting.held;
        let page = selecting.pages.get(part.page as usize);
        let series = page.and_then(|page| page.series.get(part.id as usize % PAGE_SERIES));
        match page.zip(series) {
            Some((page, series)) if deleted.is_empty() && block.resolution() == Resolution::Raw => {
                block.latest(page, series, self.range_ms)
            }
            _ => Ok(None),
        }
    }

    /// The values of a label when all series are of one block and none is in the head.
    fn label_ids_of_block(&self, name: &str) -> Result<Option<LabelIds>, Error> {
        let ([selecting], true) = (self.blocks.as_slice(), self.head.len() == 0) else { return Ok(None) };
        if self.parts.len() != self.series.len() {
            return Ok(None);
        }
        let ids: Vec<u32> = self.parts.iter().map(|part| part.id).collect();
        selecting.held.block.label_ids(name, &ids)
    }

    fn read_part(&self, part: &Part, aggregate: Aggregate, out: &mut SampleColumns) -> Result<(), Error> {
        let Some(selecting) = self.blocks.get(part.block as usize) else { return Ok(()) };
        let page = selecting.pages.get(part.page as usize);
        let series = page.and_then(|page| page.series.get(part.id as usize % PAGE_SERIES));
        let Some((page, series)) = page.zip(series) else { return Ok(()) };
        let Held { block, deleted } = &selecting.held;
        let column = match block.resolution() {
            Resolution::Raw => 0,
            Resolution::FiveMinutes | Resolution::OneHour => downsample::column_of(aggregate),
        };
        if deleted.is_empty() {
            return block.read(page, series, column, self.range_ms, out);
        }
        let mut left = SampleColumns::default();
        block.read(page, series, column, self.range_ms, &mut left)?;
        deleted.apply(part.id, &mut left);
        out.append(&mut left);
        Ok(())
    }
}

impl Selected {
    fn labels(&self, head: &HeadSelection) -> &LabelSet {
        let of_head = || self.in_head.map(|position| head.label_set(position as usize));
        self.labels.get_or_init(|| of_head().unwrap_or_default())
    }
}

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        self.series[index].labels(&self.head)
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        self.read_aggregate(index, Aggregate::Samples, out)
    }

    fn read_aggregate(
        &self,
        index: usize,
        aggregate: Aggregate,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        out.clear();
        let Some(selected) = self.series.get(index) else { return Ok(()) };
        let mut next = selected.in_blocks.map(|(first, _)| first);
        while let Some(part) = next.and_then(|part| self.parts.get(part as usize)) {
            self.read_part(part, aggregate, out)?;
            next = part.next;
        }
        if let Some(position) = selected.in_head {
            self.head
                .read(position as usize, out)
                .map_err(|error| SourceError::Corrupt { path: "head".into(), detail: error.to_string() })?;
        }
        tidy_up(self.range_ms, out);
        Ok(())
    }

    fn read_latest(&self, index: usize) -> Result<Option<LatestSample>, SourceError> {
        let Some(selected) = self.series.get(index) else { return Ok(None) };
        let latest = match (selected.in_blocks, selected.in_head) {
            (None, Some(position)) => self.head.latest(position as usize),
            (Some((first, last)), None) if first == last => self.latest_in_block(first)?,
            _ => None,
        };
        if latest.is_some() {
            return Ok(latest);
        }
        let mut columns = SampleColumns::default();
        self.read(index, &mut columns)?;
        Ok(LatestSample::of(&columns))
    }

    fn label_ids(&self, name: &str) -> LabelIds {
        if self.blocks.is_empty() {
            return self.head.label_ids(name);
        }
        if let Ok(Some(ids)) = self.label_ids_of_block(name) {
            return ids;
        }
        LabelIds::of((0..self.len()).map(|index| self.labels(index).get(name).unwrap_or_default()))
    }

    fn infos(&self) -> Vec<String> {
        let describe = |resolution: Resolution, windows: &str| {
            let blocks = self.blocks.iter().map(|selecting| &selecting.held.block);
            let of_it = blocks.filter(|block| block.resolution() == resolution);
            let end_ms = of_it.map(|block| block.range_ms().end.min(self.range_ms.end)).max()?;
            let end_s = end_ms.div_euclid(1_000);
            Some(format!(
                "samples before {end_s} (Unix time) are downsampled to windows of {windows}, as raw ones are not kept that long"
            ))
        };
        let coarse = describe(Resolution::OneHour, "1 h");
        coarse.into_iter().chain(describe(Resolution::FiveMinutes, "5 min")).collect()
    }
}
