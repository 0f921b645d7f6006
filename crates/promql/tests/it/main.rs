//! Scripts, the reference's conformance data, limits and properties.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests: a panic is a failure, `skipped` is said"
)]

mod conformance;
mod limits;
mod parser;
mod properties;
mod usage;
