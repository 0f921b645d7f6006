//! Size of files, and words that do not belong in the product's text.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file. A second subject hides in a longer one. Shrinks only.
const LINES_MAX: usize = 900;

/// Paths and hosts of a developer's machine.
const FOREIGN_TEXT: &[&str] = &["/work/", "/root/", "artifactory", "registry.npmjs.org", "localhost:8081"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files that git knows, with their text; binary ones are left out.
fn files() -> Vec<(String, String)> {
    let output =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let names = names.split('\0').filter(|name| !name.is_empty());
    names
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?)))
        .collect()
}

fn is_source(name: &str) -> bool {
    [".rs", ".ts", ".tsx", ".css", ".py", ".mjs"].iter().any(|ending| name.ends_with(ending))
        && !name.contains("/assets/")
}

#[test]
fn files_are_short() {
    let long = files().into_iter().filter(|(name, _)| is_source(name));
    let long = long.map(|(name, text)| (text.lines().count(), name)).filter(|(lines, _)| *lines > LINES_MAX);
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines; look for the second subject: {long:?}");
}

#[test]
fn no_paths_or_hosts_of_a_machine() {
    let mut found = Vec::new();
    for (name, text) in files()
        .iter()
        .filter(|(name, _)| name != "crates/tidy/tests/it/text.rs" && !name.contains("/assets/"))
    {
        found.extend(
            FOREIGN_TEXT.iter().filter(|word| text.contains(**word)).map(|word| format!("{name}: {word}")),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_crate_says_what_it_is() {
    let silent =
        files().into_iter().filter(|(name, _)| name.ends_with("src/lib.rs") || name.ends_with("src/main.rs"));
    let silent: Vec<_> = silent.filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "start these with a `//!` header: {silent:?}");
}
