//! Relabelling: a list of rules that rewrite or drop a label set, with Prometheus's meaning.
//!
//! ```text
//! source_labels ─ joined by separator ─▶ value ─ regex ─▶ action on the label set
//! ```
//! - Regular expressions are anchored at both ends and `.` matches a newline.
//! - In `replacement` and `target_label`, `$1`, `${1}` and `${name}` stand for groups; the name after `$` is as long as
//!   it can be, so that `$1_x` is the group `1_x`.
//! - A label set to an empty value is removed.

use md5::{Digest, Md5};
use model::{LabelSet, LabelSetBuilder};
use regex::Regex;
use serde::{Deserialize, Serialize, Serializer};

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";
/// Compiled size of one regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A rule as it is written. `None` means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub regex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    pub replacement: Option<String>,
    pub action: Option<String>,
}

/// A checked rule.
#[derive(Clone, Debug)]
pub struct RelabelRule {
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    target_label: String,
    replacement: String,
    action: Action,
    /// The configuration it was made from: two rules are equal when these are.
    config: RelabelConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod { modulus: u64 },
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [&str; 11] = [
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
];

impl PartialEq for RelabelRule {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl TryFrom<RelabelConfig> for RelabelRule {
    type Error = String;

    fn try_from(config: RelabelConfig) -> Result<Self, String> {
        Self::new(config)
    }
}

impl<'de> Deserialize<'de> for RelabelRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let config = Option::<RelabelConfig>::deserialize(deserializer)?;
        let config = config.ok_or_else(|| D::Error::custom("empty or null relabeling rule"))?;
        Self::new(config).map_err(D::Error::custom)
    }
}

/// With every default filled.
impl Serialize for RelabelRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let filled =
            |field: &Option<String>, default: &str| field.clone().or_else(|| Some(default.to_owned()));
        RelabelConfig {
            separator: filled(&self.config.separator, SEPARATOR),
            regex: filled(&self.config.regex, REGEX),
            replacement: filled(&self.config.replacement, REPLACEMENT),
            action: Some(self.config.action.as_deref().unwrap_or("replace").to_lowercase()),
            ..self.config.clone()
        }
        .serialize(serializer)
    }
}

impl RelabelRule {
    /// Checks a rule.
    ///
    /// # Errors
    /// A sentence that says what the action requires.
    pub fn new(config: RelabelConfig) -> Result<Self, String> {
        let name = config.action.as_deref().unwrap_or("replace").to_lowercase();
        let action = action_of(&name, config.modulus.unwrap_or_default())?;
        check_fields(&config, action, &name)?;
        let pattern = config.regex.as_deref().unwrap_or(REGEX);
        Ok(Self {
            source_labels: config.source_labels.clone().unwrap_or_default(),
            separator: config.separator.clone().unwrap_or_else(|| SEPARATOR.to_owned()),
            regex: compile(pattern)?,
            target_label: config.target_label.clone().unwrap_or_default(),
            replacement: config.replacement.clone().unwrap_or_else(|| REPLACEMENT.to_owned()),
            action,
            config,
        })
    }

    /// Applies the rule. `false` means: drop the label set.
    fn apply(&self, labels: &mut LabelSetBuilder) -> bool {
        match self.action {
            Action::Replace => self.replace(labels),
            Action::Keep => return self.regex.is_match(&self.value(labels)),
            Action::Drop => return !self.regex.is_match(&self.value(labels)),
            Action::KeepEqual => return self.value(labels) == self.target_value(labels),
            Action::DropEqual => return self.value(labels) != self.target_value(labels),
            Action::HashMod { modulus } => {
                let hash = md5_low_half(self.value(labels).as_bytes());
                labels.set(&self.target_label, &(hash % modulus).to_string());
            }
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop => {
                labels.retain(|name| !self.regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name| self.regex.is_match(name));
            }
            Action::Lowercase => {
                let value = self.value(labels).to_lowercase();
                labels.set(&self.target_label, &value);
            }
            Action::Uppercase => {
                let value = self.value(labels).to_uppercase();
                labels.set(&self.target_label, &value);
            }
        }
        true
    }

    fn value(&self, labels: &LabelSetBuilder) -> String {
        let values: Vec<&str> =
            self.source_labels.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
        values.join(&self.separator)
    }

    fn target_value<'l>(&self, labels: &'l LabelSetBuilder) -> &'l str {
        labels.get(&self.target_label).unwrap_or_default()
    }

    fn replace(&self, labels: &mut LabelSetBuilder) {
        let value = self.value(labels);
        let Some(captures) = self.regex.captures(&value) else { return };
        let (mut target, mut replaced) = (String::new(), String::new());
        captures.expand(&self.target_label, &mut target);
        captures.expand(&self.replacement, &mut replaced);
        if !target.is_empty() {
            labels.set(&target, &replaced);
        }
    }

    fn map_names(&self, labels: &mut LabelSetBuilder) {
        let mut copies = Vec::new();
        for (name, value) in labels.iter() {
            if self.regex.is_match(name) {
                copies.push((self.regex.replace_all(name, &self.replacement).into_owned(), value.to_owned()));
            }
        }
        for (name, value) in copies {
            if !name.is_empty() {
                labels.set(&name, &value);
            }
        }
    }
}

/// Runs the rules in order. `None` means that one of them dropped the label set.
pub fn relabel(labels: &LabelSet, rules: &[RelabelRule]) -> Option<LabelSet> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    relabel_builder(&mut builder, rules).then(|| builder.build())
}

/// As [`relabel`], in place. `false` means dropped; `labels` are then of no use.
pub fn relabel_builder(labels: &mut LabelSetBuilder, rules: &[RelabelRule]) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

/// What one rule of a list did.
#[derive(Clone, Debug, Serialize)]
pub struct RelabelStep<'r> {
    pub rule: &'r RelabelRule,
    /// The labels after it; none once they are dropped.
    pub output: LabelSet,
    /// `false` from the rule on that drops the label set.
    pub keep: bool,
}

/// As [`relabel`], and tells what became of the labels at each rule.
pub fn relabel_steps<'r>(labels: &LabelSet, rules: &'r [RelabelRule]) -> Vec<RelabelStep<'r>> {
    let (mut builder, mut keep) = (labels.to_builder(), true);
    let step = |rule: &'r RelabelRule| {
        keep = keep && rule.apply(&mut builder);
        let output = if keep { builder.build() } else { LabelSet::empty() };
        RelabelStep { rule, output, keep }
    };
    rules.iter().map(step).collect()
}

fn action_of(name: &str, modulus: u64) -> Result<Action, String> {
    Ok(match name {
        "" => return Err("relabel action cannot be empty".to_owned()),
        "replace" => Action::Replace,
        "keep" => Action::Keep,
        "drop" => Action::Drop,
        "keepequal" => Action::KeepEqual,
        "dropequal" => Action::DropEqual,
        "hashmod" if modulus == 0 => {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        "hashmod" => Action::HashMod { modulus },
        "labelmap" => Action::LabelMap,
        "labeldrop" => Action::LabelDrop,
        "labelkeep" => Action::LabelKeep,
        "lowercase" => Action::Lowercase,
        "uppercase" => Action::Uppercase,
        _ => {
            let meant = settings::nearest(name, ACTIONS).map(|word| format!(" (did you mean {word:?}?)"));
            return Err(format!("unknown relabel action {name:?}{}", meant.unwrap_or_default()));
        }
    })
}

/// Which fields an action needs, and which have no meaning for it.
fn check_fields(config: &RelabelConfig, action: Action, name: &str) -> Result<(), String> {
    let is_set = |field: &Option<String>, default: &str| field.as_deref().is_some_and(|text| text != default);
    let separator = is_set(&config.separator, SEPARATOR);
    let replacement = is_set(&config.replacement, REPLACEMENT);
    let modulus = config.modulus.is_some_and(|modulus| modulus != 0);
    let target = config.target_label.as_deref().unwrap_or_default();

    let needs_target = matches!(
        action,
        Action::Replace
            | Action::HashMod { .. }
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
    );
    if needs_target && target.is_empty() {
        return Err(format!("relabel configuration for {name} action requires 'target_label' value"));
    }
    match action {
        Action::KeepEqual | Action::DropEqual
            if is_set(&config.regex, REGEX) || modulus || separator || replacement =>
        {
            Err(format!(
                "{name} action requires only 'source_labels' and `target_label`, and no other fields"
            ))
        }
        Action::Lowercase | Action::Uppercase if replacement => {
            Err(format!("'replacement' can not be set for {name} action"))
        }
        Action::LabelDrop | Action::LabelKeep
            if config.source_labels.is_some()
                || !target.is_empty()
                || modulus
                || separator
                || replacement =>
        {
            Err(format!("{name} action requires only 'regex', and no other fields"))
        }
        _ => Ok(()),
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(&format!("^(?s:{})$", model::translate_go_regex(pattern)))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| format!("error parsing regexp {pattern:?}: {}", last_line(&error.to_string())))
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The last eight bytes of the MD5 sum, big-endian.
fn md5_low_half(bytes: &[u8]) -> u64 {
    let sum: [u8; 16] = Md5::digest(bytes).into();
    let (_, low) = sum.split_at(8);
    low.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
