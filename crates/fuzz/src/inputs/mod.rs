//! `fuzz inputs`: damaged inputs for every parser and decoder.
//!
//! ```text
//! seed + n ─▶ n-th input: a good one, changed a little ─▶ target ─▶ good | refused | PANIC | SLOW
//! ```
//! - No input may panic, overflow a stack of 2 MiB (that of the server's threads) or take longer than a second each time of two.
//! - Everything follows from the seed: `--target T --seed S+n --runs 1` makes the n-th input again.

mod corpus;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::bail;
use fastrand::Rng;
use serde_json::json;

use crate::output::{print, say};
use targets::{TARGETS, Target};

/// Longest time for one input.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Stack of the thread that runs the targets.
const STACK_BYTES: usize = 2 << 20;
/// Findings of one target that are printed; more are counted only.
const SHOWN_MAX: u64 = 5;

/// What to feed, and how often.
#[derive(clap::Args)]
pub(crate) struct InputsArguments {
    /// Inputs of each target
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    /// Seed of the first input; the next has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// The summary as JSON
    #[arg(long)]
    json: bool,
}

/// What became of one target.
#[derive(Default)]
struct Tally {
    good: u64,
    refused: u64,
    panics: u64,
    slow: u64,
    slowest: Duration,
}

/// Runs it. Answers whether all is well.
pub(crate) fn run(arguments: InputsArguments) -> anyhow::Result<bool> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let worker = thread.spawn(move || run_targets(&arguments))?;
    worker.join().unwrap_or_else(|_| bail!("a panic outside of any target"))
}

fn run_targets(arguments: &InputsArguments) -> anyhow::Result<bool> {
    let wanted = arguments.target.as_deref();
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| wanted.is_none_or(|name| name == target.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!("unknown target {:?}: choose one of {}", wanted.unwrap_or_default(), names.join(", "));
    }
    let mut all_well = true;
    let mut summary = Vec::new();
    for target in chosen {
        let tally = run_target(target, arguments.seed, arguments.runs);
        all_well &= tally.panics == 0 && tally.slow == 0;
        if arguments.json {
            summary.push(json!({
                "target": target.name, "runs": arguments.runs, "good": tally.good, "refused": tally.refused,
                "panics": tally.panics, "slow": tally.slow, "slowest_ms": tally.slowest.as_secs_f64() * 1e3,
            }));
        } else {
            print(&format!(
                "fuzz {}: {} inputs, {} good, {} refused, {} panics, {} slow (slowest {:.1} ms)",
                target.name,
                arguments.runs,
                tally.good,
                tally.refused,
                tally.panics,
                tally.slow,
                tally.slowest.as_secs_f64() * 1e3
            ));
        }
    }
    if arguments.json {
        print(&json!({"seed": arguments.seed, "targets": summary}).to_string());
    }
    Ok(all_well)
}

fn run_target(target: &Target, seed: u64, runs: u64) -> Tally {
    let corpus = (target.corpus)();
    let mut tally = Tally::default();
    for seed in seed..seed.saturating_add(runs) {
        let input = mutate::mutate(&mut Rng::with_seed(seed), &corpus, target.words);
        let (outcome, mut took) = timed(target, &input);
        if took > TIME_MAX {
            // Once more: the machine may have been busy with something else.
            took = took.min(timed(target, &input).1);
        }
        tally.slowest = tally.slowest.max(took);
        let trouble = match outcome {
            Ok(true) => {
                tally.good += 1;
                None
            }
            Ok(false) => {
                tally.refused += 1;
                None
            }
            Err(_) => {
                tally.panics += 1;
                Some("PANIC")
            }
        };
        if took > TIME_MAX {
            tally.slow += 1;
        }
        let trouble = trouble.or((took > TIME_MAX).then_some("SLOW"));
        if let Some(trouble) = trouble.filter(|_| tally.panics + tally.slow <= SHOWN_MAX) {
            let start: Vec<u8> = input.iter().copied().take(300).collect();
            let shown = start.escape_ascii();
            say(&format!(
                "{trouble} (--target {} --seed {seed} --runs 1): {} bytes: {shown}",
                target.name,
                input.len()
            ));
        }
    }
    tally
}

/// What the target says, or its panic; and how long it took.
fn timed(target: &Target, input: &[u8]) -> (std::thread::Result<bool>, Duration) {
    let started = now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    (outcome, started.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "how long an input took, not what came out")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The small form of the long one: every target, a few inputs.
    #[test]
    fn no_input_panics_or_takes_long() {
        let done = run(InputsArguments { runs: 400, seed: 1, target: None, json: false });
        assert!(done.expect("the targets run"));
    }

    #[test]
    fn corpora_are_good() {
        for target in &TARGETS {
            let corpus = (target.corpus)();
            let good = corpus.iter().filter(|input| (target.run)(input)).count();
            // Another format's corpus: it is to be refused.
            if target.name != "protobuf-exposition" {
                assert!(
                    good * 10 >= corpus.len() * 9,
                    "{}: {good} of {} are good",
                    target.name,
                    corpus.len()
                );
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_input() {
        let corpus = corpus::queries();
        let make = |seed| mutate::mutate(&mut Rng::with_seed(seed), &corpus, &["x"]);
        assert!((0..500).all(|seed| make(seed) == make(seed)));
    }
}
