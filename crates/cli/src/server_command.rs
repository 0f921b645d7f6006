//! `eino server`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use server::{CorsOrigin, Features, Listen, Server, ServerOptions, WebSettings};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{Format, print};

const EXAMPLES: &str = "\
Examples:
  eino server                                     everything on loopback, data in ./data
  eino server --config prometheus.yml             scrape what Prometheus scraped
  eino server --listen 0.0.0.0:9090 --data /var/lib/eino
  eino server --listen 127.0.0.1:0 -o json        any free port; the addresses as one JSON line";

/// How long a stop may take before what still runs is left behind.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// Receives, stores, queries, analyses and shows metrics and traces.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServerArguments {
    /// An eino.yaml or an unchanged prometheus.yml; all defaults without it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for everything that is stored; created when absent
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// UI and all HTTP APIs; port 0 = any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090")]
    listen: String,
    /// OTLP over gRPC, or `off`
    #[arg(long, value_name = "HOST:PORT|off", default_value = "127.0.0.1:4317")]
    otlp_grpc: Listen,
    /// OTLP over HTTP, or `off` (it is also served on --listen)
    #[arg(long, value_name = "HOST:PORT|off", default_value = "127.0.0.1:4318")]
    otlp_http: Listen,
    /// What this process does; `all` is everything in one process
    #[arg(long, value_name = "ROLE", default_value = "all", value_parser = ["all"])]
    role: String,
    /// Let POST /-/reload load the configuration again and POST /-/quit stop the server
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// Let /api/v1/admin/tsdb/* delete series and make snapshots
    #[arg(long = "web.enable-admin-api")]
    enable_admin_api: bool,
    /// Origins whose pages may read answers of /api/v1: a regular expression that matches all of the origin
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*", value_parser = CorsOrigin::parse)]
    cors_origin: CorsOrigin,
    /// Switch experimental PromQL on, by Prometheus's names: promql-experimental-functions, promql-extended-range-selectors,
    /// promql-binop-fill-modifiers, use-start-timestamps
    #[arg(long = "enable-feature", value_name = "NAME,…", value_delimiter = ',')]
    enable_feature: Vec<String>,
    /// Stop when standard input closes: for a parent that must leave no orphan
    #[arg(long, hide = true)]
    die_with_parent: bool,
    /// How the bound addresses are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(arguments: ServerArguments) -> anyhow::Result<ExitCode> {
    let options = options(&arguments)?;
    // Signals are caught before the start, so that an early one is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot catch SIGHUP")?;
    let server = Server::start(options, Clock::system()).await?;
    print(&addresses(&server, arguments.output))?;
    let parent_gone = parent_gone(arguments.die_with_parent);
    let reload_on_hangup = async {
        while hangup.recv().await.is_some() {
            // What went wrong is in the log and at /api/v1/notifications.
            let _told = server.reload().await.is_err();
        }
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("interrupt: stopping"),
        () = server.quit_asked() => tracing::info!("asked over HTTP: stopping"),
        () = parent_gone => tracing::info!("the parent is gone: stopping"),
        () = reload_on_hangup => tracing::info!("no signals any more: stopping"),
    }
    if tokio::time::timeout(STOP_WITHIN, server.stop()).await.is_err() {
        tracing::warn!("the stop took longer than {} s; what is logged is safe", STOP_WITHIN.as_secs());
    }
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &ServerArguments) -> anyhow::Result<ServerOptions> {
    let listen: Listen =
        arguments.listen.parse().map_err(|why: String| anyhow::anyhow!("--listen: {why}"))?;
    let Listen::At(listen) = listen else { anyhow::bail!("--listen: the main port can't be off") };
    let switch = |is_on: bool| is_on.to_string();
    let flags = vec![
        ("storage.tsdb.path", arguments.data.display().to_string()),
        ("web.listen-address", listen.to_string()),
        (
            "config.file",
            arguments.config.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
        ),
        ("enable-feature", arguments.enable_feature.join(",")),
        ("web.enable-lifecycle", switch(arguments.enable_lifecycle)),
        ("web.enable-admin-api", switch(arguments.enable_admin_api)),
    ];
    let seed = Clock::system().unix_ns() ^ u64::from(std::process::id());
    Ok(ServerOptions {
        config: arguments.config.clone(),
        data: arguments.data.clone(),
        listen,
        otlp_grpc: arguments.otlp_grpc,
        otlp_http: arguments.otlp_http,
        seed,
        web: WebSettings {
            lifecycle: arguments.enable_lifecycle,
            admin_api: arguments.enable_admin_api,
            cors_origin: arguments.cors_origin.clone(),
        },
        features: Features::from_names(arguments.enable_feature.iter().map(String::as_str)),
        flags,
    })
}

fn addresses(server: &Server, format: Format) -> String {
    let listeners = server.listeners();
    match format {
        Format::Json => {
            let pairs: serde_json::Map<String, serde_json::Value> = listeners
                .iter()
                .map(|(name, address)| ((*name).to_owned(), address.to_string().into()))
                .collect();
            serde_json::json!({"listeners": pairs}).to_string()
        }
        Format::Text => {
            let line = |(name, address): &(&str, SocketAddr)| match *name {
                "http" => format!("UI and APIs   http://{address}\n"),
                "otlp_grpc" => format!("OTLP/gRPC     {address}\n"),
                "otlp_http" => format!("OTLP/HTTP     http://{address}\n"),
                other => format!("{other}   {address}\n"),
            };
            listeners.iter().map(line).collect()
        }
    }
}

/// Resolves when standard input ends, if that is wanted.
async fn parent_gone(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let (gone, wait) = tokio::sync::oneshot::channel();
    let watch = move || {
        let mut sink = std::io::sink();
        let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut sink).is_err();
        // The receiver is gone only when the process ends anyway.
        let _unheard = gone.send(()).is_err();
    };
    if std::thread::Builder::new().name("parent-watch".into()).spawn(watch).is_err() {
        return std::future::pending().await;
    }
    let _closed = wait.await.is_err();
}
