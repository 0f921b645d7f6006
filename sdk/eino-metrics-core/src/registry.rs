//! The registry and the text exposition format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Counter, Gauge, Histogram};

/// Kind of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A set of metric families. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<BTreeMap<String, Family>>>);

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    /// Keyed by rendered labels: `` or `a="b",c="d"`.
    cells: BTreeMap<String, Cell>,
}

#[derive(Clone, Debug)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name without labels.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.counter_with(name, help, &[])
    }

    /// The counter of this name and labels.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn counter_with(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        match self.cell(name, help, Kind::Counter, labels, || Cell::Counter(Counter::default())) {
            Cell::Counter(counter) => counter,
            _ => unreachable!("cell() checks the kind"),
        }
    }

    /// The gauge of this name without labels.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.gauge_with(name, help, &[])
    }

    /// The gauge of this name and labels.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn gauge_with(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.cell(name, help, Kind::Gauge, labels, || Cell::Gauge(Gauge::default())) {
            Cell::Gauge(gauge) => gauge,
            _ => unreachable!("cell() checks the kind"),
        }
    }

    /// The histogram of this name without labels.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.histogram_with(name, help, bounds, &[])
    }

    /// The histogram of this name and labels.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn histogram_with(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: &[(&str, &str)],
    ) -> Histogram {
        match self.cell(name, help, Kind::Histogram, labels, || Cell::Histogram(Histogram::new(bounds))) {
            Cell::Histogram(histogram) => histogram,
            _ => unreachable!("cell() checks the kind"),
        }
    }

    fn cell(
        &self,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Cell,
    ) -> Cell {
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name.to_owned()).or_insert_with(|| Family {
            kind,
            help: help.to_owned(),
            cells: BTreeMap::new(),
        });
        assert!(
            family.kind == kind,
            "BUG: metric {name} is registered as {:?} and asked for as {kind:?}",
            family.kind
        );
        family.cells.entry(render_labels(labels)).or_insert_with(make).clone()
    }

    /// The text exposition format 0.0.4 of all families, ascending by name.
    pub fn encode_text(&self) -> String {
        let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, family) in families.iter() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            push(&mut out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            for (labels, cell) in &family.cells {
                encode_cell(&mut out, name, labels, cell);
            }
        }
        out
    }
}

fn encode_cell(out: &mut String, name: &str, labels: &str, cell: &Cell) {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match cell {
        Cell::Counter(counter) => push(out, format_args!("{name}{braced} {}\n", counter.get())),
        Cell::Gauge(gauge) => push(out, format_args!("{name}{braced} {}\n", Number(gauge.get()))),
        Cell::Histogram(histogram) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let mut cumulative = 0;
            let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
            for (bound, count) in bounds.zip(histogram.bucket_counts()) {
                cumulative += count;
                push(
                    out,
                    format_args!("{name}_bucket{{{labels}{comma}le=\"{}\"}} {cumulative}\n", Number(bound)),
                );
            }
            push(out, format_args!("{name}_sum{braced} {}\n", Number(histogram.sum())));
            push(out, format_args!("{name}_count{braced} {cumulative}\n"));
        }
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a String does not fail");
}

/// A float as the exposition format writes it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == f64::INFINITY {
            f.write_str("+Inf")
        } else if self.0 == f64::NEG_INFINITY {
            f.write_str("-Inf")
        } else {
            write!(f, "{}", self.0)
        }
    }
}

fn render_labels(labels: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        push(&mut out, format_args!("{}{name}=\"{value}\"", if index == 0 { "" } else { "," }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn text_format() {
        let registry = Registry::new();
        registry.counter_with("a_total", "Counts.", &[("x", "q\"uo\\te")]).add(2);
        registry.gauge("b", "Goes\nup.").set(-0.5);
        let histogram = registry.histogram("c_seconds", "Times.", &[0.1, 1.0]);
        histogram.observe(0.1);
        histogram.observe(5.0);
        expect![[r#"
            # HELP a_total Counts.
            # TYPE a_total counter
            a_total{x="q\"uo\\te"} 2
            # HELP b Goes\nup.
            # TYPE b gauge
            b -0.5
            # HELP c_seconds Times.
            # TYPE c_seconds histogram
            c_seconds_bucket{le="0.1"} 1
            c_seconds_bucket{le="1"} 1
            c_seconds_bucket{le="+Inf"} 2
            c_seconds_sum 5.1
            c_seconds_count 2
        "#]]
        .assert_eq(&registry.encode_text());
    }

    #[test]
    fn same_name_and_labels_are_the_same_cell() {
        let registry = Registry::new();
        registry.counter("n_total", "N.").inc();
        registry.counter("n_total", "N.").inc();
        assert_eq!(registry.counter("n_total", "N.").get(), 2);
    }
}
