//! Rule files: as they are written, and checked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{LabelSet, LabelSetBuilder, METRIC_NAME};
use promql::{Expr, Syntax};
use serde::Deserialize;
use serde::de::IgnoredAny;
use settings::{HumanDuration, Located, YamlError};

use crate::template::Template;

/// A rule file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    groups: Option<Vec<Located<RawGroup>>>,
    /// Known to other rulers; no effect here.
    namespace: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawGroup {
    name: Option<String>,
    interval: Option<HumanDuration>,
    query_offset: Option<HumanDuration>,
    limit: Option<u64>,
    labels: Option<BTreeMap<String, String>>,
    rules: Option<Vec<Located<RawRule>>>,
    // Keys of other rulers: read so that their files load, and named in a warning.
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
    eval_offset: Option<IgnoredAny>,
    eval_delay: Option<IgnoredAny>,
    eval_alignment: Option<IgnoredAny>,
    concurrency: Option<IgnoredAny>,
    params: Option<IgnoredAny>,
    headers: Option<IgnoredAny>,
    notifier_headers: Option<IgnoredAny>,
    debug: Option<IgnoredAny>,
    partial_response_strategy: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRule {
    record: Option<String>,
    alert: Option<String>,
    expr: Option<String>,
    #[serde(rename = "for")]
    hold: Option<HumanDuration>,
    keep_firing_for: Option<HumanDuration>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    debug: Option<IgnoredAny>,
    update_entries_limit: Option<IgnoredAny>,
}

/// A checked rule file.
#[derive(Debug, Default)]
pub struct RuleFile {
    pub groups: Vec<GroupConfig>,
    /// What was given and has no effect, with its line.
    pub warnings: Vec<(u64, String)>,
}

/// A group of rules that are evaluated in order.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    pub name: String,
    pub file: String,
    /// `None`: the global evaluation interval.
    pub interval: Option<Duration>,
    /// `None`: the global offset.
    pub query_offset: Option<Duration>,
    /// Most alerts or series that one rule may give; 0 = no limit.
    pub limit: u64,
    pub rules: Vec<RuleConfig>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleConfig {
    /// Metric name of a recording rule, or name of an alert.
    pub name: String,
    pub query: String,
    pub expr: Arc<Expr>,
    pub kind: RuleKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    Recording {
        labels: LabelSet,
    },
    Alerting {
        hold: Duration,
        keep_firing_for: Duration,
        labels: Vec<(String, Template)>,
        annotations: Vec<(String, Template)>,
    },
}

/// Two rules are equal when they were written alike.
impl PartialEq for RuleConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.query == other.query && self.kind == other.kind
    }
}

impl PartialEq for GroupConfig {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.file, self.interval, self.query_offset, self.limit, &self.rules)
            == (&other.name, &other.file, other.interval, other.query_offset, other.limit, &other.rules)
    }
}

impl RuleFile {
    /// Reads a rule file; `file` is its name for display.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        Self::parse_with(text, file, &Syntax::default())
    }

    /// As [`parse`](Self::parse), with other PromQL than the default.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse_with(text: &str, file: &str, syntax: &Syntax) -> Result<Self, YamlError> {
        let mut out = Self::default();
        let mut names = HashSet::new();
        for document in settings::from_yaml_documents::<Option<RawFile>>(text)? {
            let document = document.unwrap_or_default();
            for group in document.groups.unwrap_or_default() {
                let (line, column) = (group.line, group.column);
                let config = check_group(group.value, (file, line), syntax, &mut out.warnings)
                    .map_err(|error| error.or_at(line, column))?;
                if !names.insert(config.name.clone()) {
                    let message = format!("groupname: {:?} is repeated in the same file", config.name);
                    return Err(YamlError::at(line, column, message));
                }
                out.groups.push(config);
            }
            if document.namespace.is_some() {
                out.warnings.push((1, "key \"namespace\" of a rule file has no effect here".to_owned()));
            }
        }
        Ok(out)
    }
}

/// A mistake whose place may still be unknown.
struct Mistake(String, Option<(u64, u64)>);

impl Mistake {
    fn or_at(self, line: u64, column: u64) -> YamlError {
        let (line, column) = self.1.unwrap_or((line, column));
        YamlError::at(line, column, self.0)
    }
}

impl From<String> for Mistake {
    fn from(message: String) -> Self {
        Self(message, None)
    }
}

fn check_group(
    raw: RawGroup,
    (file, line): (&str, u64),
    syntax: &Syntax,
    warnings: &mut Vec<(u64, String)>,
) -> Result<GroupConfig, Mistake> {
    let name = raw.name.clone().unwrap_or_default();
    if name.is_empty() {
        return Err("groupname must not be empty".to_owned().into());
    }
    for key in raw.without_effect() {
        warnings.push((line, format!("key {key:?} of rule group {name:?} has no effect here")));
    }
    let group_labels = raw.labels.unwrap_or_default();
    check_labels(&group_labels)?;
    let mut rules = Vec::new();
    for (index, rule) in raw.rules.unwrap_or_default().into_iter().enumerate() {
        let at = Some((rule.line, rule.column));
        let described = rule.value.alert.clone().or_else(|| rule.value.record.clone()).unwrap_or_default();
        let checked = check_rule(rule.value, &group_labels, syntax).map_err(|message| {
            Mistake(format!("group {name:?}, rule {}, {described:?}: {message}", index + 1), at)
        })?;
        rules.push(checked);
    }
    Ok(GroupConfig {
        name,
        file: file.to_owned(),
        interval: raw.interval.map(|interval| interval.0).filter(|interval| !interval.is_zero()),
        query_offset: raw.query_offset.map(|offset| offset.0),
        limit: raw.limit.unwrap_or_default(),
        rules,
    })
}

impl RawGroup {
    fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("type", self.kind.is_some()),
            ("eval_offset", self.eval_offset.is_some()),
            ("eval_delay", self.eval_delay.is_some()),
            ("eval_alignment", self.eval_alignment.is_some()),
            ("concurrency", self.concurrency.is_some()),
            ("params", self.params.is_some()),
            ("headers", self.headers.is_some()),
            ("notifier_headers", self.notifier_headers.is_some()),
            ("debug", self.debug.is_some()),
            ("partial_response_strategy", self.partial_response_strategy.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
    }
}

fn check_rule(
    raw: RawRule,
    group_labels: &BTreeMap<String, String>,
    syntax: &Syntax,
) -> Result<RuleConfig, String> {
    let query = raw.expr.unwrap_or_default();
    if query.trim().is_empty() {
        return Err("field 'expr' must be set in rule".to_owned());
    }
    let expr = Arc::new(
        promql::parse_with(&query, syntax).map_err(|error| format!("could not parse expression: {error}"))?,
    );
    let own_labels = raw.labels.unwrap_or_default();
    check_labels(&own_labels)?;
    let mut labels = group_labels.clone();
    labels.extend(own_labels);
    match (raw.record, raw.alert) {
        (Some(record), None) => {
            if raw.hold.is_some() || raw.keep_firing_for.is_some() || raw.annotations.is_some() {
                return Err("'for', 'keep_firing_for' and 'annotations' are not allowed in a recording rule"
                    .to_owned());
            }
            if record.is_empty() || record.contains(['{', '}']) {
                return Err(format!("invalid recording rule name: {record}"));
            }
            let mut set = LabelSetBuilder::new();
            for (name, value) in &labels {
                set.set(name, value);
            }
            Ok(RuleConfig { name: record, query, expr, kind: RuleKind::Recording { labels: set.build() } })
        }
        (None, Some(alert)) if !alert.is_empty() => Ok(RuleConfig {
            name: alert,
            query,
            expr,
            kind: RuleKind::Alerting {
                hold: raw.hold.unwrap_or_default().0,
                keep_firing_for: raw.keep_firing_for.unwrap_or_default().0,
                labels: templates(labels, "label")?,
                annotations: templates(raw.annotations.unwrap_or_default(), "annotation")?,
            },
        }),
        (Some(_), Some(_)) => Err("only one of 'record' and 'alert' must be set".to_owned()),
        _ => Err("one of 'record' or 'alert' must be set".to_owned()),
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    for name in labels.keys() {
        if name.is_empty() || name == METRIC_NAME {
            return Err(format!("invalid label name: {name:?}"));
        }
    }
    Ok(())
}

fn templates(texts: BTreeMap<String, String>, what: &str) -> Result<Vec<(String, Template)>, String> {
    let mut out = Vec::with_capacity(texts.len());
    for (name, text) in texts {
        let template =
            Template::parse(&text).map_err(|error| format!("template of {what} {name:?}: {error}"))?;
        out.push((name, template));
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
