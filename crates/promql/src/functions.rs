//! The table of functions: what they are called, take and return.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};
use crate::engine::{calendar, math};

/// One function.
#[derive(Debug)]
pub struct Signature {
    pub name: &'static str,
    pub arguments: &'static [ValueType],
    pub arity: Arity,
    pub returns: ValueType,
    /// Behind a feature flag in Prometheus.
    pub experimental: bool,
    pub(crate) kind: Kind,
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// All.
    Exact,
    /// All, or without the last.
    LastOptional,
    /// The last may be repeated up to this often, or left out.
    LastUpTo(usize),
    /// The last may be repeated, or left out.
    LastRepeated,
}

/// What a function does: the evaluator's dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Map(fn(f64) -> f64),
    Clamp,
    ClampMin,
    ClampMax,
    Round,
    Window(Window),
    Absent,
    AbsentOverTime,
    ToScalar,
    ToVector,
    Constant(f64),
    Time,
    Timestamp,
    Sort {
        descending: bool,
    },
    SortByLabel {
        descending: bool,
    },
    Calendar(fn(i64) -> f64),
    LabelReplace,
    LabelJoin,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
    /// Reads native histograms only; floats are left out.
    HistogramStatistic(Statistic),
    Info,
    StartTimestamp,
    QueryStart,
    QueryEnd,
    QueryStep,
    QueryRange,
    MinOf,
    MaxOf,
}

/// What is read off a native histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statistic {
    Count,
    Sum,
    Average,
    Variance,
    Deviation,
}

/// Functions of the samples in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Changes,
    Resets,
    Deriv,
    PredictLinear,
    Smoothing,
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Last,
    First,
    Present,
    Stddev,
    Stdvar,
    Quantile,
    Mad,
    TsOfFirst,
    TsOfLast,
    TsOfMin,
    TsOfMax,
}

/// Looks a function up. Names are case-sensitive, but for those that are keywords.
pub fn function(name: &str) -> Option<&'static Signature> {
    let keyword = ["start", "end", "step", "range", "min_of", "max_of"];
    FUNCTIONS.iter().find(|signature| {
        signature.name == name
            || (keyword.contains(&signature.name) && signature.name.eq_ignore_ascii_case(name))
    })
}

/// All functions, as the API's feature list and editors want them.
pub fn functions() -> &'static [Signature] {
    FUNCTIONS
}

const fn exact(name: &'static str, arguments: &'static [ValueType], kind: Kind) -> Signature {
    Signature { name, arguments, arity: Arity::Exact, returns: Vector, experimental: false, kind }
}

const fn map(name: &'static str, function: fn(f64) -> f64) -> Signature {
    exact(name, &[Vector], Kind::Map(function))
}

const fn window(name: &'static str, window: Window) -> Signature {
    exact(name, &[Matrix], Kind::Window(window))
}

const fn calendar(name: &'static str, function: fn(i64) -> f64) -> Signature {
    exact(name, &[Vector], Kind::Calendar(function)).arity(Arity::LastOptional)
}

const fn scalar(name: &'static str, arguments: &'static [ValueType], kind: Kind) -> Signature {
    Signature { returns: Scalar, ..exact(name, arguments, kind) }
}

const fn experimental(signature: Signature) -> Signature {
    Signature { experimental: true, ..signature }
}

impl Signature {
    const fn arity(self, arity: Arity) -> Self {
        Self { arity, ..self }
    }
}

static FUNCTIONS: &[Signature] = &[
    // One value at a time.
    map("abs", f64::abs),
    map("ceil", f64::ceil),
    map("floor", f64::floor),
    map("exp", f64::exp),
    map("sqrt", f64::sqrt),
    map("ln", f64::ln),
    map("log2", f64::log2),
    map("log10", f64::log10),
    map("sgn", math::sgn),
    map("acos", f64::acos),
    map("acosh", f64::acosh),
    map("asin", f64::asin),
    map("asinh", f64::asinh),
    map("atan", f64::atan),
    map("atanh", f64::atanh),
    map("cos", f64::cos),
    map("cosh", f64::cosh),
    map("sin", f64::sin),
    map("sinh", f64::sinh),
    map("tan", f64::tan),
    map("tanh", f64::tanh),
    map("deg", math::deg),
    map("rad", math::rad),
    exact("clamp", &[Vector, Scalar, Scalar], Kind::Clamp),
    exact("clamp_min", &[Vector, Scalar], Kind::ClampMin),
    exact("clamp_max", &[Vector, Scalar], Kind::ClampMax),
    exact("round", &[Vector, Scalar], Kind::Round).arity(Arity::LastOptional),
    // Over a range.
    window("rate", Window::Rate),
    window("increase", Window::Increase),
    window("delta", Window::Delta),
    window("irate", Window::Irate),
    window("idelta", Window::Idelta),
    window("changes", Window::Changes),
    window("resets", Window::Resets),
    window("deriv", Window::Deriv),
    exact("predict_linear", &[Matrix, Scalar], Kind::Window(Window::PredictLinear)),
    window("sum_over_time", Window::Sum),
    window("avg_over_time", Window::Avg),
    window("min_over_time", Window::Min),
    window("max_over_time", Window::Max),
    window("count_over_time", Window::Count),
    window("last_over_time", Window::Last),
    window("first_over_time", Window::First),
    window("present_over_time", Window::Present),
    window("stddev_over_time", Window::Stddev),
    window("stdvar_over_time", Window::Stdvar),
    exact("quantile_over_time", &[Scalar, Matrix], Kind::Window(Window::Quantile)),
    exact("absent_over_time", &[Matrix], Kind::AbsentOverTime),
    experimental(window("mad_over_time", Window::Mad)),
    experimental(window("ts_of_first_over_time", Window::TsOfFirst)),
    experimental(window("ts_of_last_over_time", Window::TsOfLast)),
    experimental(window("ts_of_min_over_time", Window::TsOfMin)),
    experimental(window("ts_of_max_over_time", Window::TsOfMax)),
    experimental(exact(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Kind::Window(Window::Smoothing),
    )),
    // Between types.
    exact("absent", &[Vector], Kind::Absent),
    exact("vector", &[Scalar], Kind::ToVector),
    scalar("scalar", &[Vector], Kind::ToScalar),
    // Time.
    scalar("pi", &[], Kind::Constant(std::f64::consts::PI)),
    scalar("time", &[], Kind::Time),
    exact("timestamp", &[Vector], Kind::Timestamp),
    calendar("minute", calendar::minute),
    calendar("hour", calendar::hour),
    calendar("day_of_week", calendar::day_of_week),
    calendar("day_of_month", calendar::day_of_month),
    calendar("day_of_year", calendar::day_of_year),
    calendar("days_in_month", calendar::days_in_month),
    calendar("month", calendar::month),
    calendar("year", calendar::year),
    experimental(scalar("start", &[], Kind::QueryStart)),
    experimental(scalar("end", &[], Kind::QueryEnd)),
    experimental(scalar("step", &[], Kind::QueryStep)),
    experimental(scalar("range", &[], Kind::QueryRange)),
    experimental(scalar("min_of", &[Scalar, Scalar], Kind::MinOf)),
    experimental(scalar("max_of", &[Scalar, Scalar], Kind::MaxOf)),
    // Order and labels.
    exact("sort", &[Vector], Kind::Sort { descending: false }),
    exact("sort_desc", &[Vector], Kind::Sort { descending: true }),
    experimental(
        exact("sort_by_label", &[Vector, String], Kind::SortByLabel { descending: false })
            .arity(Arity::LastRepeated),
    ),
    experimental(
        exact("sort_by_label_desc", &[Vector, String], Kind::SortByLabel { descending: true })
            .arity(Arity::LastRepeated),
    ),
    exact("label_replace", &[Vector, String, String, String, String], Kind::LabelReplace),
    exact("label_join", &[Vector, String, String, String], Kind::LabelJoin).arity(Arity::LastRepeated),
    // Histograms.
    exact("histogram_quantile", &[Scalar, Vector], Kind::HistogramQuantile),
    experimental(
        exact("histogram_quantiles", &[Vector, String, Scalar, Scalar], Kind::HistogramQuantiles)
            .arity(Arity::LastUpTo(9)),
    ),
    exact("histogram_fraction", &[Scalar, Scalar, Vector], Kind::HistogramFraction),
    exact("histogram_avg", &[Vector], Kind::HistogramStatistic(Statistic::Average)),
    exact("histogram_count", &[Vector], Kind::HistogramStatistic(Statistic::Count)),
    exact("histogram_sum", &[Vector], Kind::HistogramStatistic(Statistic::Sum)),
    exact("histogram_stddev", &[Vector], Kind::HistogramStatistic(Statistic::Deviation)),
    exact("histogram_stdvar", &[Vector], Kind::HistogramStatistic(Statistic::Variance)),
    experimental(exact("info", &[Vector, Vector], Kind::Info).arity(Arity::LastOptional)),
    experimental(exact("start_timestamp", &[Vector], Kind::StartTimestamp)),
];
