//! The store from outside.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod conformance;
mod crash;
mod damage;
mod data;
mod golden;
mod lifecycle;
mod limits;
mod oracle;
