//! Groups alerts and delivers them.
//!
//! ```text
//! rules ─▶ AlertService ─▶ routing tree ─▶ groups ─▶ webhooks (Alertmanager's JSON, version 4)
//!                     └──▶ external Alertmanagers (POST /api/v2/alerts)
//! ```
//! - Routing, grouping and repetition follow Alertmanager: an unchanged alertmanager.yml loads, and what is not built
//!   yet is named in a warning.
//! - What was sent is kept in memory: after a restart a firing group is notified once more, never once less.

mod alert;
mod config;
mod delivery;
mod dispatch;
mod matchers;
mod service;

pub use config::{AlertmanagerConfig, GroupBy, RawAlertmanagerConfig, Receiver, Route, WebhookConfig};
pub use service::{AlertService, AlertingSettings, ExternalAlertmanager};
