//! A job as it runs, written like an item of `scrape_configs`: every default filled, secrets as `<secret>`.
//!
//! What is written here is read again as the same job. Keys that have no effect are not written.

use serde_json::{Map, Value, json};

use crate::ScrapeConfig;
use crate::config::{HistogramSettings, ScrapeLimits};

impl ScrapeConfig {
    /// The job in YAML.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        let members = self.own_members().into_iter().chain(self.shared_members());
        push_members(&mut out, 0, members.filter(|(_, value)| !is_nothing(value)));
        out
    }

    fn own_members(&self) -> Vec<(&'static str, Value)> {
        let protocols: Vec<&str> = self.protocols.iter().map(|protocol| protocol.name()).collect();
        let HistogramSettings { native, always_classic, convert_classic, buckets_max, bucket_factor_min } =
            self.histograms;
        let limits = &self.limits;
        vec![
            ("job_name", json!(self.job_name)),
            ("honor_labels", json!(self.honor_labels)),
            ("honor_timestamps", json!(self.honor_timestamps)),
            ("track_timestamps_staleness", json!(self.track_timestamps_staleness)),
            ("params", json!(self.params)),
            ("scrape_interval", json!(stdx::format_duration(self.interval))),
            ("scrape_timeout", json!(stdx::format_duration(self.timeout))),
            ("scrape_protocols", json!(protocols)),
            ("fallback_scrape_protocol", json!(self.fallback_protocol.map(|protocol| protocol.name()))),
            ("scrape_native_histograms", json!(native)),
            ("always_scrape_classic_histograms", json!(always_classic)),
            ("convert_classic_histograms_to_nhcb", json!(convert_classic)),
            ("native_histogram_bucket_limit", above_zero(buckets_max)),
            (
                "native_histogram_min_bucket_factor",
                json!((bucket_factor_min > 0.0).then_some(bucket_factor_min)),
            ),
            ("metrics_path", json!(self.metrics_path)),
            ("scheme", json!(self.scheme)),
            ("enable_compression", json!(self.enable_compression)),
            ("metric_name_escaping_scheme", json!(self.name_escaping)),
        ]
        .into_iter()
        .chain(limit_members(limits))
        .chain([("keep_dropped_targets", above_zero(self.keep_dropped_targets))])
        .collect()
    }

    /// What jobs share with other users of targets and of HTTP.
    fn shared_members(&self) -> Vec<(&'static str, Value)> {
        let groups = self.sources.static_groups.iter();
        let groups: Vec<Value> =
            groups.map(|group| json!({"targets": group.addresses, "labels": group.labels})).collect();
        vec![
            ("follow_redirects", json!(self.http.follow_redirects)),
            ("basic_auth", json!(self.http.basic_auth)),
            ("authorization", json!(self.http.authorization)),
            ("tls_config", json!(self.http.tls)),
            ("http_headers", json!(self.http.headers)),
            ("relabel_configs", json!(self.relabel)),
            ("metric_relabel_configs", json!(self.metric_relabel)),
            ("static_configs", groups.into()),
            ("file_sd_configs", json!(self.sources.files)),
        ]
    }
}

fn limit_members(limits: &ScrapeLimits) -> [(&'static str, Value); 6] {
    let bytes = (limits.body_bytes > 0).then(|| format!("{}B", limits.body_bytes));
    [
        ("body_size_limit", json!(bytes)),
        ("sample_limit", above_zero(limits.samples)),
        ("target_limit", above_zero(limits.targets)),
        ("label_limit", above_zero(limits.labels)),
        ("label_name_length_limit", above_zero(limits.label_name_bytes)),
        ("label_value_length_limit", above_zero(limits.label_value_bytes)),
    ]
}

fn above_zero(limit: u64) -> Value {
    json!((limit > 0).then_some(limit))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

fn push_members<'m, N: AsRef<str>>(
    out: &mut String,
    indent: usize,
    members: impl Iterator<Item = (N, Value)> + 'm,
) {
    for (name, value) in members {
        out.push_str(&" ".repeat(indent));
        out.push_str(&scalar(name.as_ref()));
        out.push(':');
        push_value(out, indent, value);
    }
}

/// What follows a key or a dash: a scalar on the same line, or deeper lines.
fn push_value(out: &mut String, indent: usize, value: Value) {
    match value {
        Value::Array(items) => {
            out.push('\n');
            for item in items {
                let mut block = String::new();
                push_item(&mut block, indent + 2, item);
                out.push_str(&format!("{}- {}", " ".repeat(indent), block.trim_start()));
            }
        }
        Value::Object(members) => {
            out.push('\n');
            push_members(out, indent + 2, something(members));
        }
        Value::String(text) => out.push_str(&format!(" {}\n", scalar(&text))),
        other => out.push_str(&format!(" {other}\n")),
    }
}

fn push_item(out: &mut String, indent: usize, item: Value) {
    match item {
        Value::Object(members) => push_members(out, indent, something(members)),
        other => push_value(out, indent, other),
    }
}

fn something(members: Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    members.into_iter().filter(|(_, value)| !is_nothing(value))
}

/// As it is where YAML reads it as this very text, in quotes otherwise.
fn scalar(text: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-' | b':');
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    // `15s` is text; `0x1f` and `1e5` are numbers.
    let is_measure = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c == 'B')
        && !text.contains(['x', 'o', '.', ':', '-', '_']);
    let is_keyword = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(text));
    let is_plain =
        (begins_well || is_measure) && !is_keyword && text.bytes().all(is_word) && !text.ends_with(':');
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::expect;

    use crate::{RawScrapeConfig, ScrapeDefaults};

    fn effective(yaml: &str) -> String {
        let raw: RawScrapeConfig = settings::from_yaml(yaml).expect("well-formed");
        raw.resolve(&ScrapeDefaults::default(), Path::new("/etc")).expect("valid").to_yaml()
    }

    const EVERYTHING: &str = r#"
job_name: "yes"
scrape_interval: 15s
params: {module: ["http 2xx", "0x1f"]}
scrape_protocols: [PrometheusProto, PrometheusText0.0.4]
fallback_scrape_protocol: PrometheusText0.0.4
body_size_limit: 10MB
sample_limit: 5
label_limit: 30
keep_dropped_targets: 7
native_histogram_bucket_limit: 160
native_histogram_min_bucket_factor: 1.1
basic_auth: {username: me, password: hunter2}
tls_config: {ca_file: ca.pem, insecure_skip_verify: true}
http_headers: {X-Tenant: {values: [a], secrets: [hunter2]}}
relabel_configs:
- {source_labels: [__address__, a], regex: "(.*):1", target_label: instance}
- {action: labeldrop, regex: __meta_.*}
- {action: hashmod, source_labels: [a], modulus: 8, target_label: shard}
static_configs: [{targets: ["a:1", "[::1]:2"], labels: {zone: "5"}}, {targets: [c]}]
file_sd_configs: [{files: [t.json], refresh_interval: 1m}]
"#;

    #[test]
    fn what_is_written_is_read_as_the_same_job() {
        for yaml in ["job_name: a", EVERYTHING] {
            let written = effective(yaml);
            assert_eq!(effective(&written), written);
            assert!(!written.contains("hunter2"), "{written}");
        }
    }

    #[test]
    fn defaults_are_filled_and_secrets_hidden() {
        expect![[r#"
            job_name: "yes"
            honor_labels: false
            honor_timestamps: true
            track_timestamps_staleness: false
            params:
              module:
              - "http 2xx"
              - "0x1f"
            scrape_interval: 15s
            scrape_timeout: 10s
            scrape_protocols:
            - PrometheusProto
            - PrometheusText0.0.4
            fallback_scrape_protocol: PrometheusText0.0.4
            scrape_native_histograms: false
            always_scrape_classic_histograms: false
            convert_classic_histograms_to_nhcb: false
            native_histogram_bucket_limit: 160
            native_histogram_min_bucket_factor: 1.1
            metrics_path: /metrics
            scheme: http
            enable_compression: true
            metric_name_escaping_scheme: allow-utf-8
            body_size_limit: 10485760B
            sample_limit: 5
            label_limit: 30
            keep_dropped_targets: 7
            follow_redirects: true
            basic_auth:
              password: "<secret>"
              username: me
            tls_config:
              ca_file: /etc/ca.pem
              insecure_skip_verify: true
            http_headers:
              X-Tenant:
                secrets:
                - "<secret>"
                values:
                - a
            relabel_configs:
            - action: replace
              regex: "(.*):1"
              replacement: "$1"
              separator: ";"
              source_labels:
              - __address__
              - a
              target_label: instance
            - action: labeldrop
              regex: "__meta_.*"
              replacement: "$1"
              separator: ";"
            - action: hashmod
              modulus: 8
              regex: "(.*)"
              replacement: "$1"
              separator: ";"
              source_labels:
              - a
              target_label: shard
            static_configs:
            - labels:
                zone: "5"
              targets:
              - a:1
              - "[::1]:2"
            - targets:
              - c
            file_sd_configs:
            - files:
              - /etc/t.json
              refresh_interval: 1m
        "#]]
        .assert_eq(&effective(EVERYTHING));
    }
}
