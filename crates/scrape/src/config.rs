//! Scrape settings: as they are written ([`RawScrapeConfig`]), and checked with every default filled ([`ScrapeConfig`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use discovery::{RelabelRule, TargetSources};
use serde::Deserialize;
use settings::{HttpClientConfig, HumanBytes, HumanDuration};

use crate::protocol::ScrapeProtocol;

discovery::with_targets! {
    /// An item of `scrape_configs` as it is written: every key of Prometheus 3.14. `None` means the global value or the
    /// default.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct RawScrapeConfig {
        pub job_name: Option<String>,
        pub scrape_interval: Option<HumanDuration>,
        pub scrape_timeout: Option<HumanDuration>,
        pub metrics_path: Option<String>,
        pub scheme: Option<String>,
        pub params: Option<BTreeMap<String, Vec<String>>>,
        pub honor_labels: Option<bool>,
        pub honor_timestamps: Option<bool>,
        pub track_timestamps_staleness: Option<bool>,
        pub enable_compression: Option<bool>,
        pub scrape_protocols: Option<Vec<String>>,
        pub fallback_scrape_protocol: Option<String>,
        pub body_size_limit: Option<HumanBytes>,
        pub sample_limit: Option<u64>,
        pub target_limit: Option<u64>,
        pub label_limit: Option<u64>,
        pub label_name_length_limit: Option<u64>,
        pub label_value_length_limit: Option<u64>,
        pub keep_dropped_targets: Option<u64>,
        pub native_histogram_bucket_limit: Option<u64>,
        pub native_histogram_min_bucket_factor: Option<f64>,
        pub scrape_native_histograms: Option<bool>,
        pub always_scrape_classic_histograms: Option<bool>,
        pub scrape_classic_histograms: Option<bool>,
        pub convert_classic_histograms_to_nhcb: Option<bool>,
        pub extra_scrape_metrics: Option<bool>,
        pub metric_name_validation_scheme: Option<String>,
        pub metric_name_escaping_scheme: Option<String>,
        pub scrape_failure_log_file: Option<PathBuf>,
        pub relabel_configs: Option<Vec<RelabelRule>>,
        pub metric_relabel_configs: Option<Vec<RelabelRule>>,
    }
}

/// What `global` gives to jobs that do not say it themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeDefaults {
    pub interval: Duration,
    pub timeout: Duration,
    pub protocols: Option<Vec<ScrapeProtocol>>,
    pub limits: ScrapeLimits,
    pub keep_dropped_targets: u64,
    pub scrape_native_histograms: bool,
    pub always_scrape_classic_histograms: bool,
    pub convert_classic_histograms: bool,
    /// `None` means utf8.
    pub name_validation: Option<String>,
    pub name_escaping: Option<String>,
}

/// Bounds of one scrape; 0 = no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Of the body after decompression. Without a bound, 256 MiB.
    pub body_bytes: u64,
    /// Of samples kept after relabelling.
    pub samples: u64,
    /// Of targets of the job.
    pub targets: u64,
    pub labels: u64,
    pub label_name_bytes: u64,
    pub label_value_bytes: u64,
}

/// What becomes of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HistogramSettings {
    /// Native histograms are asked for and kept.
    pub native: bool,
    /// Classic buckets of a histogram are kept beside its native form.
    pub always_classic: bool,
    /// Classic histograms become native ones with custom bounds.
    pub convert_classic: bool,
    /// Most buckets of a native histogram, 0 = no bound: a finer one is merged down, or fails the scrape.
    pub buckets_max: u64,
    /// Least factor from one bucket to the next: a finer histogram is merged down. 0 = none.
    pub bucket_factor_min: f64,
}

/// A scrape job, checked, with every default filled.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub metrics_path: String,
    pub scheme: String,
    pub params: BTreeMap<String, Vec<String>>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub enable_compression: bool,
    pub protocols: Vec<ScrapeProtocol>,
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// How targets are asked to write names beyond letters, digits, `_` and `:`.
    pub name_escaping: String,
    pub limits: ScrapeLimits,
    pub histograms: HistogramSettings,
    /// How many dropped targets are remembered for display; 0 = all.
    pub keep_dropped_targets: u64,
    pub relabel: Vec<RelabelRule>,
    pub metric_relabel: Vec<RelabelRule>,
    pub sources: TargetSources,
    pub http: HttpClientConfig,
    /// What was asked for and has no effect yet, in words.
    pub not_built: Vec<String>,
}

impl Default for ScrapeDefaults {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            protocols: None,
            limits: ScrapeLimits::default(),
            keep_dropped_targets: 0,
            scrape_native_histograms: false,
            always_scrape_classic_histograms: false,
            convert_classic_histograms: false,
            name_validation: None,
            name_escaping: None,
        }
    }
}

impl RawScrapeConfig {
    /// Checks the job and fills what it leaves to `defaults`; relative files start at `base`.
    ///
    /// # Errors
    /// A sentence that names the key and the job.
    pub fn resolve(&self, defaults: &ScrapeDefaults, base: &Path) -> Result<ScrapeConfig, String> {
        let job_name = self.job_name.clone().unwrap_or_default();
        if job_name.is_empty() {
            return Err("job_name is empty".to_owned());
        }
        let of_job = |detail: String| format!("{detail} for scrape config with job name {job_name:?}");
        let (interval, timeout) = self.times(defaults).map_err(of_job)?;
        let scheme = self.scheme.clone().unwrap_or_else(|| "http".to_owned());
        if scheme != "http" && scheme != "https" {
            return Err(of_job(format!("unknown scheme {scheme:?} (http or https)")));
        }
        check_name_schemes(
            self.metric_name_validation_scheme.as_deref().or(defaults.name_validation.as_deref()),
            self.metric_name_escaping_scheme.as_deref().or(defaults.name_escaping.as_deref()),
        )
        .map_err(of_job)?;
        let fallback_protocol =
            self.fallback_scrape_protocol.as_deref().map(ScrapeProtocol::parse).transpose();
        let fallback_protocol = fallback_protocol.map_err(|error| {
            format!("invalid fallback_scrape_protocol for scrape config with job name {job_name:?}: {error}")
        })?;
        let protocols = match &self.scrape_protocols {
            Some(names) => Some(ScrapeProtocol::parse_list(names).map_err(of_job)?),
            None => defaults.protocols.clone(),
        };
        let histograms = self.histograms(defaults);
        let sources = self.target_sources(base).map_err(of_job)?;
        let http = self.http_client(base).map_err(of_job)?;
        let not_built = self.not_built(&sources, &http);
        Ok(ScrapeConfig {
            interval,
            timeout,
            metrics_path: self.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            scheme,
            params: self.params.clone().unwrap_or_default(),
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            enable_compression: self.enable_compression.unwrap_or(true),
            protocols: protocols.unwrap_or_else(|| ScrapeProtocol::defaults(histograms.native)),
            fallback_protocol,
            name_escaping: self.name_escaping(defaults),
            limits: self.limits(&defaults.limits),
            histograms,
            keep_dropped_targets: self.keep_dropped_targets.unwrap_or(defaults.keep_dropped_targets),
            relabel: self.relabel_configs.clone().unwrap_or_default(),
            metric_relabel: self.metric_relabel_configs.clone().unwrap_or_default(),
            sources,
            http,
            not_built,
            job_name,
        })
    }

    fn times(&self, defaults: &ScrapeDefaults) -> Result<(Duration, Duration), String> {
        let given =
            |value: Option<HumanDuration>| value.map(|value| value.0).filter(|value| !value.is_zero());
        let interval = given(self.scrape_interval).unwrap_or(defaults.interval);
        let timeout = given(self.scrape_timeout).unwrap_or(defaults.timeout.min(interval));
        if timeout > interval {
            return Err("scrape timeout greater than scrape interval".to_owned());
        }
        Ok((interval, timeout))
    }

    fn name_escaping(&self, defaults: &ScrapeDefaults) -> String {
        let given = |own: &Option<String>, default: &Option<String>| {
            own.clone().or_else(|| default.clone()).filter(|scheme| !scheme.is_empty())
        };
        given(&self.metric_name_escaping_scheme, &defaults.name_escaping).unwrap_or_else(|| {
            let validation = given(&self.metric_name_validation_scheme, &defaults.name_validation);
            let is_legacy = validation.as_deref() == Some("legacy");
            if is_legacy { "underscores" } else { "allow-utf-8" }.to_owned()
        })
    }

    fn histograms(&self, defaults: &ScrapeDefaults) -> HistogramSettings {
        HistogramSettings {
            native: self.scrape_native_histograms.unwrap_or(defaults.scrape_native_histograms),
            always_classic: self
                .always_scrape_classic_histograms
                .or(self.scrape_classic_histograms)
                .unwrap_or(defaults.always_scrape_classic_histograms),
            convert_classic: self
                .convert_classic_histograms_to_nhcb
                .unwrap_or(defaults.convert_classic_histograms),
            buckets_max: self.native_histogram_bucket_limit.unwrap_or(0),
            bucket_factor_min: self.native_histogram_min_bucket_factor.unwrap_or(0.0),
        }
    }

    fn limits(&self, defaults: &ScrapeLimits) -> ScrapeLimits {
        let pick = |own: Option<u64>, default: u64| own.filter(|limit| *limit != 0).unwrap_or(default);
        ScrapeLimits {
            body_bytes: pick(self.body_size_limit.map(|size| size.0), defaults.body_bytes),
            samples: pick(self.sample_limit, defaults.samples),
            targets: pick(self.target_limit, defaults.targets),
            labels: pick(self.label_limit, defaults.labels),
            label_name_bytes: pick(self.label_name_length_limit, defaults.label_name_bytes),
            label_value_bytes: pick(self.label_value_length_limit, defaults.label_value_bytes),
        }
    }

    fn not_built(&self, sources: &TargetSources, http: &HttpClientConfig) -> Vec<String> {
        let mut missing = Vec::new();
        for key in sources.not_built.iter().chain(&http.not_built) {
            missing.push(format!("{key} is not built yet and has no effect"));
        }
        let switches = [
            ("extra_scrape_metrics", self.extra_scrape_metrics == Some(true)),
            ("scrape_failure_log_file", self.scrape_failure_log_file.is_some()),
        ];
        for (key, _) in switches.into_iter().filter(|(_, wanted)| *wanted) {
            missing.push(format!("{key} is not built yet and has no effect"));
        }
        missing
    }
}

/// Checks the two schemes of metric names against each other.
///
/// # Errors
/// A sentence that names the value.
pub fn check_name_schemes(validation: Option<&str>, escaping: Option<&str>) -> Result<(), String> {
    let validation = validation.filter(|scheme| !scheme.is_empty()).unwrap_or("utf8");
    if validation != "utf8" && validation != "legacy" {
        return Err(format!("unrecognized ValidationScheme: {validation:?} (utf8 or legacy)"));
    }
    let Some(escaping) = escaping.filter(|scheme| !scheme.is_empty()) else { return Ok(()) };
    if !["allow-utf-8", "underscores", "dots", "values"].contains(&escaping) {
        return Err(format!(
            "unknown metric_name_escaping_scheme {escaping:?} (allow-utf-8, underscores, dots or values)"
        ));
    }
    if escaping == "allow-utf-8" && validation != "utf8" {
        return Err("utf8 metric names requested but validation scheme is not set to UTF8".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(yaml: &str, want: Expect) {
        let raw: RawScrapeConfig = match settings::from_yaml(yaml) {
            Ok(raw) => raw,
            Err(error) => return want.assert_eq(&error.to_string()),
        };
        let got = match raw.resolve(&ScrapeDefaults::default(), Path::new("/etc")) {
            Ok(config) => {
                assert!(["allow-utf-8", "underscores"].contains(&config.name_escaping.as_str()));
                format!("{:?} {:?} {:?}", config.interval, config.timeout, config.not_built)
            }
            Err(error) => error,
        };
        want.assert_eq(&got);
    }

    #[test]
    fn jobs_are_checked_and_filled() {
        check("job_name: a", expect!["60s 10s []"]);
        check("{job_name: a, scrape_interval: 5s}", expect!["5s 5s []"]);
        check(
            "{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}",
            expect![[r#"scrape timeout greater than scrape interval for scrape config with job name "a""#]],
        );
        check("scrape_interval: 5s", expect!["job_name is empty"]);
        check(
            "{job_name: a, scheme: https, consul_sd_configs: [{}]}",
            expect![[r#"60s 10s ["consul_sd_configs is not built yet and has no effect"]"#]],
        );
        check(
            "{job_name: a, scheme: gopher}",
            expect![[r#"unknown scheme "gopher" (http or https) for scrape config with job name "a""#]],
        );
        check(
            "{job_name: a, scrape_protocols: [prometheusproto]}",
            expect![[
                r#"scrape_protocols: unknown scrape protocol prometheusproto, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0] for scrape config with job name "a""#
            ]],
        );
        check(
            "{job_name: a, fallback_scrape_protocol: x}",
            expect![[
                r#"invalid fallback_scrape_protocol for scrape config with job name "a": unknown scrape protocol x, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"#
            ]],
        );
        check(
            "{job_name: a, consult_sd_configs: []}",
            expect![[
                r#"line 1, column 15: unknown key "consult_sd_configs" (did you mean "consul_sd_configs"?)"#
            ]],
        );
        check(
            "{job_name: a, body_size_limit: 100}",
            expect![[r#"line 1, column 32: size "100" has no unit (write it like 64MiB or 10GB)"#]],
        );
        check(
            "{job_name: a, metric_relabel_configs: [null]}",
            expect!["line 1, column 40: empty or null relabeling rule"],
        );
    }
}
