//! Puts the parts together: opens the stores, starts the workers and the listeners, and stops them in order.
//!
//! ```text
//! start:  ports (503) → lock data dir → stores (replay) → maintenance, remote, analysis → scrape, rules, alerts → APIs
//! stop:   listeners drain → scrape, rules, alerts → analysis writes its last figures → remote write → stores → unlock
//! ```
//! - This crate and `cli` are the only ones that read files of settings, arguments and the environment.
//! - Everything spawned here is joined in [`Server::stop`].

pub mod config;

mod analysis_worker;
mod control;
mod data_dir;
mod front;
mod http;
mod maintenance;
mod options;
mod parts;
mod store_admin;
mod stores;

pub use data_dir::{DataDir, DataDirError};
pub use http_api::{CorsOrigin, WebSettings};
pub use options::{Features, Listen, ServerOptions};
pub use parts::{Server, StartError};
