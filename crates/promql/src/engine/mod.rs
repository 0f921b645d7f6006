//! The evaluator.
//!
//! ```text
//! step       0    1    2    3          one column per series, over all steps at once
//! series a   1.0  2.0  –    4.0        – (absent) is the stale marker, which no arithmetic can produce
//! series b   –    –    0.5  0.5
//! ```
//! - A selection reads each series once, whatever the number of steps; ranges slide over the decoded samples.
//! - Selections hand their columns on one after the other, so that an aggregation holds its groups and a batch of
//!   series, never all of them.
//! - An instant query is a query of one step.

mod aggregate;
mod aggregate_histograms;
mod annotations;
mod binary;
mod binary_pairs;
mod binary_value;
pub(crate) mod calendar;
mod call;
mod column;
mod context;
mod eval;
mod fold;
mod histogram;
mod histogram_call;
mod histogram_sum;
mod info;
mod instant_groups;
mod invariant;
mod labels;
pub(crate) mod math;
mod mixed;
mod mixed_rate;
mod native;
mod parallel;
mod range;
mod rank;
mod rate;
mod sampling;
mod select;
mod sets;
mod smoothed;
mod statistics_only;
mod subquery;
mod tracer;
mod whole_series;
mod window;
mod windows;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clock::Clock;
use model::{LabelSet, MetricSource};

use crate::ast::{Expr, ValueType};
use crate::error::{ParseError, QueryError};
use crate::parser::{Syntax, parse_with};
use crate::usage::{Plan, QueryStats};
use crate::value::{MatrixSeries, Value, VectorSample};
use column::{Column, Evaluated, Grid, is_absent};
use context::{Bounds, Context};

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How far back an instant selector looks for a sample.
    pub lookback: Duration,
    /// Most samples that one query may read, and most points that it may hold.
    pub samples_max: u64,
    /// Most series that one query may select.
    pub series_max: u64,
    /// Most bytes of intermediate results that one query may hold.
    pub bytes_max: u64,
    /// Longest run of one query. Looked at every few series.
    pub timeout: Duration,
    /// Most steps of a range query or subquery.
    pub points_max: u64,
    /// Step of subqueries that name none.
    pub subquery_step: Duration,
    /// Threads that decode one selection's series.
    pub threads_max: usize,
    /// Whether the times at which counters began count as resets, and `start_timestamp` answers them. Experimental, so
    /// off.
    pub use_start_times: bool,
    /// Which experimental syntax [`Engine::parse`] understands.
    pub syntax: Syntax,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            samples_max: 50_000_000,
            series_max: 10_000_000,
            bytes_max: 2 << 30,
            timeout: Duration::from_secs(120),
            points_max: 11_000,
            subquery_step: Duration::from_secs(60),
            threads_max: 1,
            use_start_times: false,
            syntax: Syntax::default(),
        }
    }
}

/// What one query may ask for itself.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// Shorter than the engine's; a longer one does not count.
    pub timeout: Option<Duration>,
    /// Replaces the engine's lookback.
    pub lookback: Option<Duration>,
    /// Stops the query when set to true.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Whether [`QueryStats::total_queryable_samples_per_step`] is filled.
    pub step_stats: bool,
    /// Whether [`QueryResult::plan`] is filled.
    pub explain: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct QueryResult {
    pub value: Value,
    /// `PromQL warning: … (line:column)`, each once.
    pub warnings: Vec<String>,
    /// `PromQL info: … (line:column)`, each once.
    pub infos: Vec<String>,
    /// What it took.
    pub stats: QueryStats,
    /// What each node took, if [`QueryOptions::explain`] asked for it; nothing for a literal.
    pub plan: Option<Plan>,
}

/// Evaluates expressions. Cheap to clone; holds no state between queries.
#[derive(Clone, Debug)]
pub struct Engine {
    config: EngineConfig,
    clock: Clock,
}

impl Engine {
    /// An engine; `clock` measures the timeout.
    pub fn new(config: EngineConfig, clock: Clock) -> Self {
        Self { config, clock }
    }

    /// The settings.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Parses an expression in the syntax of the settings.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(&self, text: &str) -> Result<Expr, ParseError> {
        parse_with(text, &self.config.syntax)
    }

    /// Evaluates at one moment. Blocks.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn instant(
        &self,
        source: &dyn MetricSource,
        expr: &Expr,
        time_ms: i64,
    ) -> Result<QueryResult, QueryError> {
        self.instant_with(source, expr, time_ms, &QueryOptions::default())
    }

    /// As [`instant`](Self::instant), with options.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn instant_with(
        &self,
        source: &dyn MetricSource,
        expr: &Expr,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let bounds = Bounds { start_ms: time_ms, end_ms: time_ms, step_ms: 0, is_range: false };
        let grid = Grid { start_ms: time_ms, step_ms: 1, count: 1 };
        let context = Context::new(source, expr, (bounds, grid), &self.config, &self.clock, options);
        let value = if expr.value_type() == ValueType::Matrix {
            Value::Matrix(range::raw_matrix(&context, expr, grid)?)
        } else {
            instant_value(eval::eval(&context, expr, grid)?, time_ms)?
        };
        Ok(context.finish(value))
    }

    /// Evaluates at `start_ms`, `start_ms + step_ms`, … up to and with `end_ms`. Blocks.
    ///
    /// # Errors
    /// [`QueryError`]; [`QueryError::BadRequest`] when the steps make no sense or are too many.
    pub fn range(
        &self,
        source: &dyn MetricSource,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<QueryResult, QueryError> {
        self.range_with(source, expr, (start_ms, end_ms, step_ms), &QueryOptions::default())
    }

    /// As [`range`](Self::range), with options; `steps` is `(start_ms, end_ms, step_ms)`.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn range_with(
        &self,
        source: &dyn MetricSource,
        expr: &Expr,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let grid = self.range_grid(start_ms, end_ms, step_ms)?;
        if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::BadRequest(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                expr.value_type().describe()
            )));
        }
        let bounds = Bounds { start_ms, end_ms, step_ms, is_range: true };
        let context = Context::new(source, expr, (bounds, grid), &self.config, &self.clock, options);
        let value = range_value(eval::eval(&context, expr, grid)?, grid)?;
        Ok(context.finish(value))
    }

    fn range_grid(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Grid, QueryError> {
        if step_ms <= 0 {
            let message =
                format!("zero or negative query resolution step widths are not accepted: {step_ms} ms");
            return Err(QueryError::BadRequest(message));
        }
        if end_ms < start_ms {
            let message = format!("end timestamp {end_ms} must not be before start time {start_ms}");
            return Err(QueryError::BadRequest(message));
        }
        let steps = end_ms.checked_sub(start_ms).map_or(u64::MAX, |span| (span / step_ms).unsigned_abs());
        let points_max = self.config.points_max;
        if steps > points_max {
            return Err(QueryError::BadRequest(format!(
                "exceeded maximum resolution of {points_max} points per timeseries: the query has {steps} steps, \
                 use a larger step"
            )));
        }
        Ok(Grid { start_ms, step_ms, count: usize::try_from(steps).unwrap_or(usize::MAX) + 1 })
    }
}

fn instant_value(evaluated: Evaluated, ts_ms: i64) -> Result<Value, QueryError> {
    Ok(match evaluated {
        Evaluated::Scalar(values) => Value::Scalar { ts_ms, value: values[0] },
        Evaluated::String(bytes) => {
            Value::String { ts_ms, value: String::from_utf8_lossy(&bytes).into_owned() }
        }
        Evaluated::Vector(columns) => Value::Vector(
            column::remove_dropped_names(columns)?
                .into_iter()
                .filter_map(|column| {
                    let value = column.sample(0)?;
                    Some(VectorSample { labels: column.labels, ts_ms, value })
                })
                .collect(),
        ),
    })
}

fn range_value(evaluated: Evaluated, grid: Grid) -> Result<Value, QueryError> {
    let mut columns = match evaluated {
        Evaluated::Scalar(values) => vec![Column::floats(LabelSet::empty(), false, values)],
        Evaluated::Vector(columns) => column::remove_dropped_names(columns)?,
        Evaluated::String(_) => Vec::new(),
    };
    columns.sort_by(|left, right| left.labels.cmp(&right.labels));
    Ok(Value::Matrix(columns.into_iter().filter_map(|column| matrix_series(column, grid)).collect()))
}

fn matrix_series(column: Column, grid: Grid) -> Option<MatrixSeries> {
    let mut series = MatrixSeries::new(column.labels);
    for (step, value) in column.values.into_iter().enumerate() {
        if !is_absent(value) {
            series.ts_ms.push(grid.time_ms(step));
            series.values.push(value);
        }
    }
    for (step, histogram) in column.histograms.into_iter().enumerate() {
        series.histograms.extend(histogram.map(|histogram| (grid.time_ms(step), histogram)));
    }
    (!series.is_empty()).then_some(series)
}
