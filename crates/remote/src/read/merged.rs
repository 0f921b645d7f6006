//! Series of several sources as one set.

use model::{LabelSet, SampleColumns, SeriesSet, SourceError};
use wire::remote_read::Series;

/// Collects answers.
pub(super) struct Merged {
    local: Box<dyn SeriesSet>,
    remote: Series,
    infos: Vec<String>,
}

/// The merged set: each series is local, remote, or both.
pub(super) struct MergedSet {
    local: Box<dyn SeriesSet>,
    remote: Series,
    places: Vec<Place>,
    infos: Vec<String>,
}

/// Where the samples of a series are.
struct Place {
    local: Option<usize>,
    /// Half-open: several servers may have the series.
    remote: (usize, usize),
}

impl Merged {
    pub(super) fn new(local: Box<dyn SeriesSet>) -> Self {
        let infos = local.infos();
        Self { local, remote: Series::new(), infos }
    }

    pub(super) fn add(&mut self, series: Series) {
        self.remote.extend(series);
    }

    pub(super) fn note(&mut self, info: String) {
        self.infos.push(info);
    }

    /// Both sides ascend by labels: one walk.
    pub(super) fn finish(self) -> MergedSet {
        let Self { local, mut remote, infos } = self;
        // Stable: the server that is configured first counts where two have the same time.
        remote.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut places = Vec::with_capacity(local.len() + remote.len());
        let (mut local_at, mut remote_at) = (0, 0);
        while local_at < local.len() || remote_at < remote.len() {
            let ours = (local_at < local.len()).then(|| local.labels(local_at));
            let theirs = remote.get(remote_at).map(|(labels, _)| labels);
            let order = match (ours, theirs) {
                (Some(ours), Some(theirs)) => ours.cmp(theirs),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Greater,
            };
            let first = remote_at;
            if order.is_ge() {
                let same = remote.iter().skip(first).take_while(|(labels, _)| Some(labels) == theirs).count();
                remote_at += same;
            }
            places.push(Place { local: order.is_le().then_some(local_at), remote: (first, remote_at) });
            local_at += usize::from(order.is_le());
        }
        MergedSet { local, remote, places, infos }
    }
}

impl SeriesSet for MergedSet {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        let place = &self.places[index];
        match place.local {
            Some(local) => self.local.labels(local),
            None => &self.remote[place.remote.0].0,
        }
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        let place = &self.places[index];
        match place.local {
            Some(local) => self.local.read(local, out)?,
            None => out.clear(),
        }
        for (_, columns) in &self.remote[place.remote.0..place.remote.1] {
            merge(out, columns);
        }
        Ok(())
    }

    fn infos(&self) -> Vec<String> {
        self.infos.clone()
    }
}

/// Adds the samples of `more` at times that `out` does not have.
fn merge(out: &mut SampleColumns, more: &SampleColumns) {
    if more.is_empty() {
        return;
    }
    if out.is_empty() {
        out.clone_from(more);
        return;
    }
    let taken: std::collections::HashSet<i64> =
        out.ts_ms.iter().copied().chain(out.histograms.iter().map(|sample| sample.ts_ms)).collect();
    let mut floats: Vec<(i64, f64, i64)> = Vec::with_capacity(out.ts_ms.len() + more.ts_ms.len());
    for columns in [&*out, more] {
        let is_new = |ts_ms: i64| std::ptr::eq(columns, more) && taken.contains(&ts_ms);
        for (index, (ts_ms, value)) in columns.ts_ms.iter().zip(&columns.values).enumerate() {
            if !is_new(*ts_ms) {
                floats.push((*ts_ms, *value, columns.start_ms.get(index).copied().unwrap_or_default()));
            }
        }
    }
    floats.sort_by_key(|(ts_ms, ..)| *ts_ms);
    let has_starts = floats.iter().any(|(.., start_ms)| *start_ms != 0);
    out.histograms.extend(more.histograms.iter().filter(|sample| !taken.contains(&sample.ts_ms)).cloned());
    out.histograms.sort_by_key(|sample| sample.ts_ms);
    out.ts_ms = floats.iter().map(|(ts_ms, ..)| *ts_ms).collect();
    out.values = floats.iter().map(|(_, value, _)| *value).collect();
    out.start_ms =
        if has_starts { floats.iter().map(|(.., start_ms)| *start_ms).collect() } else { Vec::new() };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Local(Series);

    impl SeriesSet for Local {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn labels(&self, index: usize) -> &LabelSet {
            &self.0[index].0
        }

        fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
            out.clone_from(&self.0[index].1);
            Ok(())
        }
    }

    fn series(list: &[(&str, &[(i64, f64)])]) -> Series {
        let one = |(name, samples): &(&str, &[(i64, f64)])| {
            let mut columns = SampleColumns::default();
            samples.iter().for_each(|(ts_ms, value)| columns.push(*ts_ms, *value));
            (LabelSet::from_pairs([("__name__", *name)]).expect("valid"), columns)
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn series_are_merged_and_local_samples_count() {
        let mut merged = Merged::new(Box::new(Local(series(&[("a", &[(2, 2.0)]), ("c", &[(5, 5.0)])]))));
        merged.add(series(&[("a", &[(1, 1.5), (2, 9.0), (3, 3.5)]), ("b", &[(4, 4.5)])]));
        merged.add(series(&[("a", &[(0, 0.5), (1, 9.0)])]));
        merged.note("one is missing".to_owned());
        let merged = merged.finish();
        let mut out = SampleColumns::default();
        let mut seen = Vec::new();
        for index in 0..merged.len() {
            merged.read(index, &mut out).expect("in memory");
            seen.push((merged.labels(index).to_string(), out.ts_ms.clone(), out.values.clone()));
        }
        assert_eq!(
            seen,
            [
                ("a".to_owned(), vec![0, 1, 2, 3], vec![0.5, 1.5, 2.0, 3.5]),
                ("b".to_owned(), vec![4], vec![4.5]),
                ("c".to_owned(), vec![5], vec![5.0]),
            ]
        );
        assert_eq!(merged.infos(), ["one is missing"]);
    }
}
