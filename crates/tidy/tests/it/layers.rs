//! Rows of crates, bottom first. A crate may use only crates of rows before its own.

use std::collections::HashMap;

use serde_json::Value;

/// The server. Crates of one row do not know each other.
const ROWS: &[(&str, &[&str])] = &[
    ("base: helpers", &["clock", "codec", "disk", "stdx"]),
    ("base: settings", &["settings"]),
    ("model", &["model"]),
    ("wire", &["wire", "prom-block"]),
    ("log", &["log"]),
    ("stores", &["tsdb", "traces"]),
    ("engines", &["promql", "analysis"]),
    ("services: inputs", &["discovery", "http-client"]),
    ("services: workers", &["remote", "scrape", "rules"]),
    ("services: delivery", &["alerts"]),
    ("edges: assets", &["ui"]),
    ("edges: http", &["http-api"]),
    ("edges: server", &["server"]),
    ("example", &["shop"]),
    ("edges: cli", &["eino-cli"]),
];

/// The SDK: published, so it uses nothing of the server.
const SDK_ROWS: &[(&str, &[&str])] = &[
    ("core", &["eino-metrics-core", "eino-context", "eino-registry"]),
    ("trace", &["eino-trace"]),
    ("client", &["eino-client"]),
    ("facade", &["eino"]),
];

/// They may use anything; nothing uses them.
const TOOLS: &[&str] = &["tidy", "xtask", "fuzz"];

/// What the server may use of the SDK, from the row `log` down.
const SDK_IN_SERVER: &[&str] = &["eino-metrics-core", "eino-trace", "eino-context"];

/// Engines know sources by trait only, so they may not use a store or anything above it but model and base.
const NOT_IN_ENGINES: &[&str] = &["wire", "log", "tsdb", "traces"];

struct Workspace {
    /// Package name to names of workspace packages it uses (dev-dependencies left out).
    uses: HashMap<String, Vec<String>>,
}

fn workspace() -> Workspace {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let uses = packages.iter().map(|package| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let used = dependencies
            .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| names.contains(name));
        (package["name"].as_str().expect("name").to_owned(), used.map(str::to_owned).collect())
    });
    Workspace { uses: uses.collect() }
}

fn metadata(arguments: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo metadata starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn row_of(rows: &[(&str, &[&str])], name: &str) -> Option<usize> {
    rows.iter().position(|(_, crates)| crates.contains(&name))
}

/// Why `user` may not use `used`, if it may not.
fn objection(user: &str, used: &str) -> Option<String> {
    if TOOLS.contains(&user) {
        return None;
    }
    if TOOLS.contains(&used) {
        return Some("nothing uses a tool".to_owned());
    }
    match (row_of(SDK_ROWS, user), row_of(SDK_ROWS, used)) {
        (Some(user_row), Some(used_row)) => {
            return (used_row >= user_row).then(|| "the arrow points up within the SDK".to_owned());
        }
        (Some(_), None) => return Some("the SDK uses nothing of the server".to_owned()),
        (None, Some(_)) if matches!(user, "shop" | "eino-cli") => return None,
        (None, Some(_)) => {
            let allowed = SDK_IN_SERVER.contains(&used) && row_of(ROWS, user) >= row_of(ROWS, "log");
            return (!allowed)
                .then(|| "the server uses only the SDK's metrics and tracing, from `log` down".to_owned());
        }
        (None, None) => {}
    }
    let (user_row, used_row) = (row_of(ROWS, user)?, row_of(ROWS, used)?);
    if used_row >= user_row {
        return Some(format!("the arrow points up: {} uses {}", ROWS[user_row].0, ROWS[used_row].0));
    }
    let is_engine = row_of(ROWS, "promql") == Some(user_row);
    (is_engine && NOT_IN_ENGINES.contains(&used))
        .then(|| "engines ask Source traits, never a store".to_owned())
}

#[test]
fn every_crate_has_a_row() {
    let known = |name: &str| {
        row_of(ROWS, name).is_some() || row_of(SDK_ROWS, name).is_some() || TOOLS.contains(&name)
    };
    let unknown: Vec<_> = workspace().uses.into_keys().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "give these crates a row in {}: {unknown:?}", file!());
}

#[test]
fn dependencies_point_down() {
    let workspace = workspace();
    let mut objections = Vec::new();
    for (user, uses) in &workspace.uses {
        objections.extend(
            uses.iter().filter_map(|used| Some(format!("{user} -> {used}: {}", objection(user, used)?))),
        );
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn the_rule_itself_works() {
    assert!(objection("promql", "tsdb").is_some());
    assert!(objection("tsdb", "promql").is_some());
    assert!(objection("eino", "model").is_some());
    assert!(objection("model", "eino-metrics-core").is_some());
    assert!(objection("server", "xtask").is_some());
    assert!(objection("server", "tsdb").is_none());
    assert!(objection("tsdb", "eino-metrics-core").is_none());
}
