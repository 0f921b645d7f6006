//! Merging neighbouring blocks: eight of one size become one, so a week of minutes is some dozens of files, and
//! late spans come back to their trace.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use model::Span;

use super::files::BlockId;
use super::read::Block;
use super::write::{BlockWriter, order_key};
use crate::error::Error;

/// Blocks merged at once.
const FAN: usize = 8;

/// Longest time a merged block may span: retention deletes whole blocks.
const MERGED_SPAN_NS_MAX: u64 = 24 * 3600 * 1_000_000_000;

/// Picks neighbours to merge, oldest first; none when nothing is due.
pub(crate) fn choose_merge(blocks: &[Arc<Block>], block_spans_max: u64) -> Option<Range<usize>> {
    let is_due = |group: &[Arc<Block>]| {
        let level = |block: &Block| block.id.len().ilog(FAN as u64);
        let spans: u64 = group.iter().map(|block| block.footer.spans).sum();
        let start = group.iter().map(|block| block.footer.start_min_ns).min().unwrap_or_default();
        let end = group.iter().map(|block| block.footer.start_max_ns).max().unwrap_or_default();
        group.windows(2).all(|pair| level(&pair[0]) == level(&pair[1]))
            && spans <= block_spans_max
            && end - start <= MERGED_SPAN_NS_MAX
    };
    let start = blocks.windows(FAN).position(is_due)?;
    Some(start..start + FAN)
}

/// Writes one block of all spans of `blocks`, which stay as they are.
pub(crate) fn merge(blocks: &[Arc<Block>], dir: &Path) -> Result<(BlockId, PathBuf), Error> {
    let first = blocks.iter().map(|block| block.id.first).min().unwrap_or_default();
    let last = blocks.iter().map(|block| block.id.last).max().unwrap_or_default();
    let id = BlockId { first, last };
    let mut writer = BlockWriter::create(id.path(dir))?;
    let mut inputs: Vec<Input<'_>> = blocks.iter().map(|block| Input::new(block)).collect();
    loop {
        for input in &mut inputs {
            input.fill()?;
        }
        // Of equal spans the one of the oldest block comes first and is kept.
        let next = inputs.iter_mut().filter_map(|input| Some((order_key(input.spans.peek()?), input)));
        let Some((_, next)) = next.min_by_key(|(key, _)| *key) else { break };
        if let Some(span) = next.spans.next() {
            writer.push(span)?;
        }
    }
    Ok((id, writer.finish()?))
}

/// The spans of a block in order, one page in memory.
struct Input<'b> {
    block: &'b Block,
    next_page: usize,
    spans: std::iter::Peekable<vec::IntoIter<Arc<Span>>>,
}

impl<'b> Input<'b> {
    fn new(block: &'b Block) -> Self {
        Self { block, next_page: 0, spans: Vec::new().into_iter().peekable() }
    }

    fn fill(&mut self) -> Result<(), Error> {
        while self.spans.peek().is_none() && self.next_page < self.block.footer.pages.len() {
            let spans = self.block.with_page(self.next_page, |page| page.all_spans())?;
            self.next_page += 1;
            self.spans = spans.unwrap_or_default().into_iter().peekable();
        }
        Ok(())
    }
}
