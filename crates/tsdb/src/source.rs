//! The store as a source of answers.

use std::collections::BTreeSet;
use std::sync::RwLockReadGuard;

use model::{Exemplar, LabelSet, Matcher, MetricMetadata, MetricSource, SeriesSet, SourceError, TimeRange};
use roaring::RoaringBitmap;
use tracing::warn;

use crate::block::Block;
use crate::head::HeadLabels;
use crate::select::Selection;
use crate::{Error, Tsdb};

/// Takes a block and the ids asked for; `None` are all.
type VisitBlock<'v> = dyn FnMut(&Block, Option<&RoaringBitmap>) -> Result<(), Error> + 'v;

impl Tsdb {
    /// Names of the head's series, when the head may have samples in `range_ms`.
    fn head_labels(&self, range_ms: TimeRange) -> Option<RwLockReadGuard<'_, HeadLabels>> {
        let (min_ms, max_ms) = self.head.status().times_ms?;
        TimeRange::new(min_ms, max_ms.saturating_add(1)).overlaps(&range_ms).then(|| self.head.labels())
    }

    /// Runs `visit` on every block that may have samples in `range_ms`, with the ids of the series that pass any of
    /// `selectors`, or `None` where that is all of them.
    fn visit_blocks(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
        visit: &mut VisitBlock<'_>,
    ) -> Result<(), Error> {
        for held in self.blocks.state().blocks.iter().filter(|held| held.block.range_ms().overlaps(&range_ms))
        {
            let gone = held.deleted.gone();
            if selectors.is_empty() && gone.is_empty() {
                visit(&held.block, None)?;
                continue;
            }
            let all = [Vec::new()];
            let selectors = if selectors.is_empty() { &all } else { selectors };
            for selector in selectors {
                visit(&held.block, Some(&(held.block.select(selector)? - gone)))?;
            }
        }
        Ok(())
    }
}

impl MetricSource for Tsdb {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        let selection = Selection::new(&self.head, &self.blocks, matchers, range_ms);
        Ok(Box::new(selection.inspect_err(|error| warn!(%error, "selection failed"))?))
    }

    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        if let Some(labels) = self.head_labels(range_ms) {
            let index = &labels.index;
            if selectors.is_empty() {
                names.extend(index.names().map(str::to_owned));
            }
            for selector in selectors {
                names.extend(index.names_among(&index.select(selector)).map(str::to_owned));
            }
        }
        self.visit_blocks(selectors, range_ms, &mut |block, ids| block.label_names(ids, &mut names))?;
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        if let Some(labels) = self.head_labels(range_ms) {
            let index = &labels.index;
            if selectors.is_empty() {
                values.extend(index.values(name).map(str::to_owned));
            }
            for selector in selectors {
                values.extend(index.values_among(name, &index.select(selector)).map(str::to_owned));
            }
        }
        self.visit_blocks(selectors, range_ms, &mut |block, ids| block.label_values(name, ids, &mut values))?;
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        let known = self.read_metadata();
        Ok(match family {
            Some(family) => known.get(family).cloned().into_iter().collect(),
            None => known.values().cloned().collect(),
        })
    }

    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, SourceError> {
        Ok(self.read_exemplars().select(selectors, range_ms))
    }
}
