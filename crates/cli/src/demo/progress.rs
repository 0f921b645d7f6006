//! Progress on stderr: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::say;

/// Says what is going on.
pub(crate) fn step(text: &str) {
    let (dim, reset) = if std::io::stderr().is_terminal() { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
    say(&format!("{dim}eino demo{reset}  {text}\n"));
}

/// Waits for `length`, showing how much of it is over.
pub(crate) async fn wait(what: &str, length: Duration) {
    if !std::io::stderr().is_terminal() {
        step(&format!("{what} ({})", stdx::format_duration(length)));
        return tokio::time::sleep(length).await;
    }
    let ticks = u64::try_from(length.as_millis() / 100).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(ticks);
    if let Ok(style) = ProgressStyle::with_template("{prefix:.dim}  {msg:<38} {bar:30.cyan} {percent:>3} %") {
        bar.set_style(style);
    }
    bar.set_prefix("eino demo");
    bar.set_message(what.to_owned());
    let mut interval = tokio::time::interval(Duration::from_millis(100));
    interval.tick().await;
    for _ in 0..ticks {
        interval.tick().await;
        bar.inc(1);
    }
    bar.finish();
}
