//! What a query answers.

use std::sync::Arc;

use model::{Histogram, LabelSet};

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar {
        ts_ms: i64,
        value: f64,
    },
    String {
        ts_ms: i64,
        value: String,
    },
    /// In the order of the expression (`sort`), else of the store.
    Vector(Vec<VectorSample>),
    /// Ascending by labels.
    Matrix(Vec<MatrixSeries>),
}

/// The value of one sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl SampleValue {
    /// The float, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// One series of a [`Value::Vector`].
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    pub labels: LabelSet,
    pub ts_ms: i64,
    pub value: SampleValue,
}

/// One series of a [`Value::Matrix`]. `ts_ms` and `values` are equally long and hold the floats; no time occurs among
/// both floats and histograms.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    pub labels: LabelSet,
    /// Ascending.
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Ascending in time.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

impl MatrixSeries {
    /// A series without samples.
    pub fn new(labels: LabelSet) -> Self {
        Self { labels, ts_ms: Vec::new(), values: Vec::new(), histograms: Vec::new() }
    }

    /// Number of samples of both kinds.
    pub fn len(&self) -> usize {
        self.ts_ms.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ts_ms.is_empty() && self.histograms.is_empty()
    }

    /// The sample at `ts_ms`, if there is one.
    pub fn at(&self, ts_ms: i64) -> Option<SampleValue> {
        if let Ok(index) = self.ts_ms.binary_search(&ts_ms) {
            return Some(SampleValue::Float(self.values[index]));
        }
        let index = self.histograms.binary_search_by_key(&ts_ms, |(ts_ms, _)| *ts_ms).ok()?;
        Some(SampleValue::Histogram(self.histograms[index].1.clone()))
    }
}
