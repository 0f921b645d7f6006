//! Our own scripts must pass; of the reference's, at least as many as the checked-in floor.

use std::path::{Path, PathBuf};

use promql::conformance::{FileReport, run_file};

/// The folder of shared test data, or nothing where it is not.
#[expect(clippy::disallowed_methods, reason = "tests find their data through the environment")]
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = std::env::var("EINO_SHARED").unwrap_or_else(|_| default.to_owned());
    let path = Path::new(&root).join("conformance").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn run(path: &Path) -> FileReport {
    let text = std::fs::read_to_string(path).unwrap();
    run_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn own_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut failures = Vec::new();
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        scripts += 1;
        for case in run(&path).cases {
            if let Some(failure) = case.failure {
                failures.push(format!("{}:{}: {}\n  {failure}", path.display(), case.line, case.expr));
            }
        }
    }
    assert!(scripts >= 5, "only {scripts} scripts found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn reference_scripts_do_not_fall_below_the_floor() {
    let Some(folder) = shared("promql") else { return };
    let floor = include_str!("../../testdata/conformance_floor.txt");
    let mut below = Vec::new();
    for line in floor.lines().filter(|line| !line.starts_with('#')) {
        let (name, least) = line.split_once(' ').unwrap();
        let report = run(&folder.join(name));
        let least: usize = least.parse().unwrap();
        if report.passed() < least {
            below.push(format!(
                "{name}: {} of {} passed, floor {least}",
                report.passed(),
                report.cases.len()
            ));
        }
    }
    assert!(below.is_empty(), "{}", below.join("\n"));
}

#[test]
fn a_wrong_expectation_fails() {
    let script = "load 1m\n  m 1 2\n\neval instant at 1m m\n  m 3\n\neval instant at 1m m\n  m 2\n";
    let report = run_file(script).unwrap();
    assert_eq!((report.passed(), report.cases.len()), (1, 2));
    assert!(report.cases[0].failure.as_deref().unwrap().contains("expected 3, got 2"));
}
