//! What people see: logs and errors on stderr, answers on stdout.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use analysis::{Lang, Style};
use tracing_subscriber::EnvFilter;

/// Format of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and words for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// Exit status of "could not be done".
pub(crate) const EXIT_IMPOSSIBLE: u8 = 2;

/// Logs go to stderr; `EINO_LOG` sets the level (`info` by default), as `warn` or `info,tsdb=debug`.
pub(crate) fn start_logging() {
    let filter =
        EnvFilter::builder().with_env_var("EINO_LOG").with_default_directive(tracing::Level::INFO.into());
    let filter = filter.from_env_lossy();
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}

/// Prints an error with its causes.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let colour = std::io::stderr().is_terminal();
    let (red, reset) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let mut text = format!("{red}error:{reset} {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  because: {cause}\n"));
    }
    say(&text);
    ExitCode::from(EXIT_IMPOSSIBLE)
}

/// Writes to stderr. A closed stderr is nobody's problem.
pub(crate) fn say(text: &str) {
    let _closed = std::io::stderr().write_all(text.as_bytes()).is_err();
}

/// Writes an answer to stdout.
///
/// # Errors
/// When stdout is closed before everything is written.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// Language of what people read: Chinese where the environment asks for it.
pub(crate) fn lang() -> Lang {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is an edge: POSIX locale variables, the first set counts"
    )]
    let tag = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.is_empty()).then_some(value)
    });
    tag.and_then(|tag| Lang::from_tag(&tag)).unwrap_or_default()
}

/// How reports are drawn here.
pub(crate) fn report_style() -> Style {
    Style { color: colour(), lang: lang(), ..Style::default() }
}

/// Value of the API's parameter `lang` for an answer in `format`: JSON is the same everywhere.
pub(crate) fn lang_parameter(format: Format) -> &'static str {
    match (format, lang()) {
        (Format::Text, Lang::Zh) => "zh",
        _ => "en",
    }
}

/// Whether stdout can show colour.
pub(crate) fn colour() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the binary is an edge: https://no-color.org")]
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !no_color
}
