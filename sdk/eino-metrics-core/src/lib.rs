//! Metric registry and cells: counters, gauges and histograms with labels fixed at creation.
//!
//! - A [`Registry`] is a value, handed in; there is no global one here.
//! - Asking twice for the same name and labels gives the same cell.
//! - Labels are rendered once, when a cell is made; an increment touches one atomic.

mod cells;
mod registry;

pub use cells::{Counter, Gauge, Histogram};
pub use registry::{Kind, Registry};
