//! Typed metrics: a label set is a type, and its series are known before the first request.
//!
//! ```
//! use eino::metrics::{Counter, Histogram, SECONDS};
//!
//! eino::labels! {
//!     /// Where an order comes from.
//!     pub enum Channel as "channel" { Web = "web", App = "app" }
//! }
//! eino::labels! {
//!     pub enum Outcome as "outcome" { Paid = "paid", Declined = "declined" }
//! }
//! let registry = eino::Registry::new();
//! let orders = Counter::<(Channel, Outcome)>::register(&registry, "shop_orders_total", "Orders.");
//! orders.with((Channel::Web, Outcome::Paid)).inc();
//! assert!(registry.encode_text().contains(r#"shop_orders_total{channel="app",outcome="declined"} 0"#));
//! ```
//! - `with` computes an index: no lock, no allocation, no string, no guard.
//! - A family has as many series as its types have values.

use std::marker::PhantomData;
use std::time::Duration;

use eino_metrics_core as core;
pub use eino_metrics_core::Registry;

/// Bucket bounds for times of requests, in seconds: those of OpenTelemetry's HTTP conventions.
pub const SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A label whose values are a closed set; made by [`labels!`](crate::labels).
pub trait Label: Copy + 'static {
    /// Name of the label.
    const NAME: &'static str;
    /// All values, in the order of [`Label::index`].
    const ALL: &'static [Self];
    /// The value as it is exposed.
    fn value(self) -> &'static str;
    /// Position in [`Label::ALL`].
    fn index(self) -> usize;
}

/// Labels of one family: `()`, one [`Label`], or a tuple of two or three.
pub trait LabelSet: Copy {
    /// Names and values of every series, in the order of [`LabelSet::index`].
    fn series() -> Vec<Vec<(&'static str, &'static str)>>;
    /// Position of this label set in [`LabelSet::series`].
    fn index(self) -> usize;
}

impl LabelSet for () {
    fn series() -> Vec<Vec<(&'static str, &'static str)>> {
        vec![Vec::new()]
    }

    fn index(self) -> usize {
        0
    }
}

impl<A: Label> LabelSet for A {
    fn series() -> Vec<Vec<(&'static str, &'static str)>> {
        A::ALL.iter().map(|label| vec![(A::NAME, label.value())]).collect()
    }

    fn index(self) -> usize {
        Label::index(self)
    }
}

impl<A: Label, B: Label> LabelSet for (A, B) {
    fn series() -> Vec<Vec<(&'static str, &'static str)>> {
        product(<A as LabelSet>::series(), &<B as LabelSet>::series())
    }

    fn index(self) -> usize {
        Label::index(self.0) * B::ALL.len() + Label::index(self.1)
    }
}

impl<A: Label, B: Label, C: Label> LabelSet for (A, B, C) {
    fn series() -> Vec<Vec<(&'static str, &'static str)>> {
        product(<(A, B) as LabelSet>::series(), &<C as LabelSet>::series())
    }

    fn index(self) -> usize {
        LabelSet::index((self.0, self.1)) * C::ALL.len() + Label::index(self.2)
    }
}

type Series = Vec<(&'static str, &'static str)>;

fn product(left: Vec<Series>, right: &[Series]) -> Vec<Series> {
    left.iter().flat_map(|a| right.iter().map(move |b| [a.as_slice(), b].concat())).collect()
}

/// Counters of one family.
#[derive(Clone, Debug)]
pub struct Counter<L> {
    cells: Box<[core::Counter]>,
    labels: PhantomData<fn(L)>,
}

impl<L: LabelSet> Counter<L> {
    /// The family of this name, with a series of value 0 for every label set.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn register(registry: &Registry, name: &str, help: &str) -> Self {
        let cells = L::series().iter().map(|labels| registry.counter_with(name, help, labels)).collect();
        Self { cells, labels: PhantomData }
    }

    /// The counter of these labels.
    pub fn with(&self, labels: L) -> &core::Counter {
        &self.cells[labels.index()]
    }
}

impl Counter<()> {
    /// Adds one.
    pub fn inc(&self) {
        self.with(()).inc();
    }
}

/// Gauges of one family.
#[derive(Clone, Debug)]
pub struct Gauge<L> {
    cells: Box<[core::Gauge]>,
    labels: PhantomData<fn(L)>,
}

impl<L: LabelSet> Gauge<L> {
    /// The family of this name, with a series of value 0 for every label set.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn register(registry: &Registry, name: &str, help: &str) -> Self {
        let cells = L::series().iter().map(|labels| registry.gauge_with(name, help, labels)).collect();
        Self { cells, labels: PhantomData }
    }

    /// The gauge of these labels.
    pub fn with(&self, labels: L) -> &core::Gauge {
        &self.cells[labels.index()]
    }
}

/// Histograms of one family.
#[derive(Clone, Debug)]
pub struct Histogram<L> {
    cells: Box<[core::Histogram]>,
    labels: PhantomData<fn(L)>,
}

impl<L: LabelSet> Histogram<L> {
    /// The family of this name with ascending bucket bounds, for times usually [`SECONDS`].
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn register(registry: &Registry, name: &str, help: &str, bounds: &[f64]) -> Self {
        let series = L::series();
        let cells = series.iter().map(|labels| registry.histogram_with(name, help, bounds, labels)).collect();
        Self { cells, labels: PhantomData }
    }

    /// The histogram of these labels.
    pub fn with(&self, labels: L) -> &core::Histogram {
        &self.cells[labels.index()]
    }

    /// Counts a time, in seconds.
    pub fn observe_time(&self, labels: L, time: Duration) {
        self.with(labels).observe(time.as_secs_f64());
    }
}

/// Declares a label and its values as an enum.
///
/// ```
/// eino::labels! {
///     /// Kind of a cache lookup.
///     pub enum Lookup as "result" { Hit = "hit", Miss = "miss" }
/// }
/// use eino::metrics::Label;
/// assert_eq!((Lookup::NAME, Lookup::Miss.value()), ("result", "miss"));
/// ```
#[macro_export]
macro_rules! labels {
    ($(#[$meta:meta])* $vis:vis enum $name:ident as $label:literal { $($variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($variant),+ }

        impl $crate::metrics::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn value(self) -> &'static str {
                match self { $(Self::$variant => $value),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    labels! { enum A as "a" { X = "x", Y = "y" } }
    labels! { enum B as "b" { One = "1", Two = "2", Three = "3" } }

    #[test]
    fn every_label_set_has_its_own_cell() {
        let registry = Registry::new();
        let counter = Counter::<(A, B, A)>::register(&registry, "n_total", "N.");
        let mut expected = 0;
        for a in A::ALL {
            for b in B::ALL {
                for c in A::ALL {
                    expected += 1;
                    counter.with((*a, *b, *c)).add(expected);
                }
            }
        }
        let text = registry.encode_text();
        assert_eq!(text.lines().filter(|line| line.starts_with("n_total{")).count(), 12);
        assert!(text.contains(r#"n_total{a="x",b="1",a="x"} 1"#), "{text}");
        assert!(text.contains(r#"n_total{a="y",b="3",a="y"} 12"#), "{text}");
    }
}
