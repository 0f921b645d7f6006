//! `fuzz diff`: the same random queries to us and to a real Prometheus over the same random data.
//!
//! ```text
//! data seed ─▶ series ──remote write──▶ eino, Prometheus
//! seed + n ─▶ n-th query, instant or range ─▶ both ─▶ same? ─▶ known difference? counted : shrunk and printed
//! ```
//! - Everything follows from the seeds: `--seed S+n --runs 1` asks the n-th query again.
//! - A difference is either a bug or one of the rules in `known.rs`, each with a reason and an example in
//!   `docs/promql-differences.md`.
//! - Against 2.x no range begins or ends on a sample: ranges have been open on the left only since 3.0.

mod compare;
pub(crate) mod data;
mod generate;
mod known;
mod peer;
mod query;
mod shrink;

use std::collections::BTreeMap;
use std::path::PathBuf;

use promql::Signature;
use serde_json::json;

use crate::output::{print, say};
use compare::{Difference, Tolerance, compare};
use generate::When;
pub(crate) use generate::{Dialect, Generator};
use peer::Peer;
pub(crate) use query::Node;

/// Differences of one kind that are shrunk and printed; more are counted only.
const SHOWN_MAX: usize = 5;

/// What to ask, how often, and whom.
#[derive(clap::Args)]
pub(crate) struct DiffArguments {
    /// Number of queries
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// Seed of the first query; the next has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seed of the data
    #[arg(long, default_value_t = 1)]
    data_seed: u64,
    /// The binary `eino`
    #[arg(long)]
    eino: PathBuf,
    /// The binary `prometheus`
    #[arg(long)]
    prometheus: PathBuf,
    /// Asks this query instead, and prints both answers
    #[arg(long, value_name = "PROMQL", requires = "at")]
    query: Option<String>,
    /// When: milliseconds since 1970
    #[arg(long, value_name = "MS")]
    at: Option<i64>,
    /// Over a range, to then
    #[arg(long, value_name = "MS", requires = "step")]
    to: Option<i64>,
    /// Between two points of that range
    #[arg(long, value_name = "MS")]
    step: Option<i64>,
    /// Prints errors that are worded differently
    #[arg(long)]
    words: bool,
    /// Prints every query
    #[arg(long)]
    verbose: bool,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

/// Both servers with the same data.
struct Pair {
    ours: Peer,
    theirs: Peer,
    major_version: u32,
    show_words: bool,
    _dir: tempfile::TempDir,
}

/// What was found.
#[derive(Default)]
struct Tally {
    same: u64,
    both_failed: u64,
    empty: u64,
    known: BTreeMap<&'static str, u64>,
    different: u64,
    kinds: BTreeMap<&'static str, usize>,
    /// Both failed, in other words.
    other_words: u64,
    shown: Vec<String>,
}

/// Runs it. Answers whether all is well.
pub(crate) fn run(arguments: &DiffArguments) -> anyhow::Result<bool> {
    let (mut pair, dialect) = start(arguments)?;
    if let (Some(query), Some(time_ms)) = (&arguments.query, arguments.at) {
        let when = match (arguments.to, arguments.step) {
            (Some(end_ms), Some(step_ms)) => When::Range { start_ms: time_ms, end_ms, step_ms },
            _ => When::Instant(time_ms),
        };
        print(&format!("ours   {}", pair.ours.query(query, when)?));
        print(&format!("theirs {}", pair.theirs.query(query, when)?));
        return Ok(true);
    }
    let mut tally = Tally::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs) {
        let (node, when) = Generator::new(seed, &dialect).query();
        if arguments.verbose {
            say(&format!("{seed}: {} {node}", describe(when)));
        }
        pair.ask(seed, &node, when, &mut tally)?;
    }
    report(arguments, &tally);
    Ok(tally.different == 0)
}

fn start(arguments: &DiffArguments) -> anyhow::Result<(Pair, Dialect)> {
    let dir = tempfile::tempdir()?;
    let mut theirs = Peer::prometheus(&arguments.prometheus, dir.path())?;
    let mut ours = Peer::eino(&arguments.eino, dir.path())?;
    let version = theirs.version()?;
    // A build without a version is somebody's own, so a new one.
    let major_version = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(3);
    let aligned = major_version >= 3;
    let series = data::generate(arguments.data_seed, aligned);
    theirs.write(&series)?;
    ours.write(&series)?;
    let mut pair = Pair { ours, theirs, major_version, show_words: arguments.words, _dir: dir };
    let mut functions = Vec::new();
    for function in promql::functions() {
        if pair.both_know(function)? {
            functions.push(function);
        }
    }
    say(&format!(
        "Prometheus {version}, {} functions that both know, {} series",
        functions.len(),
        series.len()
    ));
    Ok((pair, Dialect { functions, aligned }))
}

fn describe(when: When) -> String {
    match when {
        When::Instant(time_ms) => format!("at {time_ms} ms"),
        When::Range { start_ms, end_ms, step_ms } => format!("from {start_ms} to {end_ms} step {step_ms} ms"),
    }
}

impl Pair {
    /// Whether a call of the function is parsed and evaluated by both.
    fn both_know(&mut self, function: &'static Signature) -> anyhow::Result<bool> {
        let arguments = function.arguments.iter().map(|kind| match kind {
            promql::ValueType::Scalar => "0.5",
            promql::ValueType::Vector => "temp",
            promql::ValueType::Matrix => "temp[5m]",
            promql::ValueType::String => "\"x\"",
        });
        let text = format!("{}({})", function.name, arguments.collect::<Vec<_>>().join(", "));
        let when = When::Instant(data::START_MS + data::LENGTH_MS / 2);
        let (ours, theirs) = (self.ours.query(&text, when)?, self.theirs.query(&text, when)?);
        Ok(ours["status"] == "success" && theirs["status"] == "success")
    }

    /// Asks both; notes what came out.
    fn ask(&mut self, seed: u64, node: &Node, when: When, tally: &mut Tally) -> anyhow::Result<()> {
        let text = node.to_string();
        let (ours, theirs) = (self.ours.query(&text, when)?, self.theirs.query(&text, when)?);
        let Some(difference) = self.difference(node, when, &ours, &theirs) else {
            tally.same += 1;
            if theirs["status"] != "success" {
                tally.both_failed += 1;
                if ours["error"] != theirs["error"] {
                    tally.other_words += 1;
                    if self.show_words {
                        say(&format!(
                            "{seed}: {text}\n  ours   {}\n  theirs {}",
                            ours["error"], theirs["error"]
                        ));
                    }
                }
            }
            tally.empty += u64::from(theirs["data"]["result"].as_array().is_some_and(Vec::is_empty));
            return Ok(());
        };
        if let Some(class) = known::class(self.major_version, node, &difference) {
            *tally.known.entry(class).or_default() += 1;
            return Ok(());
        }
        tally.different += 1;
        let of_this_kind = tally.kinds.entry(difference.kind()).or_default();
        *of_this_kind += 1;
        if *of_this_kind <= SHOWN_MAX {
            let shown = self.shrunk(seed, node, when, &difference);
            say(&shown);
            tally.shown.push(shown);
        }
        Ok(())
    }

    fn difference(
        &self,
        node: &Node,
        when: When,
        ours: &serde_json::Value,
        theirs: &serde_json::Value,
    ) -> Option<Difference> {
        let ordered =
            matches!(node, Node::Call { name: "sort" | "sort_desc", .. }) && matches!(when, When::Instant(_));
        // 2.x adds up plainly, 3.x compensates as we do.
        let relative = if self.major_version < 3 { 1e-6 } else { 1e-9 };
        let found = compare(ours, theirs, ordered, Tolerance { relative, absolute: 1e-9 });
        // 2.x has no annotations.
        let notes = || if self.major_version < 3 { None } else { compare::compare_notes(ours, theirs) };
        found.or_else(notes)
    }

    fn shrunk(&mut self, seed: u64, node: &Node, when: When, difference: &Difference) -> String {
        let wanted = std::mem::discriminant(difference);
        let mut smallest = difference.clone();
        let (small, at) = shrink::shrink(node, when, &mut |candidate, when| {
            let text = candidate.to_string();
            let (Ok(ours), Ok(theirs)) = (self.ours.query(&text, when), self.theirs.query(&text, when))
            else {
                return false;
            };
            let found = self.difference(candidate, when, &ours, &theirs);
            let found = found.filter(|found| std::mem::discriminant(found) == wanted);
            let found = found.filter(|found| known::class(self.major_version, candidate, found).is_none());
            match found {
                Some(found) => {
                    smallest = found;
                    true
                }
                None => false,
            }
        });
        format!(
            "DIFFERENT (--seed {seed} --runs 1)\n  {small}\n  {}\n  {smallest}\n  made from: {node}",
            describe(at)
        )
    }
}

fn report(arguments: &DiffArguments, tally: &Tally) {
    let known: u64 = tally.known.values().sum();
    if arguments.json {
        let summary = json!({
            "runs": arguments.runs,
            "seed": arguments.seed,
            "same": tally.same,
            "both_failed": tally.both_failed,
            "other_words": tally.other_words,
            "known": tally.known,
            "different": tally.different,
            "differences": tally.shown,
        });
        print(&summary.to_string());
        return;
    }
    for (class, count) in &tally.known {
        print(&format!("  known: {class}: {count}"));
    }
    print(&format!(
        "diff: {} queries, {} same ({} failed on both sides, {} of them in other words; {} empty), {known} known differences, {} DIFFERENT",
        arguments.runs, tally.same, tally.both_failed, tally.other_words, tally.empty, tally.different
    ));
}
