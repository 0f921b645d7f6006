//! `alertmanager.yml`: as it is written, and checked.
//!
//! Routes and webhooks are built. Other receivers, inhibition, silencing intervals and templates are read, so that the
//! file loads, and named in a warning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use model::{MatchOp, Matcher};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use settings::{HttpClientConfig, HumanDuration, Located, Secret, YamlError};

use crate::matchers::parse_matcher;

const GROUP_WAIT: Duration = Duration::from_secs(30);
const GROUP_INTERVAL: Duration = Duration::from_secs(5 * 60);
const REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3_600);
/// Nested routes deeper than this are a mistake, not a policy.
const ROUTE_DEPTH_MAX: usize = 64;
const CHANNEL_SUFFIX: &str = "_configs";

/// An alertmanager.yml as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlertmanagerConfig {
    global: Option<BTreeMap<String, IgnoredValue>>,
    route: Option<Located<RawRoute>>,
    receivers: Option<Vec<Located<RawReceiver>>>,
    inhibit_rules: Option<Vec<IgnoredValue>>,
    templates: Option<Vec<IgnoredValue>>,
    mute_time_intervals: Option<Vec<IgnoredValue>>,
    time_intervals: Option<Vec<IgnoredValue>>,
    tracing: Option<IgnoredValue>,
}

/// Something that is read and has no effect.
#[derive(Clone, Copy, Debug, Default)]
struct IgnoredValue;

impl<'de> Deserialize<'de> for IgnoredValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRoute {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    #[serde(rename = "continue")]
    goes_on: Option<bool>,
    matchers: Option<Vec<String>>,
    #[serde(rename = "match")]
    equals: Option<BTreeMap<String, String>>,
    match_re: Option<BTreeMap<String, String>>,
    group_wait: Option<HumanDuration>,
    group_interval: Option<HumanDuration>,
    repeat_interval: Option<HumanDuration>,
    mute_time_intervals: Option<Vec<String>>,
    active_time_intervals: Option<Vec<String>>,
    routes: Option<Vec<Located<RawRoute>>>,
}

macro_rules! with_channels {
    ($($channel:ident)*) => {
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct RawReceiver {
            name: Option<String>,
            labels: Option<BTreeMap<String, String>>,
            webhook_configs: Option<Vec<RawWebhook>>,
            $($channel: Option<Vec<IgnoredValue>>,)*
        }

        impl RawReceiver {
            /// Channels that are given and not built yet.
            fn not_built(&self) -> Vec<&'static str> {
                let mut channels = Vec::new();
                $(if self.$channel.as_ref().is_some_and(|list| !list.is_empty()) {
                    channels.push(stringify!($channel));
                })*
                channels
            }
        }
    };
}

with_channels! {
    discord_configs email_configs incidentio_configs jira_configs mattermost_configs msteams_configs msteamsv2_configs
    opsgenie_configs pagerduty_configs pushover_configs rocketchat_configs slack_configs sns_configs telegram_configs
    victorops_configs webex_configs wechat_configs dingtalk_configs wecom_robot_configs feishu_configs
}

settings::with_http_client! {
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct RawHttpConfig {}
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawWebhook {
    send_resolved: Option<bool>,
    url: Option<Secret>,
    url_file: Option<std::path::PathBuf>,
    max_alerts: Option<u64>,
    timeout: Option<HumanDuration>,
    http_config: Option<RawHttpConfig>,
    payload: Option<IgnoredValue>,
}

/// A checked alertmanager.yml.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertmanagerConfig {
    pub route: Route,
    pub receivers: HashMap<String, Receiver>,
    /// What was given and has no effect yet, with its line.
    pub warnings: Vec<(u64, String)>,
}

/// A node of the routing tree. Values that a child does not give are its parent's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    pub receiver: String,
    /// Every one must match; none at the root.
    pub matchers: Vec<Matcher>,
    pub group_by: GroupBy,
    /// Whether siblings after a match are tried too.
    pub goes_on: bool,
    pub group_wait: Duration,
    pub group_interval: Duration,
    pub repeat_interval: Duration,
    pub routes: Vec<Route>,
}

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// `['...']`: every alert is its own group.
    All,
    /// Ascending.
    Labels(Vec<String>),
}

impl Default for GroupBy {
    fn default() -> Self {
        Self::Labels(Vec::new())
    }
}

/// Where notifications go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receiver {
    pub webhooks: Vec<WebhookConfig>,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    pub url: Secret,
    pub url_file: Option<std::path::PathBuf>,
    pub send_resolved: bool,
    /// Most alerts in one message; 0 = all.
    pub max_alerts: u64,
    /// Of one attempt.
    pub timeout: Duration,
    pub http: HttpClientConfig,
}

impl AlertmanagerConfig {
    /// Reads an alertmanager.yml; relative files start at `base`.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn parse(text: &str, base: &std::path::Path) -> Result<Self, YamlError> {
        settings::from_yaml::<RawAlertmanagerConfig>(text)?.check(base)
    }
}

impl RawAlertmanagerConfig {
    /// Checks the configuration; relative files start at `base`.
    ///
    /// # Errors
    /// The first mistake with its line.
    pub fn check(self, base: &std::path::Path) -> Result<AlertmanagerConfig, YamlError> {
        let mut warnings = Vec::new();
        let given = [
            ("inhibit_rules", self.inhibit_rules.as_ref().is_some_and(|rules| !rules.is_empty())),
            ("templates", self.templates.as_ref().is_some_and(|templates| !templates.is_empty())),
            ("mute_time_intervals", self.mute_time_intervals.is_some()),
            ("time_intervals", self.time_intervals.is_some()),
            ("tracing", self.tracing.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            warnings.push((
                1,
                format!("{key} of the Alertmanager configuration is not built yet and has no effect"),
            ));
        }
        let mut receivers = HashMap::new();
        for Located { value, line, column } in self.receivers.unwrap_or_default() {
            let (name, receiver) = check_receiver(value, line, base, &mut warnings)
                .map_err(|message| YamlError::at(line, column, message))?;
            if receivers.insert(name.clone(), receiver).is_some() {
                return Err(YamlError::at(
                    line,
                    column,
                    format!("notification config name {name:?} is not unique"),
                ));
            }
        }
        let Some(root) = self.route else {
            return Err(YamlError::at(1, 1, "no route provided in config"));
        };
        let parent = Route {
            group_wait: GROUP_WAIT,
            group_interval: GROUP_INTERVAL,
            repeat_interval: REPEAT_INTERVAL,
            ..Route::default()
        };
        let (line, column) = (root.line, root.column);
        let route = check_route(root, &parent, 0, &mut warnings)?;
        if route.receiver.is_empty() {
            return Err(YamlError::at(line, column, "root route must specify a default receiver"));
        }
        if !route.matchers.is_empty() {
            return Err(YamlError::at(line, column, "root route must not have any matchers"));
        }
        let mut used = HashSet::new();
        collect_receivers(&route, &mut used);
        if let Some(missing) = used.iter().find(|name| !receivers.contains_key(**name)) {
            let mut error =
                YamlError::at(line, column, format!("undefined receiver {missing:?} used in route"));
            error.suggestion =
                settings::nearest(missing, receivers.keys().map(String::as_str)).map(str::to_owned);
            return Err(error);
        }
        Ok(AlertmanagerConfig { route, receivers, warnings })
    }
}

fn collect_receivers<'r>(route: &'r Route, used: &mut HashSet<&'r str>) {
    used.insert(&route.receiver);
    for child in &route.routes {
        collect_receivers(child, used);
    }
}

fn check_route(
    raw: Located<RawRoute>,
    parent: &Route,
    depth: usize,
    warnings: &mut Vec<(u64, String)>,
) -> Result<Route, YamlError> {
    let Located { value: raw, line, column } = raw;
    let fail = |message: String| YamlError::at(line, column, message);
    if depth > ROUTE_DEPTH_MAX {
        return Err(fail(format!("routes are nested deeper than {ROUTE_DEPTH_MAX}")));
    }
    for (key, given) in [
        ("mute_time_intervals", raw.mute_time_intervals.is_some()),
        ("active_time_intervals", raw.active_time_intervals.is_some()),
    ] {
        if given {
            warnings.push((line, format!("{key} of a route is not built yet and has no effect")));
        }
    }
    let group_by = match &raw.group_by {
        None => parent.group_by.clone(),
        Some(labels) => check_group_by(labels).map_err(fail)?,
    };
    let positive = |given: Option<HumanDuration>, inherited: Duration, key: &str| match given {
        None => Ok(inherited),
        Some(duration) if duration.0.is_zero() => Err(format!("{key} cannot be zero")),
        Some(duration) => Ok(duration.0),
    };
    let mut route = Route {
        receiver: raw
            .receiver
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| parent.receiver.clone()),
        matchers: route_matchers(&raw).map_err(fail)?,
        group_by,
        goes_on: raw.goes_on.unwrap_or(false),
        group_wait: raw.group_wait.map_or(parent.group_wait, |wait| wait.0),
        group_interval: positive(raw.group_interval, parent.group_interval, "group_interval")
            .map_err(fail)?,
        repeat_interval: positive(raw.repeat_interval, parent.repeat_interval, "repeat_interval")
            .map_err(fail)?,
        routes: Vec::new(),
    };
    for child in raw.routes.unwrap_or_default() {
        let child = check_route(child, &route, depth + 1, warnings)?;
        route.routes.push(child);
    }
    Ok(route)
}

fn check_group_by(labels: &[String]) -> Result<GroupBy, String> {
    if labels.iter().any(|label| label == "...") {
        return match labels.len() {
            1 => Ok(GroupBy::All),
            _ => Err("cannot have wildcard group_by (`...`) and other labels at the same time".to_owned()),
        };
    }
    let mut sorted = labels.to_vec();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(format!("duplicated label {:?} in group_by", pair.first().map_or("", String::as_str)));
    }
    match sorted.iter().find(|label| label.is_empty()) {
        Some(label) => Err(format!("invalid label name {label:?} in group_by list")),
        None => Ok(GroupBy::Labels(sorted)),
    }
}

fn route_matchers(raw: &RawRoute) -> Result<Vec<Matcher>, String> {
    let mut matchers = Vec::new();
    for (name, value) in raw.equals.iter().flatten() {
        matchers.push(Matcher::equal(name, value));
    }
    for (name, value) in raw.match_re.iter().flatten() {
        matchers.push(Matcher::new(name, MatchOp::Regex, value).map_err(|error| error.to_string())?);
    }
    for text in raw.matchers.iter().flatten() {
        matchers.extend(parse_matcher(text)?);
    }
    matchers
        .sort_by(|left, right| left.name().cmp(right.name()).then_with(|| left.value().cmp(right.value())));
    Ok(matchers)
}

fn check_receiver(
    raw: RawReceiver,
    line: u64,
    base: &std::path::Path,
    warnings: &mut Vec<(u64, String)>,
) -> Result<(String, Receiver), String> {
    for channel in raw.not_built() {
        let kind = channel.trim_end_matches(CHANNEL_SUFFIX);
        let name = raw.name.as_deref().unwrap_or_default();
        warnings.push((
            line,
            format!("{channel} of receiver {name:?} is not built yet: nothing is sent to {kind}"),
        ));
    }
    let name = raw.name.clone().filter(|name| !name.is_empty()).ok_or("missing name in receiver")?;
    let mut webhooks = Vec::new();
    for webhook in raw.webhook_configs.unwrap_or_default() {
        if webhook.payload.is_some() {
            warnings.push((
                line,
                format!("payload of a webhook of receiver {name:?} is not built yet and has no effect"),
            ));
        }
        let webhook = check_webhook(webhook, base)?;
        if webhook.url.expose().starts_with("https://") {
            warnings.push((
                line,
                format!(
                    "a webhook of receiver {name:?} has an https URL: TLS is not built yet, nothing arrives"
                ),
            ));
        }
        let tls = webhook.http.tls.as_ref().map(|_| "tls_config");
        for key in webhook.http.not_built.iter().copied().chain(tls) {
            warnings.push((
                line,
                format!("http_config.{key} of receiver {name:?} is not built yet and has no effect"),
            ));
        }
        webhooks.push(webhook);
    }
    Ok((name, Receiver { webhooks }))
}

fn check_webhook(raw: RawWebhook, base: &std::path::Path) -> Result<WebhookConfig, String> {
    let url = raw.url.unwrap_or_default();
    match (url.is_empty(), &raw.url_file) {
        (true, None) => return Err("one of url or url_file must be configured".to_owned()),
        (false, Some(_)) => return Err("at most one of url & url_file must be configured".to_owned()),
        (false, None) if !url.expose().starts_with("http://") && !url.expose().starts_with("https://") => {
            return Err("unsupported scheme for the URL of a webhook (http or https)".to_owned());
        }
        _ => {}
    }
    Ok(WebhookConfig {
        url,
        url_file: raw.url_file.map(|file| base.join(file)),
        send_resolved: raw.send_resolved.unwrap_or(true),
        max_alerts: raw.max_alerts.unwrap_or_default(),
        timeout: raw
            .timeout
            .map(|timeout| timeout.0)
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(Duration::from_secs(8)),
        http: raw.http_config.unwrap_or_default().http_client(base)?,
    })
}

#[cfg(test)]
mod tests;
