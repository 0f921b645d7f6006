//! Unit tests of rules, in promtool's file format.
//!
//! ```text
//! file ─▶ UnitTestFile ─ per test ─▶ evaluation times mint, mint + evaluation_interval, … last eval_time
//!                                       │ 1. input samples up to now into the store in memory
//!                                       │ 2. groups in group_eval_order: Group::evaluate at now
//!                                       │ 3. alert_rule_tests whose eval_time is in [now, now + interval)
//!                                       ▼
//!                                    promql_expr_tests ─▶ TestReport { failures: expected and got, line by line }
//! ```
//! - Rules and expressions run on the server's own engine: what passes here is what the server does.
//! - Nothing is read but what is handed in: the caller resolves `rule_files`.
//! - As in promtool, a rule that fails to evaluate ends its test, values are compared exactly (`fuzzy_compare`: or the
//!   neighbouring double), and input series end at the last evaluation time.
//! - Unlike promtool, an expected `NaN` equals `NaN`.

mod compare;
mod file;
mod run;
mod store;

pub use compare::{DiffLine, Failure};
pub use file::UnitTestFile;
pub use run::TestReport;

#[cfg(test)]
mod tests;
