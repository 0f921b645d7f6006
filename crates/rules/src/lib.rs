//! Recording and alerting rules over PromQL.
//!
//! ```text
//! rule file ─▶ RuleFile ─▶ RuleManager ─ each interval ─▶ Group::evaluate ─▶ MetricSink (recorded series, ALERTS)
//!                                                                   └─────▶ AlertSink (what fires, what is resolved)
//! ```
//! - Rules of a group run in order, groups independently of each other.
//! - Alert states, their restore after a restart, templates and JSON follow Prometheus.
//! - It asks a [`model::MetricSource`] through [`promql::Engine`]; it never reads a file or the wall clock.

mod alerting;
mod config;
mod group;
mod humanize;
mod lint;
mod manager;
mod metrics;
mod status;
mod template;
pub mod unit_test;

pub use alerting::AlertEvent;
pub use config::{GroupConfig, RuleConfig, RuleFile, RuleKind};
pub use group::{Group, RuleSettings, RuleStores};
pub use manager::{AlertSink, RuleManager};
pub use metrics::Metrics;
pub use status::{
    AlertState, AlertStatus, AlertingRuleStatus, GroupStatus, RecordingRuleStatus, RuleHealth, RuleStatus,
    RulesView, format_rfc3339,
};
pub use template::{Template, TemplateGlobals};
