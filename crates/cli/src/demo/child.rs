//! Child processes that do not outlive this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};

/// How long a child may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long a child may take to end after its standard input closed.
const END_WITHIN: Duration = Duration::from_secs(8);
/// Lines of a dead child's log that are shown.
const LOG_LINES: usize = 8;

/// A running child. Its standard input is a pipe we hold: closing it, by dropping or dying, tells the child to end.
pub(crate) struct Child {
    pub(crate) name: &'static str,
    process: Process,
    /// Our end of the pipe. Held apart, because waiting for a process closes the one it still has.
    pipe: Option<ChildStdin>,
    log: PathBuf,
}

impl Child {
    /// Starts this very program with `arguments` and waits for its first line of output, a JSON object.
    pub(crate) async fn start(
        name: &'static str,
        arguments: &[String],
        log_dir: &Path,
    ) -> anyhow::Result<(Self, Value)> {
        let log = log_dir.join(format!("{name}.log"));
        let log_file =
            std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = process.stdout.take();
        let pipe = process.stdin.take();
        let mut child = Self { name, process, pipe, log };
        let Some(stdout) = stdout else { bail!("{name} has no standard output") };
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(READY_WITHIN, lines.next_line()).await;
        let first = first.with_context(|| {
            format!("{name} was not ready within {} s{}", READY_WITHIN.as_secs(), child.log_tail())
        })?;
        let Some(first) = first.with_context(|| format!("cannot read what {name} says"))? else {
            return Err(child.death().await);
        };
        let ready = serde_json::from_str(&first)
            .with_context(|| format!("{name} said {first:?} instead of its address"))?;
        // Keep reading, so that the child never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((child, ready))
    }

    /// Resolves when the process has ended, with why that is a problem.
    pub(crate) async fn death(&mut self) -> anyhow::Error {
        let how = match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::anyhow!("{} ended ({how}), so the demo can't go on{}", self.name, self.log_tail())
    }

    /// Closes the pipe and waits for the end; kills after a while.
    pub(crate) async fn stop(mut self) {
        drop(self.pipe.take());
        if tokio::time::timeout(END_WITHIN, self.process.wait()).await.is_err() {
            tracing::warn!(child = self.name, "did not end in time and is killed");
            if let Err(error) = self.process.kill().await {
                tracing::warn!(child = self.name, %error, "cannot be killed");
            }
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        if tail.is_empty() { String::new() } else { format!("; it said:\n    {}", tail.join("\n    ")) }
    }
}
