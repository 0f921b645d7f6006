//! The engine as its users call it.

mod bottleneck;
mod oracle;
mod shop;

use std::path::PathBuf;

/// The cases of Jaeger's UI, and those that it gets wrong, if they are at hand.
#[test]
fn critical_path_conformance() {
    #[expect(clippy::disallowed_methods, reason = "where the shared data is, is the environment's to say")]
    let shared = std::env::var_os("EINO_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let traces = shared.join("conformance/traces");
    if !traces.is_dir() {
        println!("skipped: {} is not there", traces.display());
        return;
    }
    let results = oracle::run(&traces).expect("readable cases");
    let failures: Vec<_> =
        results.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?))).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(results.len() >= 22, "only {} cases", results.len());
}
