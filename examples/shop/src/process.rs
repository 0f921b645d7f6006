//! A member of the shop as a process: settings, the line that says "ready", and the end.

use std::io::{Read, Write};

use eino::{App, FileRegistry, RegistryConfig};
use serde::Serialize;
use tokio::sync::{oneshot, watch};

use crate::args::{LoadArgs, ServiceArgs};
use crate::load::{LoadConfig, run_load};

/// The settings that all services share.
pub(crate) fn configured(app: App, args: &ServiceArgs) -> App {
    app.listen(args.listen.as_str()).otlp(args.otlp.as_str()).registry(&args.registry)
}

/// Runs a service until it is told to stop.
pub(crate) async fn serve<S>(app: App<S>, args: &ServiceArgs) -> anyhow::Result<()>
where
    S: Clone + Send + Sync + 'static,
{
    let service = app.name().to_owned();
    let running = app.start().await?;
    print_line(&serde_json::json!({ "service": service, "addr": running.addr().to_string() }))?;
    running.run_until(told_to_stop(args.die_with_parent)).await?;
    Ok(())
}

/// Runs the load generator until its time is over or it is told to stop, then prints its figures.
pub(crate) async fn load(args: LoadArgs) -> anyhow::Result<()> {
    let config = LoadConfig {
        registry: Some(FileRegistry::open(&args.registry, RegistryConfig::default())?),
        rate_per_s: args.rate,
        in_flight_max: args.in_flight_max,
        seed: args.seed,
        duration: args.duration()?,
        ..LoadConfig::default()
    };
    let (stop, stopped) = watch::channel(false);
    let told = tokio::spawn(async move {
        told_to_stop(args.die_with_parent).await;
        stop.send_replace(true);
    });
    let stats = run_load(config, stopped).await;
    told.abort();
    print_line(&stats)
}

/// Returns at SIGTERM, at Ctrl-C and, if asked to, at the end of standard input.
async fn told_to_stop(at_end_of_input: bool) {
    if !at_end_of_input {
        return eino::stop_signal().await;
    }
    tokio::select! {
        () = eino::stop_signal() => {}
        () = end_of_input() => {}
    }
}

/// The parent holds the other end of standard input, so it ends when the parent does, however that happens.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    // A thread of its own, which nobody joins: a read of standard input can't be called off, and a thread of
    // the runtime that hangs in one would keep the process from exiting.
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        drop(ended);
    });
    drop(end.await);
}

fn print_line(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()?;
    Ok(())
}
