//! `eino check config FILE…`, `eino check rules FILE…`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use rules::RuleFile;

use crate::output::{EXIT_IMPOSSIBLE, Format, print};

const EXAMPLES: &str = "\
Examples:
  eino check config eino.yaml                also checks the rule files that it names
  eino check rules --lint rules/*.yml        duplicate rules and keys without effect fail too";

/// Checks configuration and rule files without starting anything.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArguments {
    #[command(subcommand)]
    what: What,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
    /// Warnings are failures, too: what is legal and probably a mistake
    #[arg(long, global = true)]
    lint: bool,
}

#[derive(Subcommand)]
enum What {
    /// Configuration files: eino.yaml or prometheus.yml, with all files that they name
    #[command(after_help = EXAMPLES)]
    Config {
        /// Configuration files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Rule files: syntax, expressions, templates, duplicates
    #[command(after_help = EXAMPLES)]
    Rules {
        /// Rule files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// What became of one file.
#[derive(Default)]
struct Checked {
    file: String,
    error: Option<String>,
    warnings: Vec<String>,
    /// Rules found, where they are counted.
    rules: Option<usize>,
    unreadable: bool,
}

pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let results: Vec<Checked> = match &arguments.what {
        What::Config { files } => files.iter().map(|file| check_config(file)).collect(),
        What::Rules { files } => files.iter().map(|file| check_rules(file)).collect(),
    };
    print(&match arguments.output {
        Format::Json => json(&results, arguments.lint),
        Format::Text => text(&results, arguments.lint),
    })?;
    let all_good = results.iter().all(|result| result.ok(arguments.lint));
    Ok(match results.iter().any(|result| result.unreadable) {
        true => ExitCode::from(EXIT_IMPOSSIBLE),
        false if all_good => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Checked {
    fn ok(&self, lint: bool) -> bool {
        self.error.is_none() && (!lint || self.warnings.is_empty())
    }
}

fn check_config(file: &Path) -> Checked {
    let name = file.display().to_string();
    match server::config::load(file, Default::default()) {
        Ok(loaded) => Checked {
            file: name,
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            rules: Some(loaded.config.rule_groups.iter().map(|group| group.rules.len()).sum()),
            ..Checked::default()
        },
        Err(error) => Checked { file: name, error: Some(error.to_string()), ..Checked::default() },
    }
}

fn check_rules(file: &Path) -> Checked {
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let error = Some(format!("cannot be read: {error}"));
            return Checked { file: name, error, unreadable: true, ..Checked::default() };
        }
    };
    match RuleFile::parse(&text, &name) {
        Err(error) => Checked { file: name, error: Some(error.to_string()), ..Checked::default() },
        Ok(rules) => {
            let mut warnings: Vec<String> =
                rules.warnings.iter().map(|(line, text)| format!("line {line}: {text}")).collect();
            warnings.extend(rules.duplicates());
            Checked { file: name, warnings, rules: Some(rules.rule_count()), ..Checked::default() }
        }
    }
}

fn json(results: &[Checked], lint: bool) -> String {
    let files = results.iter().map(|result| {
        serde_json::json!({
            "file": result.file,
            "ok": result.ok(lint),
            "error": result.error,
            "warnings": result.warnings,
            "rules": result.rules,
        })
    });
    serde_json::json!({"files": files.collect::<Vec<_>>()}).to_string()
}

fn text(results: &[Checked], lint: bool) -> String {
    let mut out = String::new();
    for result in results {
        let found = result.rules.filter(|rules| *rules > 0);
        let found = found.map_or(String::new(), |rules| format!(", {rules} rules"));
        out += &match result.ok(lint) {
            true => format!("{}: ok{found}\n", result.file),
            false => format!("{}: FAILED\n", result.file),
        };
        out.extend(result.error.iter().map(|error| format!("  {error}\n")));
        out.extend(result.warnings.iter().map(|warning| format!("  warning: {warning}\n")));
    }
    out
}
