//! `eino completions SHELL`: a script for the shell, and what that script asks while a query is written.
//!
//! ```text
//! eino query 'sum(rate(http_re<TAB>   ─▶ eino complete-query -- 'sum(rate(http_re' ─▶ sum(rate(http_requests_total
//! eino query 'up{jo<TAB>              ─▶ label names                                 ─▶ up{job
//! ```
//! The script of commands and options is clap's; ours puts `complete-query` before it. A server that is not there
//! completes functions only, quickly and without a word.

use std::process::ExitCode;
use std::time::Duration;

use clap_complete::Shell;
use http::Method;
use serde_json::Value;

use crate::client::{Client, ServerUrl};
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  source <(eino completions bash)
  eino completions zsh > ~/.zfunc/_eino
  eino completions fish > ~/.config/fish/completions/eino.fish";

/// Longest wait for the server: somebody waits with a finger on a key.
const PATIENCE: Duration = Duration::from_millis(700);
/// Names that are offered.
const OFFERED_MAX: usize = 200;

/// Prints a script for your shell that completes commands, metric names and labels.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Completes a query.
#[derive(clap::Args)]
pub(crate) struct CompleteQueryArguments {
    #[command(flatten)]
    server: ServerUrl,
    /// The query so far
    #[arg(allow_hyphen_values = true)]
    query: String,
}

/// Completion of `eino query` first, of all else by clap's function.
const BASH: &str = r#"
_eino_query() {
    local word="${COMP_WORDS[COMP_CWORD]}"
    if [[ "${COMP_WORDS[1]}" == query && "$word" != -* ]]; then
        local IFS=$'\n'
        COMPREPLY=($(eino complete-query -- "${word#[\"\']}" 2>/dev/null))
        if [[ ${#COMPREPLY[@]} -gt 0 ]]; then compopt -o nospace 2>/dev/null; return 0; fi
    fi
    _eino "$@"
}
complete -F _eino_query -o bashdefault -o default eino
"#;

const ZSH: &str = r#"
_eino_query() {
    if [[ "${words[2]}" == query && "${words[CURRENT]}" != -* ]]; then
        local -a found
        found=(${(f)"$(eino complete-query -- "${words[CURRENT]#[\"\']}" 2>/dev/null)"})
        if (( ${#found} )); then compadd -U -S '' -- "${found[@]}"; return; fi
    fi
    _eino "$@"
}
compdef _eino_query eino
"#;

const FISH: &str = r#"
complete -c eino -n "__fish_seen_subcommand_from query" -f -a "(eino complete-query -- (commandline -ct | string trim -l -c '\"\'') 2>/dev/null)"
"#;

pub(crate) fn run(arguments: &CompletionsArguments, command: &mut clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "eino", &mut script);
    let mut script = String::from_utf8(script)?;
    script += match arguments.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    };
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn complete_query(arguments: CompleteQueryArguments) -> anyhow::Result<ExitCode> {
    let (before, place) = Place::of(&arguments.query);
    let client = Client::new(&arguments.server.url);
    let names = match &place {
        Place::Label(_) => ask(&client, "/api/v1/labels", &[]).await,
        Place::Name(_) => ask(&client, "/api/v1/label/__name__/values", &[]).await,
        Place::Value { label, .. } => ask(&client, &format!("/api/v1/label/{label}/values"), &[]).await,
    };
    let lines: Vec<String> =
        place.candidates(names).into_iter().map(|name| format!("{before}{name}")).collect();
    if !lines.is_empty() {
        print(&lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(client: &Client, path: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let Ok(Ok((status, body))) = tokio::time::timeout(PATIENCE, client.send(Method::GET, path, pairs)).await
    else {
        return Vec::new();
    };
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let names = answer["data"].as_array().filter(|_| status.is_success()).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// What is being written at the end of a query.
#[derive(Debug, PartialEq)]
enum Place<'q> {
    /// A metric or a function.
    Name(&'q str),
    /// A label in a selector or a grouping.
    Label(&'q str),
    /// The value of a label, after its quote.
    Value { label: &'q str, start: &'q str },
}

impl<'q> Place<'q> {
    /// What stands before the word, and the word.
    fn of(query: &'q str) -> (&'q str, Self) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let open = query.rfind('{').filter(|open| !query[*open..].contains('}'));
        if let Some(open) = open {
            let inside = &query[open + 1..];
            if inside.matches('"').count() % 2 == 1 {
                let quote = query.rfind('"').unwrap_or(open);
                let label = query[open + 1..quote].rsplit(',').next().unwrap_or_default();
                let label = label.trim().trim_end_matches(['=', '!', '~']).trim();
                return (&query[..=quote], Self::Value { label, start: &query[quote + 1..] });
            }
        }
        let at = query.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
        let (before, word) = query.split_at(at);
        let grouping = ["by (", "by(", "without (", "without(", "on (", "on(", "ignoring (", "ignoring("];
        let in_grouping = before.rfind('(').is_some_and(|open| {
            let begins = grouping.iter().any(|words| before[..=open].ends_with(words));
            begins && !before[open..].contains(')')
        });
        (before, if open.is_some() || in_grouping { Self::Label(word) } else { Self::Name(word) })
    }

    fn candidates(&self, known: Vec<String>) -> Vec<String> {
        let (start, functions) = match self {
            Self::Name(start) => (start, true),
            Self::Label(start) | Self::Value { start, .. } => (start, false),
        };
        let mut names: Vec<String> = known.into_iter().filter(|name| name.starts_with(start)).collect();
        // Functions only when something of them is written: there are a hundred.
        if functions && !start.is_empty() {
            let functions = promql::functions().iter().filter(|function| function.name.starts_with(start));
            names.extend(functions.map(|function| format!("{}(", function.name)));
        }
        names.truncate(OFFERED_MAX);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (query, before, place) in [
            ("", "", Place::Name("")),
            ("sum(rate(http_re", "sum(rate(", Place::Name("http_re")),
            ("up{jo", "up{", Place::Label("jo")),
            ("up{job=\"a\", in", "up{job=\"a\", ", Place::Label("in")),
            ("up{job=\"a\"} + u", "up{job=\"a\"} + ", Place::Name("u")),
            ("up{job=~\"ap", "up{job=~\"", Place::Value { label: "job", start: "ap" }),
            ("sum by (job, in", "sum by (job, ", Place::Label("in")),
            ("sum by (job) (u", "sum by (job) (", Place::Name("u")),
        ] {
            assert_eq!(Place::of(query), (before, place), "{query}");
        }
    }

    #[test]
    fn functions_are_offered_beside_metrics() {
        let known = vec!["rate_limit".to_owned(), "up".to_owned()];
        assert_eq!(Place::Name("rat").candidates(known), ["rate_limit", "rate("]);
        assert!(Place::Name("").candidates(Vec::new()).is_empty());
    }
}
