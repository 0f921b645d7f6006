//! `eino check config FILE…`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::output::{Format, print};

/// Checks files without starting anything.
#[derive(clap::Args)]
pub(crate) struct CheckArguments {
    #[command(subcommand)]
    what: What,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
}

#[derive(Subcommand)]
enum What {
    /// Configuration files: eino.yaml or prometheus.yml
    Config {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let What::Config { files } = &arguments.what;
    let mut all_good = true;
    let mut results = Vec::new();
    for file in files {
        let checked = server::config::load(file);
        all_good &= checked.is_ok();
        let (error, warnings) = match checked {
            Ok(loaded) => (None, loaded.warnings.iter().map(ToString::to_string).collect()),
            Err(error) => (Some(error.to_string()), Vec::new()),
        };
        results.push((file.display().to_string(), error, warnings));
    }
    print(&match arguments.output {
        Format::Json => json(&results),
        Format::Text => text(&results),
    })?;
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Checked = (String, Option<String>, Vec<String>);

fn json(results: &[Checked]) -> String {
    let files = results.iter().map(|(file, error, warnings)| {
        serde_json::json!({"file": file, "ok": error.is_none(), "error": error, "warnings": warnings})
    });
    serde_json::json!({"files": files.collect::<Vec<_>>()}).to_string()
}

fn text(results: &[Checked]) -> String {
    let mut out = String::new();
    for (file, error, warnings) in results {
        match error {
            None => out.push_str(&format!("{file}: ok\n")),
            Some(error) => out.push_str(&format!("{file}: FAILED\n  {error}\n")),
        }
        out.extend(warnings.iter().map(|warning| format!("  warning: {warning}\n")));
    }
    out
}
