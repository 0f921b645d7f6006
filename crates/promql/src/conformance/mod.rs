//! Runs PromQL test scripts: data in, expressions evaluated, answers compared. For tests and tools only.
//!
//! ```text
//! script ─▶ script::parse ─▶ commands ─▶ clear | load into MemorySource | eval with Engine ─▶ compare ─▶ Outcome
//! ```
//! ```text
//! load 15s
//!   req_total{job="a"} 0+15x8
//! eval instant at 2m rate(req_total[1m])
//!   {job="a"} 1
//! ```
//! - A case passes when its answer, its errors and its annotations are as written.
//! - An instant query is run up to twelve times: as it is, and pinned by `@` at five other times, each also as a range
//!   query whose middle point must be the same answer.

mod classic;
mod compare;
mod parser_cases;
mod pin;
mod run;
mod script;

pub use parser_cases::{ParserCase, ParserReport, run_parser_cases};
pub use run::{CaseResult, FileReport, run_file};
