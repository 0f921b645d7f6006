//! What we take from others: licences, sources, duplicate versions, banned crates.

use std::collections::BTreeMap;

use serde_json::Value;

/// Licences that a binary may carry without conditions beyond naming them.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MIT-0",
    "blessing",
];

/// Crates with a second job for something we already have, and what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "rustls"),
    ("reqwest", "hyper-util's client: one HTTP stack"),
    ("chrono", "time"),
    ("serde_yaml", "serde-saphyr"),
    ("prost", "wire walks protobuf by hand"),
    ("opentelemetry_sdk", "sdk/eino-trace"),
];

/// Crates that stand in the lock file in two versions, each with the reason. Shrinks only.
const DUPLICATES_ALLOWED: &str = include_str!("duplicates_allowed.txt");

fn packages() -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo metadata starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// Whether an SPDX expression (`A OR B`, `(A OR B) AND C`, `A/B`) can be satisfied.
fn is_permitted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let all = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
    };
    expression.split(" AND ").all(all)
}

#[test]
fn licences_are_permissive() {
    let refused = packages().into_iter().filter_map(|package| {
        let licence = package["license"].as_str().unwrap_or("none").to_owned();
        (!is_permitted(&licence)).then(|| format!("{} {}: {licence}", package["name"], package["version"]))
    });
    let refused: Vec<_> = refused.collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn licence_expressions_are_read() {
    assert!(
        is_permitted("MIT OR Apache-2.0")
            && is_permitted("MIT/Apache-2.0")
            && is_permitted("(MIT OR GPL-3.0) AND ISC")
    );
    assert!(!is_permitted("GPL-3.0") && !is_permitted("MIT AND GPL-3.0") && !is_permitted("none"));
}

#[test]
fn sources_are_crates_io_or_ours() {
    let foreign = packages().into_iter().filter_map(|package| {
        let source = package["source"].as_str().unwrap_or("workspace").to_owned();
        let is_known = source == "workspace"
            || source.starts_with("registry+https://github.com/rust-lang/crates.io-index");
        (!is_known).then(|| format!("{}: {source}", package["name"]))
    });
    let foreign: Vec<_> = foreign.collect();
    assert!(foreign.is_empty(), "{}", foreign.join("\n"));
}

#[test]
fn banned_crates_are_absent() {
    let packages = packages();
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let present: Vec<_> = BANNED.iter().filter(|(name, _)| names.contains(name)).collect();
    assert!(present.is_empty(), "banned crates (and what to use instead): {present:?}");
}

#[test]
fn duplicate_versions_are_known() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    let allowed: Vec<&str> = DUPLICATES_ALLOWED
        .lines()
        .filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let found: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).collect();
    let new: Vec<_> = found.iter().filter(|(name, _)| !allowed.contains(&name.as_str())).collect();
    assert!(new.is_empty(), "new duplicate versions: {new:?}");
    let gone: Vec<_> = allowed.iter().filter(|name| !found.iter().any(|(found, _)| found == *name)).collect();
    assert!(gone.is_empty(), "no longer duplicated, take them out of duplicates_allowed.txt: {gone:?}");
}
