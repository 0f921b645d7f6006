//! The file as it is written, and checked.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use settings::{HumanDuration, Located, YamlError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::GroupConfig;
use crate::unit_test::run::{self, TestReport};

/// Evaluations of one test over all its time: a limit against a typing mistake in an interval.
const EVALUATIONS_MAX: u128 = 1_000_000;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// A checked file of unit tests.
#[derive(Debug)]
pub struct UnitTestFile {
    /// Patterns of rule files, relative to the file's folder.
    pub rule_files: Vec<String>,
    pub(super) evaluation_interval: Duration,
    pub(super) group_eval_order: Vec<String>,
    pub(super) fuzzy_compare: bool,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    rule_files: Option<Vec<String>>,
    evaluation_interval: Option<HumanDuration>,
    group_eval_order: Option<Vec<Located<String>>>,
    fuzzy_compare: Option<bool>,
    tests: Option<Vec<Located<Test>>>,
}

/// One test: its input, and what must come out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Test {
    pub(super) name: Option<String>,
    pub(super) interval: Option<HumanDuration>,
    input_series: Option<Vec<InputSeries>>,
    alert_rule_test: Option<Vec<AlertCase>>,
    promql_expr_test: Option<Vec<ExprCase>>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) external_url: String,
    #[serde(deserialize_with = "unix_ms")]
    pub(super) start_timestamp: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

/// Which alerts fire at one time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertCase {
    pub(super) eval_time: HumanDuration,
    pub(super) alertname: String,
    exp_alerts: Option<Vec<ExpectedAlert>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectedAlert {
    pub(super) exp_labels: Option<BTreeMap<String, String>>,
    pub(super) exp_annotations: Option<BTreeMap<String, String>>,
}

/// What an expression gives at one time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExprCase {
    pub(super) expr: String,
    pub(super) eval_time: HumanDuration,
    exp_samples: Option<Vec<ExpectedSample>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectedSample {
    pub(super) labels: Option<String>,
    pub(super) value: f64,
    /// When given, `value` does not count.
    pub(super) histogram: Option<String>,
}

impl Test {
    pub(super) fn input_series(&self) -> &[InputSeries] {
        self.input_series.as_deref().unwrap_or_default()
    }

    pub(super) fn alert_cases(&self) -> &[AlertCase] {
        self.alert_rule_test.as_deref().unwrap_or_default()
    }

    pub(super) fn expr_cases(&self) -> &[ExprCase] {
        self.promql_expr_test.as_deref().unwrap_or_default()
    }

    /// The last `eval_time`.
    pub(super) fn eval_time_max(&self) -> Duration {
        let alerts = self.alert_cases().iter().map(|case| case.eval_time.0);
        let exprs = self.expr_cases().iter().map(|case| case.eval_time.0);
        alerts.chain(exprs).max().unwrap_or_default()
    }
}

impl AlertCase {
    pub(super) fn expected(&self) -> &[ExpectedAlert] {
        self.exp_alerts.as_deref().unwrap_or_default()
    }
}

impl ExprCase {
    pub(super) fn expected(&self) -> &[ExpectedSample] {
        self.exp_samples.as_deref().unwrap_or_default()
    }
}

impl UnitTestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse(text: &str) -> Result<Self, YamlError> {
        let raw = settings::from_yaml::<Option<RawFile>>(text)?.unwrap_or_default();
        let given = raw.evaluation_interval.map(|interval| interval.0);
        let evaluation_interval = given.filter(|interval| !interval.is_zero()).unwrap_or(DEFAULT_INTERVAL);
        let group_eval_order = raw.group_eval_order.unwrap_or_default();
        let mut seen = HashSet::new();
        if let Some(twice) = group_eval_order.iter().find(|name| !seen.insert(name.value.as_str())) {
            let message = format!("group name repeated in evaluation order: {}", twice.value);
            return Err(YamlError::at(twice.line, twice.column, message));
        }
        let mut tests = Vec::new();
        for Located { value: mut test, line, column } in raw.tests.unwrap_or_default() {
            let evaluations = test.eval_time_max().as_nanos() / evaluation_interval.as_nanos();
            if evaluations > EVALUATIONS_MAX {
                let message = format!(
                    "the test needs {evaluations} evaluations, more than the limit of {EVALUATIONS_MAX}: \
                     use a longer evaluation_interval or an earlier eval_time"
                );
                return Err(YamlError::at(line, column, message));
            }
            if test.alert_cases().iter().any(|case| case.alertname.is_empty()) {
                let message = "an item under alert_rule_test misses its alertname";
                return Err(YamlError::at(line, column, message));
            }
            test.interval = test.interval.filter(|interval| !interval.0.is_zero());
            tests.push(test);
        }
        Ok(Self {
            rule_files: raw.rule_files.unwrap_or_default(),
            evaluation_interval,
            group_eval_order: group_eval_order.into_iter().map(|name| name.value).collect(),
            fuzzy_compare: raw.fuzzy_compare.unwrap_or_default(),
            tests,
        })
    }

    /// Runs the tests whose name passes `wanted` on the groups of the rule files. Blocks.
    pub fn run(&self, groups: &[GroupConfig], wanted: &dyn Fn(&str) -> bool) -> Vec<TestReport> {
        let named = self.tests.iter().enumerate();
        let chosen = named.filter(|(_, test)| wanted(test.name.as_deref().unwrap_or_default()));
        chosen
            .map(|(index, test)| {
                let name = test.name.clone().filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| format!("unnamed#{index}"));
                TestReport { name, failures: run::run(self, test, groups) }
            })
            .collect()
    }
}

/// RFC 3339 or Unix seconds.
fn unix_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    if let Ok(seconds) = text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; times that far are no use")]
        return Ok((seconds * 1_000.0).round() as i64);
    }
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
        serde::de::Error::custom(format!("{text:?} is neither Unix seconds nor an RFC 3339 time"))
    })?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(serde::de::Error::custom)
}
