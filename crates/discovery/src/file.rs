//! Targets from files, `file_sd_configs`: JSON or YAML lists of target groups, matched by patterns and read again when
//! they change.
//!
//! ```text
//! per file:   unknown ──read──▶ good ──changed──▶ read again ──ok──▶ good (new groups)
//!                                 └──gone──▶ forgotten         └─broken─▶ good (old groups), warning, counter
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use eino_metrics_core::{Counter, Registry};
use model::LabelSetBuilder;
use serde::{Deserialize, Serialize};
use settings::HumanDuration;
use tracing::warn;

use crate::{TargetGroup, TargetGroupConfig, glob};

/// Largest discovery file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;
const FILEPATH: &str = "__meta_filepath";

/// A discovery by files, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Patterns; a wildcard may stand in the last path component.
    pub files: Vec<String>,
    /// How often the content is read even when the file looks unchanged. Default 5 m.
    #[serde(default)]
    pub refresh_interval: Option<HumanDuration>,
}

impl FileSdConfig {
    /// Checks the patterns.
    ///
    /// # Errors
    /// A sentence that names the pattern.
    pub fn validate(&self) -> Result<(), String> {
        if self.files.is_empty() {
            return Err("file service discovery config must contain at least one path name".to_owned());
        }
        for pattern in &self.files {
            let known = [".json", ".yml", ".yaml"];
            let lower = pattern.to_lowercase();
            let folder = pattern.rsplit_once('/').map_or("", |(folder, _)| folder);
            if !known.iter().any(|suffix| lower.ends_with(suffix)) || folder.contains('*') {
                return Err(format!(
                    "path name {pattern:?} is not valid for file discovery (it must end in .json, .yml or .yaml, \
                     with * only in the last component)"
                ));
            }
        }
        Ok(())
    }
}

/// The files of one job and their last good groups.
#[derive(Debug)]
pub struct FileDiscovery {
    patterns: Vec<PathBuf>,
    files: BTreeMap<PathBuf, KnownFile>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct KnownFile {
    stamp: Option<Stamp>,
    groups: Vec<TargetGroup>,
}

/// What tells cheaply that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// What a refresh does about files that look unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Reads only files whose size or time of change differ.
    Changed,
    /// Reads every file.
    All,
}

#[derive(Clone, Debug)]
struct Metrics {
    read_errors: Counter,
}

impl FileDiscovery {
    /// Watches the files of `configs`.
    pub fn new(configs: &[FileSdConfig], registry: &Registry) -> Self {
        let patterns = configs.iter().flat_map(|config| &config.files).map(PathBuf::from).collect();
        let read_errors = registry.counter(
            "eino_discovery_file_read_errors_total",
            "Discovery files that could not be read or parsed; their last good targets stay.",
        );
        Self { patterns, files: BTreeMap::new(), metrics: Metrics { read_errors } }
    }

    /// Looks at the files. Returns whether any group changed. Blocks on the disk.
    pub fn refresh(&mut self, refresh: Refresh) -> bool {
        let present: Vec<PathBuf> = self.patterns.iter().flat_map(|pattern| glob(pattern)).collect();
        let before = self.files.len();
        self.files.retain(|path, _| present.contains(path));
        let mut changed = self.files.len() != before;
        for path in present {
            let known = self.files.entry(path.clone()).or_default();
            let stamp = stamp_of(&path);
            if refresh == Refresh::Changed && stamp.is_some() && known.stamp == stamp {
                continue;
            }
            // A broken file is looked at again when it changes, not on every poll.
            known.stamp = stamp;
            match read_groups(&path) {
                Ok(groups) => {
                    changed |= groups != known.groups;
                    known.groups = groups;
                }
                Err(error) => {
                    self.metrics.read_errors.inc();
                    warn!(path = %path.display(), %error, "discovery file not usable, its last good targets stay");
                }
            }
        }
        changed
    }

    /// The last good groups of all files, ordered by path.
    pub fn groups(&self) -> impl Iterator<Item = &TargetGroup> {
        self.files.values().flat_map(|file| &file.groups)
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

fn read_groups(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let bytes = stamp_of(path).map_or(0, |stamp| stamp.bytes);
    if bytes > FILE_BYTES_MAX {
        return Err(format!("file has {bytes} bytes, more than the limit of {FILE_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let configs: Vec<TargetGroupConfig> = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())?
    } else if text.trim().is_empty() {
        Vec::new()
    } else {
        settings::from_yaml(&text).map_err(|error| error.to_string())?
    };
    let name = path.display().to_string();
    let mut groups = Vec::with_capacity(configs.len());
    for (index, config) in configs.into_iter().enumerate() {
        config.validate()?;
        let mut group = config.into_group(format!("{name}:{index}"));
        let mut labels: LabelSetBuilder = group.labels.to_builder();
        labels.set(FILEPATH, &name);
        group.labels = labels.build();
        groups.push(group);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(folder: &Path, pattern: &str, registry: &Registry) -> FileDiscovery {
        let file = folder.join(pattern).to_string_lossy().into_owned();
        let config = FileSdConfig { files: vec![file], refresh_interval: None };
        config.validate().expect("valid pattern");
        FileDiscovery::new(&[config], registry)
    }

    fn addresses(discovery: &FileDiscovery) -> Vec<String> {
        discovery.groups().flat_map(|group| group.addresses.clone()).collect()
    }

    #[test]
    fn files_come_change_break_and_go() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let registry = Registry::new();
        let mut discovery = discovery(folder.path(), "*.json", &registry);
        assert!(!discovery.refresh(Refresh::Changed) && addresses(&discovery).is_empty());

        let path = folder.path().join("a.json");
        let write = |text: &str| std::fs::write(&path, text).expect("writable");
        write(r#"[{"targets":["h1:1"],"labels":{"zone":"a"}}]"#);
        assert!(discovery.refresh(Refresh::Changed));
        assert_eq!(addresses(&discovery), ["h1:1"]);
        let group = discovery.groups().next().expect("one group");
        assert_eq!(group.labels.get("zone"), Some("a"));
        assert_eq!(group.labels.get(FILEPATH), path.to_str());

        write(r#"[{"targets":["h1:1"],"#);
        assert!(!discovery.refresh(Refresh::All));
        assert_eq!(addresses(&discovery), ["h1:1"], "the last good targets stay");
        assert_eq!(discovery.metrics.read_errors.get(), 1);

        write(r#"[{"targets":["h1:1","h2:2"]}]"#);
        assert!(discovery.refresh(Refresh::All));
        assert_eq!(addresses(&discovery), ["h1:1", "h2:2"]);
        assert!(!discovery.refresh(Refresh::Changed), "nothing changed");

        std::fs::remove_file(&path).expect("removable");
        assert!(discovery.refresh(Refresh::Changed) && addresses(&discovery).is_empty());
    }

    #[test]
    fn yaml_files_are_read_too() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(
            folder.path().join("t.yml"),
            "- targets: [h1:1]\n  labels: {port: 80}\n- targets: []\n",
        )
        .expect("writable");
        let mut discovery = discovery(folder.path(), "t.yml", &Registry::new());
        assert!(discovery.refresh(Refresh::Changed));
        assert_eq!(discovery.groups().next().and_then(|group| group.labels.get("port")), Some("80"));
    }

    #[test]
    fn bad_patterns_are_named() {
        for pattern in ["targets.txt", "a*/b.json"] {
            let config = FileSdConfig { files: vec![pattern.to_owned()], refresh_interval: None };
            assert!(config.validate().expect_err("refused").contains(pattern));
        }
    }
}
