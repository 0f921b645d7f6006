//! Consistency of one histogram: buckets rise and end with `+Inf`, count and sum come together and agree.

use model::LabelSet;

/// Looks at the samples of a histogram family in order, one histogram (labels and time) after the other.
#[derive(Default)]
pub(super) struct HistogramCheck {
    current: Option<Histogram>,
}

struct Histogram {
    labels: LabelSet,
    ts_ms: Option<i64>,
    /// Upper bound and count of the last bucket.
    last_bucket: Option<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
    is_gauge: bool,
    has_negative_bucket: bool,
}

impl HistogramCheck {
    pub(super) fn sample(
        &mut self,
        labels: &LabelSet,
        ts_ms: Option<i64>,
        suffix: &str,
        le: Option<f64>,
        value: f64,
    ) -> Result<(), String> {
        let is_same = self.current.as_ref().is_some_and(|now| now.labels == *labels && now.ts_ms == ts_ms);
        if !is_same {
            self.end()?;
        }
        let current = self.current.get_or_insert_with(|| Histogram {
            labels: labels.clone(),
            ts_ms,
            last_bucket: None,
            count: None,
            sum: None,
            is_gauge: false,
            has_negative_bucket: false,
        });
        match suffix {
            "_bucket" => current.bucket(le.unwrap_or(f64::NAN), value)?,
            "_count" | "_gcount" => current.count = Some(value),
            "_sum" => current.sum = Some(value),
            "_gsum" => (current.sum, current.is_gauge) = (Some(value), true),
            _ => {}
        }
        Ok(())
    }

    /// Closes the histogram that is open, if one is.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.current.take().map_or(Ok(()), |histogram| histogram.check())
    }
}

impl Histogram {
    fn bucket(&mut self, le: f64, count: f64) -> Result<(), String> {
        self.has_negative_bucket |= le < 0.0;
        if let Some((last_le, last_count)) = self.last_bucket {
            if le <= last_le {
                return Err(format!("bucket le={le} after le={last_le}"));
            }
            if count < last_count {
                return Err(format!("bucket le={le} counts {count}, fewer than the {last_count} below it"));
            }
        }
        self.last_bucket = Some((le, count));
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let infinite = self.last_bucket.filter(|(le, _)| *le == f64::INFINITY);
        let Some((_, total)) = infinite else {
            return Err("no bucket le=\"+Inf\"".to_owned());
        };
        if let Some(count) = self.count.filter(|count| *count != total) {
            return Err(format!("the count {count} is not that of the bucket le=\"+Inf\", {total}"));
        }
        if self.sum.is_some() != self.count.is_some() {
            return Err("a count and a sum come together or not at all".to_owned());
        }
        match self.sum {
            Some(_) if self.has_negative_bucket && !self.is_gauge => {
                Err("a sum beside buckets below 0".to_owned())
            }
            Some(sum) if sum < 0.0 && !self.has_negative_bucket => {
                Err(format!("a sum of {sum} without buckets below 0"))
            }
            _ => Ok(()),
        }
    }
}
