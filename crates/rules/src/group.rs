//! A group of rules: evaluated in order, each rule sees what the ones before it wrote.
//!
//! ```text
//! query ─▶ recording: samples ─────────────────────┐
//!     └──▶ alerting:  state machine ─▶ ALERTS, ─────┼─▶ MetricSink      series of the last evaluation that are
//!                            │        ALERTS_FOR_STATE                  missing from this one get a stale marker
//!                            └─▶ alerts due ─▶ AlertSink
//! ```

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use model::{
    HistogramSample, LabelSet, METRIC_NAME, Matcher, MetricBatch, MetricSink, MetricSource, SampleColumns,
    TimeRange,
};
use promql::{Engine, SampleValue, Value};
use tracing::warn;

use crate::alerting::{Alert, AlertEvent, AlertingRule, EvalContext, StoredState};
use crate::config::{GroupConfig, RuleConfig, RuleKind};
use crate::metrics::Metrics;
use crate::status::{
    AlertState, AlertStatus, AlertingRuleStatus, GroupStatus, RecordingRuleStatus, RuleHealth, RuleStatus,
};
use crate::template::{QueryFn, TemplateGlobals};

/// Where rules ask, and where their results go.
#[derive(Clone)]
pub struct RuleStores {
    pub engine: Arc<Engine>,
    pub source: Arc<dyn MetricSource>,
    pub sink: Arc<dyn MetricSink>,
}

/// Times that all groups share. Defaults are Prometheus's.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// Of groups that name none. 1 m.
    pub interval: Duration,
    /// Queries look this far back from the evaluation time. 0.
    pub query_offset: Duration,
    /// A firing alert is sent again after this long. 1 m.
    pub resend_delay: Duration,
    /// How old `ALERTS_FOR_STATE` may be to be restored. 1 h.
    pub outage_tolerance: Duration,
    /// Nothing restored fires within this time after a start. 10 m.
    pub grace_period: Duration,
    pub globals: TemplateGlobals,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
            resend_delay: Duration::from_secs(60),
            outage_tolerance: Duration::from_secs(3_600),
            grace_period: Duration::from_secs(600),
            globals: TemplateGlobals::default(),
        }
    }
}

/// A group and what it remembers between evaluations.
pub struct Group {
    config: GroupConfig,
    settings: RuleSettings,
    rules: Vec<Rule>,
    last_evaluation_ms: Option<i64>,
    took: Duration,
    restored: bool,
}

struct Rule {
    config: RuleConfig,
    /// `None` for a recording rule.
    alerting: Option<AlertingRule>,
    /// Series of the last good evaluation.
    written: HashSet<LabelSet>,
    health: RuleHealth,
    last_error: Option<String>,
    took: Duration,
    last_evaluation_ms: Option<i64>,
}

impl Group {
    /// A group that has not been evaluated.
    pub fn new(config: GroupConfig, settings: RuleSettings) -> Self {
        let rules = config.rules.iter().map(|rule| Rule::new(rule.clone(), config.limit)).collect();
        Self { config, settings, rules, last_evaluation_ms: None, took: Duration::ZERO, restored: false }
    }

    /// A group that has nothing to restore: its first evaluation writes the state of its alerts.
    pub(crate) fn new_restored(config: GroupConfig, settings: RuleSettings) -> Self {
        Self { restored: true, ..Self::new(config, settings) }
    }

    /// Takes over what the same rules of `old` remember, so that a reload resets no alert.
    pub fn inherit(&mut self, old: Group) {
        let mut states: HashMap<(String, String), Vec<Rule>> = HashMap::new();
        for rule in old.rules.into_iter().rev() {
            states.entry((rule.config.name.clone(), rule.config.query.clone())).or_default().push(rule);
        }
        for rule in &mut self.rules {
            let known =
                states.get_mut(&(rule.config.name.clone(), rule.config.query.clone())).and_then(Vec::pop);
            let Some(known) = known else { continue };
            rule.written = known.written;
            if let (Some(new), Some(old)) = (&mut rule.alerting, known.alerting) {
                new.inherit(old.active);
            }
        }
        self.restored = old.restored;
        self.last_evaluation_ms = old.last_evaluation_ms;
    }

    /// How often it is evaluated.
    pub fn interval(&self) -> Duration {
        self.config.interval.unwrap_or(self.settings.interval)
    }

    /// The configuration it was made of.
    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// Evaluates all rules in order at `now_ms` and returns the alerts that are due for delivery. Blocks.
    pub fn evaluate(
        &mut self,
        now_ms: i64,
        stores: &RuleStores,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Vec<AlertEvent> {
        let group_start = clock.monotonic();
        let offset = self.config.query_offset.unwrap_or(self.settings.query_offset);
        let resend_ms = millis(self.settings.resend_delay);
        let interval_ms = millis(self.interval());
        let mut due = Vec::new();
        for rule in &mut self.rules {
            let start = clock.monotonic();
            let outcome =
                rule.evaluate(now_ms, offset, stores, &self.settings, self.restored, self.config.limit);
            rule.took = clock.monotonic().saturating_sub(start);
            rule.last_evaluation_ms = Some(now_ms);
            metrics.evaluations.inc();
            rule.health = if outcome.is_ok() { RuleHealth::Ok } else { RuleHealth::Err };
            rule.last_error = outcome.err();
            if let Some(error) = &rule.last_error {
                metrics.failures.inc();
                warn!(group = self.config.name, rule = rule.config.name, error, "rule evaluation failed");
            }
            if let Some(alerting) = &mut rule.alerting {
                due.extend(alerting.take_due(now_ms, resend_ms, interval_ms));
            }
        }
        if !self.restored {
            self.restore(now_ms, stores);
        }
        self.took = clock.monotonic().saturating_sub(group_start);
        self.last_evaluation_ms = Some(now_ms);
        metrics.group_seconds.observe(self.took.as_secs_f64());
        due
    }

    /// After the first evaluation: asks the store how long alerts were pending before a restart.
    fn restore(&mut self, now_ms: i64, stores: &RuleStores) {
        self.restored = true;
        let grace_ms = millis(self.settings.grace_period);
        let range = TimeRange::left_open_ms(now_ms - millis(self.settings.outage_tolerance), now_ms);
        for alerting in self.rules.iter_mut().filter_map(|rule| rule.alerting.as_mut()) {
            if !alerting.restores(grace_ms) {
                continue;
            }
            match stored_states(stores.source.as_ref(), alerting.name(), range) {
                Ok(states) => {
                    for (labels, stored) in states {
                        alerting.restore(&labels, stored, now_ms, grace_ms);
                    }
                }
                Err(error) => {
                    warn!(rule = alerting.name(), error, "state of alerts before the restart not known")
                }
            }
        }
    }

    /// Stale markers for everything the group wrote last: for a group that ends.
    pub fn end(&mut self, now_ms: i64, sink: &dyn MetricSink) -> Result<(), String> {
        let mut batch = MetricBatch::new();
        for rule in &mut self.rules {
            push_stale(mem::take(&mut rule.written).iter(), now_ms, &mut batch);
        }
        append(sink, &batch)
    }

    /// The shape of `/api/v1/rules`.
    pub fn status(&self) -> GroupStatus {
        GroupStatus {
            name: self.config.name.clone(),
            file: self.config.file.clone(),
            rules: self.rules.iter().map(Rule::status).collect(),
            interval_seconds: self.interval().as_secs_f64(),
            limit: self.config.limit,
            evaluation_seconds: self.took.as_secs_f64(),
            last_evaluation_ms: self.last_evaluation_ms,
        }
    }
}

impl Rule {
    fn new(config: RuleConfig, limit: u64) -> Self {
        Self {
            alerting: AlertingRule::new(&config, limit),
            config,
            written: HashSet::new(),
            health: RuleHealth::Unknown,
            last_error: None,
            took: Duration::ZERO,
            last_evaluation_ms: None,
        }
    }

    fn evaluate(
        &mut self,
        now_ms: i64,
        offset: Duration,
        stores: &RuleStores,
        settings: &RuleSettings,
        restored: bool,
        limit: u64,
    ) -> Result<(), String> {
        let at_ms = now_ms - millis(offset);
        let samples = query_vector(stores, &self.config.expr, at_ms)?;
        let mut results = Vec::new();
        match (&self.config.kind, &mut self.alerting) {
            (RuleKind::Recording { labels }, _) => {
                if limit > 0 && samples.len() as u64 > limit {
                    return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
                }
                results = recorded(&self.config.name, labels, samples)?;
            }
            (RuleKind::Alerting { .. }, Some(alerting)) => {
                let context = EvalContext {
                    ts_ms: now_ms,
                    globals: &settings.globals,
                    query: template_query(stores.clone(), at_ms),
                };
                alerting.apply(&floats(samples), &context)?;
                // Before the restore the pending times are not known: what would be written could be wrong.
                if restored || alerting.active.values().all(|alert| alert.state == AlertState::Firing) {
                    results = alert_series(alerting);
                }
            }
            (RuleKind::Alerting { .. }, None) => {}
        }
        self.write(now_ms, at_ms, &results, stores.sink.as_ref())
    }

    /// Stores the results, and stale markers for series that were there last time.
    fn write(
        &mut self,
        now_ms: i64,
        at_ms: i64,
        results: &[(LabelSet, SampleValue)],
        sink: &dyn MetricSink,
    ) -> Result<(), String> {
        let is_recording = self.alerting.is_none();
        let ts_ms = if is_recording { at_ms } else { now_ms };
        let mut batch = MetricBatch::new();
        let mut written = HashSet::with_capacity(results.len());
        for (labels, value) in results {
            batch.start_series_canonical(labels.as_ref());
            push_value(&mut batch, ts_ms, value);
            written.insert(labels.clone());
        }
        push_stale(self.written.difference(&written), ts_ms, &mut batch);
        append(sink, &batch)?;
        self.written = written;
        Ok(())
    }

    fn status(&self) -> RuleStatus {
        match (&self.alerting, &self.config.kind) {
            (Some(alerting), RuleKind::Alerting { hold, keep_firing_for, labels, annotations }) => {
                RuleStatus::Alerting(AlertingRuleStatus {
                    state: alerting.state(),
                    name: self.config.name.clone(),
                    query: self.config.query.clone(),
                    hold_seconds: hold.as_secs_f64(),
                    keep_firing_seconds: keep_firing_for.as_secs_f64(),
                    labels: texts(labels),
                    annotations: texts(annotations),
                    alerts: alert_statuses(alerting),
                    health: self.health,
                    last_error: self.last_error.clone(),
                    evaluation_seconds: self.took.as_secs_f64(),
                    last_evaluation_ms: self.last_evaluation_ms,
                    kind: "alerting",
                })
            }
            (_, kind) => RuleStatus::Recording(RecordingRuleStatus {
                name: self.config.name.clone(),
                query: self.config.query.clone(),
                labels: match kind {
                    RuleKind::Recording { labels } => labels.clone(),
                    RuleKind::Alerting { .. } => LabelSet::empty(),
                },
                health: self.health,
                last_error: self.last_error.clone(),
                evaluation_seconds: self.took.as_secs_f64(),
                last_evaluation_ms: self.last_evaluation_ms,
                kind: "recording",
            }),
        }
    }
}

pub(crate) type Samples = Vec<(LabelSet, SampleValue)>;

/// Evaluates an expression; a scalar is a vector of one sample without labels.
pub(crate) fn query_vector(stores: &RuleStores, expr: &promql::Expr, at_ms: i64) -> Result<Samples, String> {
    let result =
        stores.engine.instant(stores.source.as_ref(), expr, at_ms).map_err(|error| error.to_string())?;
    match result.value {
        Value::Vector(samples) => {
            Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect())
        }
        Value::Scalar { value, .. } => Ok(vec![(LabelSet::empty(), SampleValue::Float(value))]),
        _ => Err("rule result is not a vector or scalar".to_owned()),
    }
}

/// What alerts and templates see: a histogram has the value 0 there, as in Prometheus.
fn floats(samples: Samples) -> Vec<(LabelSet, f64)> {
    samples.into_iter().map(|(labels, value)| (labels, value.as_float().unwrap_or(0.0))).collect()
}

fn push_value(batch: &mut MetricBatch, ts_ms: i64, value: &SampleValue) {
    match value {
        SampleValue::Float(value) => batch.push_sample(ts_ms, *value),
        SampleValue::Histogram(histogram) => {
            batch.push_histogram(HistogramSample { ts_ms, start_ms: 0, histogram: histogram.clone() });
        }
    }
}

fn template_query(stores: RuleStores, at_ms: i64) -> QueryFn {
    Arc::new(move |text| {
        let expr = stores.engine.parse(text).map_err(|error| error.to_string())?;
        query_vector(&stores, &expr, at_ms).map(floats)
    })
}

/// The series of a recording rule: the rule's name and labels over the result's.
fn recorded(name: &str, labels: &LabelSet, samples: Samples) -> Result<Samples, String> {
    let mut seen = HashSet::with_capacity(samples.len());
    let mut out = Vec::with_capacity(samples.len());
    for (metric, value) in samples {
        let mut builder = metric.to_builder();
        builder.set(METRIC_NAME, name);
        for (name, value) in labels.iter() {
            builder.set(name, value);
        }
        let series = builder.build();
        if !seen.insert(series.clone()) {
            return Err(format!(
                "vector contains metrics with the same labelset after applying rule labels: {series}"
            ));
        }
        out.push((series, value));
    }
    Ok(out)
}

/// `ALERTS` and `ALERTS_FOR_STATE` of the active alerts.
fn alert_series(alerting: &AlertingRule) -> Samples {
    let active = alerting.active.iter().filter(|(_, alert)| alert.state != AlertState::Inactive);
    let mut out = Vec::new();
    for (labels, alert) in active {
        let mut series = labels.to_builder();
        series.set(METRIC_NAME, "ALERTS").set("alertstate", alert.state.as_str());
        out.push((series.build(), SampleValue::Float(1.0)));
        series.set(METRIC_NAME, "ALERTS_FOR_STATE").remove("alertstate");
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double exactly")]
        let active_at = alert.active_at_ms.div_euclid(1_000) as f64;
        out.push((series.build(), SampleValue::Float(active_at)));
    }
    out
}

/// The last `ALERTS_FOR_STATE` of each alert of a rule that had not ended.
fn stored_states(
    source: &dyn MetricSource,
    alert: &str,
    range: TimeRange,
) -> Result<Vec<(LabelSet, StoredState)>, String> {
    let matchers = [Matcher::equal(METRIC_NAME, "ALERTS_FOR_STATE"), Matcher::equal("alertname", alert)];
    let set = source.select(&matchers, range).map_err(|error| error.to_string())?;
    let mut samples = SampleColumns::default();
    let mut out = Vec::new();
    for index in 0..set.len() {
        set.read(index, &mut samples).map_err(|error| error.to_string())?;
        let (Some(seen_ms), Some(value)) = (samples.ts_ms.last(), samples.values.last()) else { continue };
        if value.is_finite() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates; a time out of range restores nothing useful"
            )]
            let active_at_ms = (value * 1_000.0) as i64;
            let labels = set.labels(index).filtered(|name| name != METRIC_NAME);
            out.push((labels, StoredState { seen_ms: *seen_ms, active_at_ms }));
        }
    }
    Ok(out)
}

fn push_stale<'l>(series: impl Iterator<Item = &'l LabelSet>, ts_ms: i64, batch: &mut MetricBatch) {
    for labels in series {
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(ts_ms, model::stale_nan());
    }
}

fn append(sink: &dyn MetricSink, batch: &MetricBatch) -> Result<(), String> {
    if batch.is_empty() {
        return Ok(());
    }
    let appended = sink.append(batch).map_err(|error| format!("results not stored: {error}"))?;
    match appended.rejected.first() {
        // The same time again, after a clock that stood still or went back, is no failure of the rule.
        None => Ok(()),
        Some(rejection) => {
            Err(format!("{} results refused: {}", appended.rejected_count(), rejection.example))
        }
    }
}

fn alert_statuses(alerting: &AlertingRule) -> Vec<AlertStatus> {
    let active = alerting.active.iter().filter(|(_, alert)| alert.state != AlertState::Inactive);
    let mut out: Vec<AlertStatus> = active.map(|(labels, alert)| alert_status(labels, alert)).collect();
    out.sort_by(|left, right| left.labels.cmp(&right.labels));
    out
}

fn alert_status(labels: &LabelSet, alert: &Alert) -> AlertStatus {
    AlertStatus {
        labels: labels.clone(),
        annotations: alert.annotations.clone(),
        state: alert.state,
        active_at_ms: alert.active_at_ms,
        keep_firing_since_ms: alert.keep_firing_since_ms,
        value: scientific(alert.value),
    }
}

/// As Go's `%e` with the fewest digits: `1e+00`.
fn scientific(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn texts(templates: &[(String, crate::template::Template)]) -> LabelSet {
    let mut builder = LabelSet::empty().to_builder();
    for (name, template) in templates {
        builder.set(name, template.text());
    }
    builder.build()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
