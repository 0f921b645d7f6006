//! The store as a sink: samples, metadata, exemplars.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use model::{Appended, MetricBatch, MetricMetadata, MetricSink, SinkError};

use crate::head::{ExemplarVerdict, Limits, put_exemplars};
use crate::{Error, Tsdb};

/// Most metric families with metadata.
const FAMILIES_MAX: usize = 100_000;
/// Longest name, help and unit of a family together.
const METADATA_BYTES_MAX: usize = 16 << 10;

impl MetricSink for Tsdb {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        self.append_metadata(&batch.metadata)?;
        let limits = Limits { config: &self.config, now_ms: self.clock.unix_ms(), minute: self.minute() };
        let mut outcome = self.head.append(batch, &limits, &self.log)?;
        if batch.exemplar_count() > 0 {
            outcome.appended.accepted_exemplars = self.append_exemplars(batch)?;
        }
        if outcome.series_created > 0 {
            self.metrics.series_created.add(outcome.series_created);
            self.metrics.head_series.set(self.head.status().series as f64);
        }
        self.metrics.samples_duplicate.add(outcome.duplicates);
        self.metrics.count(&outcome.appended);
        Ok(outcome.appended)
    }
}

impl Tsdb {
    /// Logs and remembers what is new in the metadata of a batch. Metadata over a limit is counted and left out: it
    /// is no reason to refuse samples.
    fn append_metadata(&self, batch: &[MetricMetadata]) -> Result<(), Error> {
        let is_new = |known: &BTreeMap<String, MetricMetadata>, metadata: &MetricMetadata| {
            known.get(&metadata.family) != Some(metadata)
        };
        let known = self.read_metadata();
        if !batch.iter().any(|metadata| is_new(&known, metadata)) {
            return Ok(());
        }
        drop(known);
        // Held over the write to the log, so that a cut, which repeats all metadata in the segment it starts, either
        // sees the new ones here or comes before their record.
        let mut known = self.metadata.write().unwrap_or_else(PoisonError::into_inner);
        let room = FAMILIES_MAX.saturating_sub(known.len());
        let new: Vec<_> = batch.iter().filter(|metadata| is_new(&known, metadata)).collect();
        let fits = |metadata: &&&MetricMetadata| {
            metadata.family.len() + metadata.help.len() + metadata.unit.len() <= METADATA_BYTES_MAX
        };
        let accepted: Vec<MetricMetadata> =
            new.iter().filter(fits).take(room).map(|new| (*new).clone()).collect();
        self.metrics.metadata_rejected.add((new.len() - accepted.len()) as u64);
        self.log_metadata(&accepted)?;
        known.extend(accepted.into_iter().map(|metadata| (metadata.family.clone(), metadata)));
        Ok(())
    }

    /// Logs and remembers the exemplars of series that the head has, and answers how many: those that were there
    /// already are among them. One that is left out is counted.
    fn append_exemplars(&self, batch: &MetricBatch) -> Result<u64, Error> {
        // Held over the write to the log, for the same reason as that of metadata.
        let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut accepted, mut known) = (Vec::new(), 0);
        for series in batch.series().filter(|series| !series.exemplars.is_empty()) {
            if !self.head.contains(series.labels) {
                self.metrics.exemplars_unknown_series.add(series.exemplars.len() as u64);
                continue;
            }
            let labels = series.labels.to_owned();
            for exemplar in series.exemplars {
                match exemplars.judge(labels.as_bytes(), exemplar) {
                    ExemplarVerdict::New => {
                        accepted.push((labels.clone(), exemplar.clone()));
                        exemplars.add(labels.clone(), exemplar.clone());
                    }
                    ExemplarVerdict::Same => known += 1,
                    ExemplarVerdict::OutOfOrder => self.metrics.exemplars_out_of_order.inc(),
                    ExemplarVerdict::TooLong => self.metrics.exemplars_too_long.inc(),
                }
            }
        }
        self.metrics.exemplars_appended.add(accepted.len() as u64);
        self.metrics.exemplars.set(exemplars.len() as f64);
        if accepted.is_empty() {
            return Ok(known);
        }
        let mut record = Vec::new();
        put_exemplars(accepted.iter().map(|(labels, exemplar)| (labels, exemplar)), &mut record);
        self.log.append(&record)?;
        Ok(known + accepted.len() as u64)
    }
}
