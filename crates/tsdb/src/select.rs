//! Selections: series of the head and of blocks, merged by labels, read one by one.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{LabelSet, Matcher, SampleColumns, SeriesSet, SourceError, TimeRange};

use crate::Error;
use crate::block::{Block, BlockIndex, BlockSet};
use crate::columns::tidy_up;
use crate::head::{Head, Snapshot};
use crate::label_order::compare_labels;

/// What a query reads: it does not change any more, whatever happens to the store.
pub(crate) struct Selection {
    range_ms: TimeRange,
    blocks: Vec<(Arc<Block>, Arc<BlockIndex>)>,
    series: Vec<Selected>,
}

struct Selected {
    labels: LabelSet,
    /// Index in `Selection::blocks` and position in that block, in the order of writing.
    in_blocks: Vec<(u32, u32)>,
    in_head: Option<Snapshot>,
}

impl Selection {
    pub(crate) fn new(
        head: &Head,
        blocks: &BlockSet,
        matchers: &[Matcher],
        range_ms: TimeRange,
    ) -> Result<Self, Error> {
        if range_ms.is_empty() {
            return Ok(Self { range_ms, blocks: Vec::new(), series: Vec::new() });
        }
        // Head first: what leaves it in between is in a block by then.
        let in_head = head.select(matchers, range_ms);
        let mut selection = Self { range_ms, blocks: Vec::new(), series: Vec::new() };
        for (_, block) in blocks.list().iter().filter(|(_, block)| block.range_ms().overlaps(&range_ms)) {
            selection.add_block(block, matchers)?;
        }
        let in_head = in_head.into_iter().map(|snapshot| Selected {
            labels: snapshot.labels.clone(),
            in_blocks: Vec::new(),
            in_head: Some(snapshot),
        });
        selection.merge(in_head.collect());
        Ok(selection)
    }

    fn add_block(&mut self, block: &Arc<Block>, matchers: &[Matcher]) -> Result<(), Error> {
        let index = block.index()?;
        let number = self.blocks.len() as u32;
        let mut found = Vec::new();
        for id in index.labels.select(matchers) {
            let series = index.series.get(id as usize).filter(|series| index.overlaps(series, self.range_ms));
            found.extend(series.map(|series| Selected {
                labels: series.labels.clone(),
                in_blocks: vec![(number, id)],
                in_head: None,
            }));
        }
        self.blocks.push((Arc::clone(block), index));
        self.merge(found);
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
            match compare_labels(one.labels.as_bytes(), other.labels.as_bytes()) {
                Ordering::Less => merged.extend(left.next()),
                Ordering::Greater => merged.extend(right.next()),
                Ordering::Equal => merged.extend(left.next().zip(right.next()).map(|(mut one, other)| {
                    one.in_blocks.extend(other.in_blocks);
                    one.in_head = other.in_head.or(one.in_head);
                    one
                })),
            }
        }
        merged.extend(left);
        merged.extend(right);
        self.series = merged;
    }
}

impl SeriesSet for Selection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        &self.series[index].labels
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clear();
        let Some(selected) = self.series.get(index) else { return Ok(()) };
        for (number, id) in &selected.in_blocks {
            let Some((block, block_index)) = self.blocks.get(*number as usize) else { continue };
            if let Some(series) = block_index.series.get(*id as usize) {
                block.read(block_index, series, self.range_ms, out)?;
            }
        }
        if let Some(snapshot) = &selected.in_head {
            if let Some(frozen) = &snapshot.frozen {
                frozen.read(self.range_ms, out)?;
            }
            snapshot.live.read(self.range_ms, out)?;
        }
        tidy_up(self.range_ms, out);
        Ok(())
    }
}
