//! Runs one test.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, ManualClock};
use eino_metrics_core::Registry;
use model::{LabelSet, LabelSetBuilder, METRIC_NAME};
use promql::series::{self, Item, SeriesLine};
use promql::{Engine, EngineConfig};

use super::compare::{self, Failure, FiringAlert, Sample};
use super::file::{AlertCase, ExprCase, Test, UnitTestFile};
use super::store::TestStore;
use crate::config::GroupConfig;
use crate::group::{Group, RuleSettings, RuleStores, query_vector};
use crate::metrics::Metrics;
use crate::status::{AlertState, RuleHealth, RuleStatus};
use crate::template::TemplateGlobals;

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// As written, else `unnamed#INDEX`.
    pub name: String,
    /// Empty: it passed.
    pub failures: Vec<Failure>,
}

/// A test that runs: its store, its groups, and what has not been checked yet.
struct Running<'t> {
    file: &'t UnitTestFile,
    test: &'t Test,
    start_ms: i64,
    stores: RuleStores,
    store: Arc<TestStore>,
    groups: Vec<Group>,
    input: Vec<Input>,
    clock: Clock,
    metrics: Metrics,
    failures: Vec<Failure>,
}

/// An input series and how much of it is in the store.
struct Input {
    line: SeriesLine,
    loaded: usize,
}

pub(super) fn run(file: &UnitTestFile, test: &Test, groups: &[GroupConfig]) -> Vec<Failure> {
    let input = match input(test) {
        Ok(input) => input,
        Err(failure) => return vec![failure],
    };
    let mut running = Running::new(file, test, groups, input);
    let steps = test.eval_time_max().as_nanos() / file.evaluation_interval.as_nanos();
    let mut since_start = Duration::ZERO;
    for _ in 0..=steps {
        if !running.step(since_start) {
            return running.failures;
        }
        since_start = since_start.saturating_add(file.evaluation_interval);
    }
    for case in test.expr_cases() {
        running.check_expr(case);
    }
    running.failures
}

fn input(test: &Test) -> Result<Vec<Input>, Failure> {
    let mut input = Vec::new();
    for line in test.input_series() {
        let text = format!("{} {}", line.series, line.values);
        let what = || format!("input series {:?}", line.series);
        let line = series::parse(&text).map_err(|error| Failure::error(what(), Duration::ZERO, error))?;
        input.push(Input { line, loaded: 0 });
    }
    Ok(input)
}

impl<'t> Running<'t> {
    fn new(file: &'t UnitTestFile, test: &'t Test, groups: &[GroupConfig], input: Vec<Input>) -> Self {
        // Nothing here takes longer than its samples allow: the clock that measures timeouts stands still.
        let clock = ManualClock::at_unix_ms(0).clock();
        let config = EngineConfig { subquery_step: file.evaluation_interval, ..EngineConfig::default() };
        let store = Arc::new(TestStore::default());
        let stores = RuleStores {
            engine: Arc::new(Engine::new(config, clock.clone())),
            source: Arc::clone(&store) as _,
            sink: Arc::clone(&store) as _,
        };
        let settings = RuleSettings {
            interval: test.interval.map_or(file.evaluation_interval, |interval| interval.0),
            globals: TemplateGlobals {
                external_labels: label_set(&test.external_labels),
                external_url: test.external_url.clone(),
            },
            ..RuleSettings::default()
        };
        let order = |group: &&GroupConfig| {
            file.group_eval_order.iter().position(|name| *name == group.name).unwrap_or(0)
        };
        let mut ordered: Vec<&GroupConfig> = groups.iter().collect();
        ordered.sort_by_key(order);
        let groups = ordered.into_iter().map(|config| Group::new_restored(config.clone(), settings.clone()));
        Self {
            file,
            test,
            start_ms: test.start_timestamp,
            stores,
            store,
            groups: groups.collect(),
            input,
            clock,
            metrics: Metrics::new(&Registry::new()),
            failures: Vec::new(),
        }
    }

    /// Input, rules and alerts of one evaluation time. Answers whether the test goes on.
    fn step(&mut self, since_start: Duration) -> bool {
        let now_ms = self.start_ms.saturating_add(millis(since_start));
        self.load_until(now_ms);
        for group in &mut self.groups {
            group.evaluate(now_ms, &self.stores, &self.clock, &self.metrics);
        }
        let errors: Vec<Failure> =
            self.groups.iter().flat_map(|group| rule_errors(group, since_start)).collect();
        if !errors.is_empty() {
            self.failures.extend(errors);
            return false;
        }
        let until = since_start.saturating_add(self.file.evaluation_interval);
        for case in self.test.alert_cases() {
            if (since_start..until).contains(&case.eval_time.0) {
                self.check_alert(case);
            }
        }
        true
    }

    fn load_until(&mut self, now_ms: i64) {
        let interval_ms =
            millis(self.test.interval.map_or(self.file.evaluation_interval, |interval| interval.0));
        let mut source = self.store.lock();
        for Input { line, loaded } in &mut self.input {
            while let Some(item) = line.values.get(*loaded) {
                let index = i64::try_from(*loaded).unwrap_or(i64::MAX);
                let ts_ms = self.start_ms.saturating_add(index.saturating_mul(interval_ms));
                if ts_ms > now_ms {
                    break;
                }
                match item {
                    Item::Gap => {}
                    Item::Value(value) => source.insert(&line.labels, ts_ms, *value),
                    Item::Histogram { histogram, .. } => {
                        source.insert_histogram(&line.labels, ts_ms, histogram.clone());
                    }
                }
                *loaded += 1;
            }
        }
    }

    fn check_alert(&mut self, case: &AlertCase) {
        let statuses: Vec<_> = self.groups.iter().map(Group::status).collect();
        let mut firing: Vec<FiringAlert> = Vec::new();
        for rule in statuses.iter().flat_map(|group| &group.rules) {
            let RuleStatus::Alerting(rule) = rule else { continue };
            let alerts = rule.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
            if rule.name == case.alertname {
                firing.extend(alerts.map(|alert| (alert.labels.clone(), alert.annotations.clone())));
            }
        }
        let diff = compare::alerts(&case.alertname, case.expected(), firing);
        if !diff.is_empty() {
            let what = format!("alert {:?}", case.alertname);
            self.failures.push(Failure { what, at: case.eval_time.0, error: None, diff });
        }
    }

    fn check_expr(&mut self, case: &ExprCase) {
        let what = format!("expr {:?}", case.expr);
        match self.samples(case) {
            Err(error) => self.failures.push(Failure::error(what, case.eval_time.0, error)),
            Ok((expected, got)) => {
                let diff = compare::samples(&expected, &got, self.file.fuzzy_compare);
                if !diff.is_empty() {
                    self.failures.push(Failure { what, at: case.eval_time.0, error: None, diff });
                }
            }
        }
    }

    /// What is expected, and what the expression gives.
    fn samples(&self, case: &ExprCase) -> Result<(Vec<Sample>, Vec<Sample>), String> {
        let at_ms = self.start_ms.saturating_add(millis(case.eval_time.0));
        let expr = self.stores.engine.parse(&case.expr).map_err(|error| error.to_string())?;
        let mut got = query_vector(&self.stores, &expr, at_ms)?;
        got.sort_by(|left, right| left.0.cmp(&right.0));
        Ok((compare::expected_samples(case.expected())?, got))
    }
}

fn rule_errors(group: &Group, since_start: Duration) -> Vec<Failure> {
    let status = group.status();
    let failed = status.rules.into_iter().filter_map(|rule| {
        let (name, health, error) = match rule {
            RuleStatus::Alerting(rule) => (rule.name, rule.health, rule.last_error),
            RuleStatus::Recording(rule) => (rule.name, rule.health, rule.last_error),
        };
        let failed = health == RuleHealth::Err;
        failed.then(|| Failure::error(format!("rule {name:?}"), since_start, error.unwrap_or_default()))
    });
    failed.collect()
}

fn label_set(pairs: &std::collections::BTreeMap<String, String>) -> LabelSet {
    let mut builder = LabelSetBuilder::new();
    for (name, value) in pairs.iter().filter(|(name, _)| *name != METRIC_NAME) {
        builder.set(name, value);
    }
    builder.build()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
