//! Reads traces and says where the time goes: critical path, calls between services, the bottleneck and its cause.
//!
//! ```text
//!                        ┌─ as they arrive ──▶ StreamAnalysis ──▶ RED, edges, path seconds (as metrics)
//!  spans ─▶ Trace ───────┤                        └ Assembler: when is a trace complete?
//!           (a forest)   └─ a stored window ─▶ report · compare · services · service_graph ─▶ JSON, text
//! ```
//! - The critical path of a root partitions its duration exactly, so everything added up from it adds up.
//! - Answers do not depend on the order in which spans arrive.
//! - Walks use explicit stacks: a trace may be as deep as it has spans.
//! - What is read off a span's name or attributes follows OpenTelemetry's conventions and the words people use;
//!   nothing here knows any particular application.
//! - It knows no clock, disk or network. Times are handed in.

mod assembler;
mod calls;
mod class;
mod compare;
mod entries;
mod histogram;
mod lang;
mod operation;
mod path;
mod path_json;
mod quantile;
mod replay;
mod report;
mod stream;
mod text;
mod trace;

#[cfg(test)]
mod testing;

pub use assembler::{Assembler, AssemblerConfig, CloseReason, ClosedTrace};
pub use calls::{Call, CallKind, calls};
pub use class::Class;
pub use compare::{Compare, Contribution, EntryChange, PhaseSummary, compare};
pub use histogram::ExpHistogram;
pub use lang::Lang;
pub use path::{Overflow, PathOptions, RootPath, Section, critical_path, critical_path_with};
pub use path_json::{CriticalPathJson, RootPathJson, SectionJson, critical_path_json};
pub use replay::{Scale, replay};
pub use report::{
    Bottleneck, Cause, CauseKind, EntryPoint, GraphEdge, GraphNode, NodeKind, Report, ReportOptions,
    SavingReference, ServiceGraph, ServiceRow, Services, Vote, Window, report, service_graph, services,
};
pub use stream::{StreamAnalysis, StreamConfig};
pub use text::{Style, render_compare, render_text};
pub use trace::Trace;
