//! `eino test rules FILE…`: unit tests of rules, in promtool's file format.

mod junit;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use regex::Regex;
use rules::unit_test::{TestReport, UnitTestFile};
use rules::{GroupConfig, RuleFile};

use crate::output::{EXIT_IMPOSSIBLE, Format, print};

const EXAMPLES: &str = "\
Examples:
  eino test rules tests/*.yml
  eino test rules --run '^disk' tests/disk.yml
  eino test rules --junit report.xml -o json tests/*.yml

A file of tests:
  rule_files: [rules.yml]
  tests:
  - input_series: [{series: 'up{job=\"a\"}', values: '1 1 0x10'}]
    alert_rule_test:
    - eval_time: 7m
      alertname: Down
      exp_alerts: [{exp_labels: {job: a}}]
    promql_expr_test:
    - {expr: 'sum(up)', eval_time: 1m, exp_samples: [{value: 1}]}";

/// Runs unit tests.
#[derive(clap::Args)]
pub(crate) struct TestArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Unit tests of recording and alerting rules, in promtool's file format
    Rules(RulesArguments),
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct RulesArguments {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name matches one of these; may be given several times
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Also writes the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What became of one file of tests.
struct FileReport {
    file: String,
    /// Why its tests could not be run.
    error: Option<String>,
    /// What was given and has no effect.
    warnings: Vec<String>,
    tests: Vec<TestReport>,
}

impl FileReport {
    fn passed(&self) -> bool {
        self.error.is_none() && self.tests.iter().all(|test| test.failures.is_empty())
    }
}

pub(crate) fn run(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let What::Rules(arguments) = &arguments.what;
    let wanted = arguments.run.iter().map(|pattern| {
        Regex::new(pattern).with_context(|| format!("--run {pattern:?} is not a regular expression"))
    });
    let wanted: Vec<Regex> = wanted.collect::<anyhow::Result<_>>()?;
    let mut reports = Vec::new();
    let mut unreadable = false;
    for file in &arguments.files {
        let text = std::fs::read_to_string(file);
        unreadable |= text.is_err();
        reports.push(match text {
            Ok(text) => run_file(file, &text, &wanted),
            Err(error) => failed(file, format!("cannot read {}: {error}", file.display())),
        });
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit::render(&reports))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&match arguments.output {
        Format::Json => report::json(&reports),
        Format::Text => report::text(&reports, report::Colours::of_stdout()),
    })?;
    Ok(match (unreadable, reports.iter().all(FileReport::passed)) {
        (true, _) => ExitCode::from(EXIT_IMPOSSIBLE),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

fn run_file(file: &Path, text: &str, wanted: &[Regex]) -> FileReport {
    let tests = match UnitTestFile::parse(text) {
        Ok(tests) => tests,
        Err(error) => return failed(file, error.to_string()),
    };
    let mut warnings = Vec::new();
    let groups = match rule_groups(file, &tests.rule_files, &mut warnings) {
        Ok(groups) => groups,
        Err(error) => return FileReport { warnings, ..failed(file, format!("{error:#}")) },
    };
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|pattern| pattern.is_match(name));
    let tests = tests.run(&groups, &is_wanted);
    FileReport { file: file.display().to_string(), error: None, warnings, tests }
}

/// The groups of the rule files; patterns are relative to the file of tests.
fn rule_groups(
    file: &Path,
    patterns: &[String],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<GroupConfig>> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut groups = Vec::new();
    for pattern in patterns {
        let paths = discovery::glob(&folder.join(pattern));
        if paths.is_empty() {
            warnings.push(format!("no rule file matches {pattern:?}"));
        }
        for path in paths {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            let parsed = RuleFile::parse(&text, &name).with_context(|| name.clone())?;
            warnings.extend(parsed.warnings.iter().map(|(line, text)| format!("{name}:{line}: {text}")));
            groups.extend(parsed.groups);
        }
    }
    Ok(groups)
}

fn failed(file: &Path, error: String) -> FileReport {
    FileReport {
        file: file.display().to_string(),
        error: Some(error),
        warnings: Vec::new(),
        tests: Vec::new(),
    }
}
