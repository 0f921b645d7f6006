//! The series of one target: which labels a line of its exposition becomes, and which series are live.
//!
//! ```text
//! raw series text ──hit──▶ canonical labels          steady state: one map lookup per sample, no label work
//!        └──────── miss ─▶ honor_labels, relabel, limits ─▶ remembered
//!
//! a series is live from its first sample until it is missing from a scrape, a scrape fails, or the target ends;
//! then a stale marker is written at the time of that scrape
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use discovery::relabel::relabel_builder;
use model::{
    Exemplar, HistogramSample, LabelSet, LabelSetBuilder, MetricBatch, MetricKind, MetricMetadata, stale_nan,
};
use wire::exposition::Value;

use crate::ScrapeConfig;

/// Series of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: HashMap<Box<str>, Entry, foldhash::fast::RandomState>,
    metadata: HashMap<String, MetricMetadata, foldhash::fast::RandomState>,
    /// Families whose metadata this scrape changed.
    described: BTreeSet<String>,
    /// Live series taken over from the target's life under older settings.
    inherited: Vec<LabelSet>,
    iteration: u64,
}

#[derive(Debug)]
struct Entry {
    /// `None`: relabelling drops the series.
    labels: Option<LabelSet>,
    /// Iteration that saw it last.
    seen: u64,
    /// Whether a stale marker is due when it vanishes: its samples carry no timestamp of their own.
    tracked: bool,
    live: bool,
}

/// What one scrape contained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) scraped: u64,
    /// After relabelling.
    pub(crate) kept: u64,
    pub(crate) series_added: u64,
    pub(crate) stale: u64,
    /// Classic histograms that could not become native ones.
    pub(crate) histograms_refused: u64,
}

/// One sample line.
pub(crate) struct SampleLine<'l> {
    /// Metric name and labels as they stand in the body.
    pub(crate) raw: &'l str,
    pub(crate) ts_ms: i64,
    /// When the counter began, 0 = unknown.
    pub(crate) start_ms: i64,
    pub(crate) value: Value,
    pub(crate) exemplars: &'l [Exemplar],
    /// Whether the line had a timestamp that is honored.
    pub(crate) own_timestamp: bool,
}

impl SeriesCache {
    /// A cache that knows which series were live before, and nothing else.
    pub(crate) fn inheriting(live: Vec<LabelSet>) -> Self {
        Self { inherited: live, ..Self::default() }
    }

    /// Series that would get a stale marker if the target ended now.
    pub(crate) fn into_live(self) -> Vec<LabelSet> {
        let own = self.entries.into_values().filter(|entry| entry.live).filter_map(|entry| entry.labels);
        own.chain(self.inherited).collect()
    }

    /// Starts a scrape.
    pub(crate) fn begin(&mut self) {
        self.iteration += 1;
    }

    /// Adds a sample to the batch. `parse` gives the labels of the line and is asked only for a series not seen before.
    ///
    /// # Errors
    /// A sentence that names the limit: the whole scrape fails.
    pub(crate) fn add(
        &mut self,
        context: &Context<'_>,
        line: &SampleLine<'_>,
        parse: impl FnOnce() -> Result<LabelSet, String>,
        batch: &mut MetricBatch,
        counts: &mut Counts,
    ) -> Result<(), String> {
        counts.scraped += 1;
        if !self.entries.contains_key(line.raw) {
            let labels = context.series_labels(parse()?.to_builder())?;
            counts.series_added += u64::from(labels.is_some());
            let entry = Entry { labels, seen: 0, tracked: false, live: false };
            self.entries.insert(line.raw.into(), entry);
        }
        let Some(entry) = self.entries.get_mut(line.raw) else { return Ok(()) };
        entry.seen = self.iteration;
        entry.tracked = !line.own_timestamp || context.config.track_timestamps_staleness;
        let Some(labels) = &entry.labels else { return Ok(()) };
        counts.kept += 1;
        let limit = context.config.limits.samples;
        if limit > 0 && counts.kept > limit {
            return Err(format!(
                "sample limit exceeded: more than sample_limit = {limit} samples after relabelling"
            ));
        }
        batch.start_series_canonical(labels.as_ref());
        match &line.value {
            Value::Float(value) => batch.push_sample_since(line.ts_ms, *value, line.start_ms),
            Value::Histogram(histogram) => batch.push_histogram(HistogramSample {
                ts_ms: line.ts_ms,
                start_ms: line.start_ms,
                histogram: Arc::clone(histogram),
            }),
        }
        for exemplar in line.exemplars {
            let ts_ms = if exemplar.ts_ms == 0 { line.ts_ms } else { exemplar.ts_ms };
            batch.push_exemplar(Exemplar { ts_ms, ..exemplar.clone() });
        }
        Ok(())
    }

    /// Notes one piece of metadata; `is_known` tells that nothing changes.
    pub(crate) fn describe(
        &mut self,
        family: &str,
        change: impl FnOnce(&mut MetricMetadata),
        is_known: impl FnOnce(&MetricMetadata) -> bool,
    ) {
        if self.metadata.get(family).is_some_and(is_known) {
            return;
        }
        let metadata = self.metadata.entry(family.to_owned()).or_insert_with(|| MetricMetadata {
            family: family.to_owned(),
            kind: MetricKind::Unknown,
            help: String::new(),
            unit: String::new(),
        });
        change(metadata);
        self.described.insert(family.to_owned());
    }

    /// Ends a scrape that went well: series that vanished get a stale marker and are forgotten.
    pub(crate) fn finish(&mut self, ts_ms: i64, batch: &mut MetricBatch, counts: &mut Counts) {
        let described = mem::take(&mut self.described);
        let described = described.iter().filter_map(|family| self.metadata.get(family));
        batch.metadata.extend(described.cloned());
        let mut vanished = mem::take(&mut self.inherited);
        let iteration = self.iteration;
        self.entries.retain(|_, entry| {
            let present = entry.seen == iteration;
            if !present && entry.live {
                vanished.extend(entry.labels.clone());
            }
            entry.live = present && entry.tracked && entry.labels.is_some();
            present
        });
        if vanished.is_empty() {
            return;
        }
        // The same series may be back under another spelling: then it has not vanished.
        let present: HashSet<&LabelSet> =
            self.entries.values().filter_map(|entry| entry.labels.as_ref()).collect();
        vanished.retain(|labels| !present.contains(labels));
        push_stale(&vanished, ts_ms, batch, counts);
    }

    /// Ends a scrape that failed: what it brought is taken back, and every live series gets a stale marker.
    pub(crate) fn fail(&mut self, ts_ms: i64, batch: &mut MetricBatch, counts: &mut Counts) {
        batch.clear();
        let mut live = mem::take(&mut self.inherited);
        for entry in self.entries.values_mut().filter(|entry| entry.live) {
            entry.live = false;
            live.extend(entry.labels.clone());
        }
        push_stale(&live, ts_ms, batch, counts);
    }
}

fn push_stale(series: &[LabelSet], ts_ms: i64, batch: &mut MetricBatch, counts: &mut Counts) {
    for labels in series {
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(ts_ms, stale_nan());
    }
    counts.stale += series.len() as u64;
}

/// What decides the labels of a target's series.
pub(crate) struct Context<'c> {
    pub(crate) config: &'c ScrapeConfig,
    pub(crate) target_labels: &'c LabelSet,
}

impl Context<'_> {
    /// The labels under which a series is stored; `None` when relabelling drops it.
    fn series_labels(&self, exposed: LabelSetBuilder) -> Result<Option<LabelSet>, String> {
        let mut labels = self.with_target_labels(exposed);
        if !relabel_builder(&mut labels, &self.config.metric_relabel) {
            return Ok(None);
        }
        let built = labels.build();
        if built.metric_name().is_empty() {
            return Err(format!("a series has no metric name after relabelling: {built}"));
        }
        self.check_limits(&built)?;
        Ok(Some(built))
    }

    fn with_target_labels(&self, mut exposed: LabelSetBuilder) -> LabelSetBuilder {
        if self.config.honor_labels {
            for (name, value) in self.target_labels.iter() {
                if exposed.get(name).is_none() {
                    exposed.set(name, value);
                }
            }
            return exposed;
        }
        let mut conflicts = Vec::new();
        for (name, value) in self.target_labels.iter() {
            if let Some(theirs) = exposed.get(name) {
                conflicts.push((name, theirs.to_owned()));
            }
            exposed.set(name, value);
        }
        for (name, theirs) in conflicts {
            let mut renamed = format!("exported_{name}");
            while exposed.get(&renamed).is_some() {
                renamed.insert_str(0, "exported_");
            }
            exposed.set(&renamed, &theirs);
        }
        exposed
    }

    fn check_limits(&self, labels: &LabelSet) -> Result<(), String> {
        let limits = &self.config.limits;
        let metric = labels.metric_name();
        let over = |limit: u64, value: usize| limit > 0 && value as u64 > limit;
        let count = labels.len();
        if over(limits.labels, count) {
            return Err(format!(
                "label_limit exceeded (metric: {metric:.50}, number of labels: {count}, limit: {})",
                limits.labels
            ));
        }
        for (name, value) in labels.iter() {
            if over(limits.label_name_bytes, name.len()) {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: {}, limit: {})",
                    name.len(),
                    limits.label_name_bytes
                ));
            }
            if over(limits.label_value_bytes, value.len()) {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: {}, limit: {})",
                    value.len(),
                    limits.label_value_bytes
                ));
            }
        }
        Ok(())
    }
}
