//! `eino tsdb snapshot`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, ServerUrl};
use crate::output::{Format, print};

const EXAMPLES: &str = "\
The copy is made on the server's machine, in snapshots/NAME under its data directory. It shares its
blocks with the store, so that it takes no time and at first no space. It is a data directory of its
own: `eino server --data data/snapshots/NAME` starts on it.
The server must have been started with --web.enable-admin-api.

Examples:
  eino tsdb snapshot
  eino tsdb snapshot --skip-head -o json";

/// Asks a server for a consistent copy of its metrics.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SnapshotArguments {
    #[command(flatten)]
    server: ServerUrl,
    /// Leave out the newest samples, which are not in blocks yet
    #[arg(long)]
    skip_head: bool,
}

pub(super) async fn run(arguments: SnapshotArguments, format: Format) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.server.url);
    let skip_head = if arguments.skip_head { "true" } else { "false" };
    let pairs = [("skip_head", skip_head)];
    let (status, body) = client.send(Method::POST, "/api/v1/admin/tsdb/snapshot", &pairs).await?;
    let answer: Value = serde_json::from_slice(&body)
        .with_context(|| format!("the server answered {status}, and not with JSON"))?;
    if !status.is_success() {
        bail!("the server answered {status}: {}", answer["error"].as_str().unwrap_or_default());
    }
    let name = answer["data"]["name"].as_str().context("the server did not name the snapshot")?;
    print(&match format {
        Format::Json => json!({"name": name}).to_string(),
        Format::Text => format!("snapshots/{name} under the server's data directory"),
    })?;
    Ok(ExitCode::SUCCESS)
}
