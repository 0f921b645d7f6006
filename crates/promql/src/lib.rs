//! PromQL: text to tree ([`parse`]), tree to values ([`Engine`]).
//!
//! ```text
//! text ─▶ lexer ─▶ parser ─▶ Expr (every node knows its place in the text)
//!                             │
//!        MetricSource ─▶ Engine: one column of values per series over all steps, absent = stale marker
//!                             │
//!                        QueryResult { value, warnings, infos, stats, plan }
//! ```
//! - The engine never sees a store, a socket or the wall clock: it asks a [`model::MetricSource`] and a handed-in
//!   [`clock::Clock`] (for the timeout only).
//! - A metric's name is removed at the very end: until then a series carries a flag, so that `label_replace` and
//!   `by (__name__)` still see it.
//! - All cases of Prometheus 3.14's own suite pass: `docs/promql-conformance.md` says how they are run.

mod ast;
mod engine;
mod error;
mod functions;
mod memory;
mod parser;
mod pretty;
mod printer;
pub mod series;
mod tree;
mod usage;
mod value;

#[doc(hidden)]
pub mod conformance;

pub use ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr, ExprKind, Extension,
    Selector, Span, Subquery, TimeShift, ValueType, VectorMatching,
};
pub use engine::{Engine, EngineConfig, QueryOptions, QueryResult};
pub use error::{ParseError, QueryError, QueryErrorKind};
pub use functions::{Arity, Signature, function, functions};
pub use memory::MemorySource;
pub use parser::{Syntax, parse, parse_bytes, parse_selector, parse_with};
pub use pretty::{PRETTY_WIDTH, pretty};
pub use tree::tree_json;
pub use usage::{Plan, QueryStats};
pub use value::{MatrixSeries, SampleValue, Value, VectorSample};

/// A sample value as the HTTP API and `count_values` write it: shortest decimal form, `NaN`, `+Inf`, `-Inf`.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// A number as messages write it: as [`format_value`], but from 10⁶ and below 10⁻⁴ with an exponent (Go's `%g`).
pub(crate) fn format_value_short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-4..1e6).contains(&value.abs()) {
        return format_value(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
