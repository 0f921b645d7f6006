//! Reads the file and all files it names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use alerts::{AlertmanagerConfig, ExternalAlertmanager};
use discovery::relabel::relabel;
use model::{LabelSet, LabelSetBuilder};
use rules::{RuleFile, TemplateGlobals};
use scrape::{RawScrapeConfig, ScrapeDefaults};
use settings::{Located, from_yaml};

use super::raw::{
    AlertmanagerSection, Item, RawAlertmanager, RawConfig, RawGlobal, RawScrapeConfigFile, SyncMode,
};
use super::redact::redact;
use super::{Config, ConfigError, Downsampling, Limits, Loaded, Warning, check, remotes};

/// Largest configuration or rule file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;
const ALERTMANAGER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Reads a configuration file and the files it names. Blocks on the disk.
///
/// # Errors
/// The first mistake with its file, line and column.
#[expect(clippy::disallowed_methods, reason = "an edge: external labels may name environment variables")]
pub fn load(path: &Path, syntax: promql::Syntax) -> Result<Loaded, ConfigError> {
    load_with(path, syntax, &|name| std::env::var(name).ok())
}

/// As [`load`], with the environment handed in.
pub(super) fn load_with(
    path: &Path,
    syntax: promql::Syntax,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let text = read(path)?;
    let raw: Option<RawConfig> = from_yaml(&text).map_err(|error| ConfigError::of_yaml(path, error))?;
    let mut loader = Loader {
        file: path,
        base: path.parent().unwrap_or_else(|| Path::new("")),
        warnings: Vec::new(),
        config: Config { text: redact(&text), syntax, ..Config::default() },
    };
    loader.fill(raw.unwrap_or_default(), environment)?;
    Ok(Loaded { config: loader.config, warnings: loader.warnings })
}

struct Loader<'l> {
    file: &'l Path,
    /// Relative paths start here.
    base: &'l Path,
    warnings: Vec<Warning>,
    config: Config,
}

impl Loader<'_> {
    fn fill(
        &mut self,
        raw: RawConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let (at, global) = located(raw.global);
        let defaults = check::scrape_defaults(&global).map_err(|message| self.error(at, message))?;
        self.global(&global, at.0, raw.external_url.as_ref(), environment);
        self.scrape(raw.scrape_configs, raw.scrape_config_files, &defaults)?;
        self.rule_files(raw.rule_files.unwrap_or_default())?;
        if let Some(alerting) = raw.alerting {
            self.config.alerting.relabel = alerting.alert_relabel_configs.unwrap_or_default();
            self.alertmanagers(alerting.alertmanagers.unwrap_or_default())?;
        }
        self.routing(raw.alertmanager_config)?;
        self.remotes(raw.remote_write, raw.remote_read)?;
        let (at, storage) = located(raw.storage);
        check::storage(&storage).map_err(|message| self.error(at, message))?;
        self.storage(storage, at.0);
        if let Some(Located { value, line, column }) = raw.otlp {
            let legacy_names = defaults.name_validation.as_deref() == Some("legacy");
            check::otlp(&value, legacy_names).map_err(|message| self.error((line, column), message))?;
            self.config.otlp = check::metric_options(value);
        }
        if let Some(Located { value, line, column }) = raw.tracing {
            check::tracing(&value).map_err(|message| self.error((line, column), message))?;
            self.warn(line, "tracing: sending our own traces elsewhere is not built yet and has no effect");
        }
        self.ours(raw.traces, raw.analysis, raw.limits);
        Ok(())
    }

    fn error(&self, at: (u64, u64), message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, at, message)
    }

    fn warn(&mut self, line: u64, message: impl Into<String>) {
        self.warnings.push(Warning { file: self.file.to_owned(), line, message: message.into() });
    }

    fn global(
        &mut self,
        global: &RawGlobal,
        line: u64,
        external_url: Option<&Located<String>>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) {
        let mut external_labels = LabelSetBuilder::new();
        for (name, value) in global.external_labels.iter().flatten() {
            let (expanded, missing) = expand(value, environment);
            for variable in missing {
                self.warn(
                    line,
                    format!("external label {name:?}: environment variable {variable:?} is not set"),
                );
            }
            external_labels.set(name, &expanded);
        }
        let globals = TemplateGlobals {
            external_labels: external_labels.build(),
            external_url: external_url.map(|url| url.value.clone()).unwrap_or_default(),
        };
        self.config.external_url = external_url.map(|url| url.value.clone());
        self.config.alerting.globals = globals.clone();
        self.config.rules.globals = globals;
        if let Some(interval) = global.evaluation_interval.filter(|interval| !interval.0.is_zero()) {
            self.config.rules.interval = interval.0;
        }
        self.config.rules.query_offset = global.rule_query_offset.unwrap_or_default().0;
        let without_effect = [
            ("query_log_file", global.query_log_file.is_some()),
            ("scrape_failure_log_file", global.scrape_failure_log_file.is_some()),
            ("extra_scrape_metrics", global.extra_scrape_metrics == Some(true)),
        ];
        for (key, _) in without_effect.into_iter().filter(|(_, given)| *given) {
            self.warn(line, format!("global.{key} is not built yet and has no effect"));
        }
    }

    fn scrape(
        &mut self,
        jobs: Option<Vec<Item<RawScrapeConfig>>>,
        files: Option<Vec<Located<String>>>,
        defaults: &ScrapeDefaults,
    ) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        let own = (self.file.to_owned(), jobs.unwrap_or_default());
        let mut sources = vec![own];
        for pattern in files.unwrap_or_default() {
            for path in self.matching(&pattern, "scrape config file")? {
                let text = read(&path)?;
                let file: Option<RawScrapeConfigFile> =
                    from_yaml(&text).map_err(|error| ConfigError::of_yaml(&path, error))?;
                sources.push((path, file.unwrap_or_default().scrape_configs.unwrap_or_default()));
            }
        }
        for (file, jobs) in sources {
            for Located { value, line, column } in jobs {
                let error = |message: String| ConfigError::at(&file, (line, column), message);
                let raw = value.ok_or_else(|| error("empty or null scrape config section".to_owned()))?;
                // As in Prometheus, paths of a scrape config file start at that file.
                let base = file.parent().unwrap_or_else(|| Path::new(""));
                let config = raw.resolve(defaults, base).map_err(error)?;
                if !names.insert(config.job_name.clone()) {
                    let message =
                        format!("found multiple scrape configs with job name {:?}", config.job_name);
                    return Err(error(message));
                }
                for missing in &config.not_built {
                    let message = format!("job {:?}: {missing}", config.job_name);
                    self.warnings.push(Warning { file: file.clone(), line, message });
                }
                self.config.scrape_configs.push(config);
            }
        }
        Ok(())
    }

    /// Files of a pattern in which `*` stands only in the last component.
    fn matching(&mut self, pattern: &Located<String>, what: &str) -> Result<Vec<PathBuf>, ConfigError> {
        let folder = pattern.value.rsplit_once('/').map_or("", |(folder, _)| folder);
        if pattern.value.is_empty() || folder.contains('*') {
            let message =
                format!("invalid {what} path {:?} (* may stand only in the last component)", pattern.value);
            return Err(self.error((pattern.line, pattern.column), message));
        }
        let found = discovery::glob(&self.base.join(&pattern.value));
        if found.is_empty() {
            self.warn(pattern.line, format!("no {what} matches {:?}", pattern.value));
        }
        Ok(found)
    }

    fn rule_files(&mut self, patterns: Vec<Located<String>>) -> Result<(), ConfigError> {
        let mut seen = HashSet::new();
        for pattern in patterns {
            for path in self.matching(&pattern, "rule file")? {
                if !seen.insert(path.clone()) {
                    continue;
                }
                let name = path.display().to_string();
                let file = RuleFile::parse_with(&read(&path)?, &name, &self.config.syntax)
                    .map_err(|error| ConfigError::of_yaml(&path, error))?;
                for (line, message) in file.warnings {
                    self.warnings.push(Warning { file: path.clone(), line, message });
                }
                self.config.rule_groups.extend(file.groups);
            }
        }
        Ok(())
    }

    fn alertmanagers(&mut self, alertmanagers: Vec<Item<RawAlertmanager>>) -> Result<(), ConfigError> {
        for Located { value, line, column } in alertmanagers {
            let at = (line, column);
            let raw = value.ok_or_else(|| self.error(at, "empty or null Alertmanager config section"))?;
            let targets =
                external_alertmanagers(&raw, self.base).map_err(|message| self.error(at, message))?;
            for missing in targets.not_built {
                self.warn(line, format!("alertmanagers: {missing}"));
            }
            self.config.alerting.alertmanagers.extend(targets.found);
        }
        Ok(())
    }

    fn routing(&mut self, section: Option<Located<AlertmanagerSection>>) -> Result<(), ConfigError> {
        let Some(Located { value, .. }) = section else { return Ok(()) };
        let (file, checked) = match value {
            AlertmanagerSection::Inline(raw) => (self.file.to_owned(), raw.check(self.base)),
            AlertmanagerSection::Path(path) => {
                let path = self.base.join(path);
                let text = read(&path)?;
                let base = path.parent().unwrap_or_else(|| Path::new(""));
                let checked = AlertmanagerConfig::parse(&text, base);
                (path, checked)
            }
        };
        let routing = checked.map_err(|error| ConfigError::of_yaml(&file, error))?;
        for (line, message) in &routing.warnings {
            self.warnings.push(Warning { file: file.clone(), line: *line, message: message.clone() });
        }
        self.config.alerting.routing = Some(routing);
        Ok(())
    }

    fn remotes(
        &mut self,
        writes: Option<Vec<Item<super::raw::RawRemoteWrite>>>,
        reads: Option<Vec<Item<super::raw::RawRemoteRead>>>,
    ) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        for Located { value, line, column } in writes.unwrap_or_default() {
            let at = (line, column);
            let raw = value.ok_or_else(|| self.error(at, "empty or null remote write config section"))?;
            check::remote_write(&raw).map_err(|message| self.error(at, message))?;
            let external_labels = &self.config.rules.globals.external_labels;
            let remote = remotes::write_config(&raw, self.base, external_labels)
                .map_err(|message| self.error(at, message))?;
            if let Some(name) = raw.name.clone().filter(|name| !names.insert(name.clone())) {
                let message = format!("found multiple remote write configs with job name {name:?}");
                return Err(self.error(at, message));
            }
            for missing in remote.not_built {
                self.warn(line, format!("remote_write: {missing}"));
            }
            self.config.remote_write.push(remote.config);
        }
        let mut names = HashSet::new();
        for Located { value, line, column } in reads.unwrap_or_default() {
            let at = (line, column);
            let raw = value.ok_or_else(|| self.error(at, "empty or null remote read config section"))?;
            check::remote_read(&raw).map_err(|message| self.error(at, message))?;
            let external_labels = &self.config.rules.globals.external_labels;
            let remote = remotes::read_config(&raw, self.base, external_labels)
                .map_err(|message| self.error(at, message))?;
            if let Some(name) = raw.name.clone().filter(|name| !names.insert(name.clone())) {
                let message = format!("found multiple remote read configs with job name {name:?}");
                return Err(self.error(at, message));
            }
            for missing in remote.not_built {
                self.warn(line, format!("remote_read: {missing}"));
            }
            self.config.remote_read.push(remote.config);
        }
        Ok(())
    }

    fn storage(&mut self, storage: super::raw::RawStorage, line: u64) {
        self.config.sync_always = storage.sync == Some(SyncMode::Always);
        if storage.exemplars.is_some() {
            self.warn(line, "storage.exemplars has no effect: the newest 100000 exemplars are kept");
        }
        if let Some(downsampling) = storage.downsampling {
            let default = Downsampling::default();
            self.config.downsampling = Downsampling {
                five_minutes: downsampling.five_minutes.map_or(default.five_minutes, |kept| kept.0),
                one_hour: downsampling.one_hour.map_or(default.one_hour, |kept| kept.0),
            };
        }
        if let Some(bytes) = storage.background_bytes_per_second.filter(|bytes| bytes.0 > 0) {
            self.config.background_bytes_per_second = bytes.0;
        }
        let Some(tsdb) = storage.tsdb else { return };
        self.config.out_of_order_window = tsdb.out_of_order_time_window.unwrap_or_default().0;
        let without_effect = [
            ("stale_series_compaction_threshold", tsdb.stale_series_compaction_threshold.is_some()),
            ("chunk_encoding", tsdb.chunk_encoding.is_some()),
        ];
        for (key, _) in without_effect.into_iter().filter(|(_, given)| *given) {
            self.warn(line, format!("storage.tsdb.{key} has no meaning here: the store decides that itself"));
        }
        let Some(retention) = tsdb.retention else { return };
        if let Some(time) = retention.time.filter(|time| !time.0.is_zero()) {
            self.config.metrics_retention = time.0;
        }
        self.config.metrics_retention_bytes = retention.size.map(|size| size.0).filter(|bytes| *bytes > 0);
        if retention.percentage.is_some_and(|percentage| percentage > 0.0) {
            self.warn(line, "storage.tsdb.retention.percentage is not built yet and has no effect");
        }
    }

    fn ours(
        &mut self,
        traces: Option<super::raw::RawTraces>,
        analysis: Option<super::raw::RawAnalysis>,
        limits: Option<super::raw::RawLimits>,
    ) {
        if let Some(retention) = traces.and_then(|traces| traces.retention) {
            self.config.traces_retention = retention.0;
        }
        let interval = analysis.and_then(|analysis| analysis.write_interval);
        if let Some(interval) = interval.filter(|interval| !interval.0.is_zero()) {
            self.config.analysis_write_interval = interval.0;
        }
        if let Some(limits) = limits {
            self.config.limits = Limits {
                request_body_bytes: limits.request_body.map(|size| size.0),
                request_decoded_bytes: limits.request_decoded.map(|size| size.0),
                ingest_concurrency: limits.ingest_concurrency,
                query_concurrency: limits.query_concurrency,
                query_queue: limits.query_queue,
                answer_streams: limits.answer_streams,
                delta_streams: limits.delta_streams,
                remote_write_queue_bytes: limits.remote_write_queue.map(|size| size.0),
                query_samples: limits.query_samples,
                query_series: limits.query_series,
                query_memory_bytes: limits.query_memory.map(|size| size.0),
                query_timeout: limits.query_timeout.map(|timeout| timeout.0),
            };
        }
    }
}

struct FoundAlertmanagers {
    found: Vec<ExternalAlertmanager>,
    not_built: Vec<String>,
}

fn external_alertmanagers(raw: &RawAlertmanager, base: &Path) -> Result<FoundAlertmanagers, String> {
    let sources = raw.target_sources(base)?;
    let http = raw.http_client(base)?;
    let version = raw.api_version.as_deref().unwrap_or("v2");
    if version != "v2" {
        return Err(format!("expected Alertmanager api version to be one of [v2] but got {version}"));
    }
    let scheme = raw.scheme.as_deref().unwrap_or("http");
    let mut not_built: Vec<String> =
        sources.not_built.iter().map(|key| format!("{key} is not built yet")).collect();
    let tls = http.tls.as_ref().map(|_| "tls_config");
    not_built.extend(
        http.not_built
            .iter()
            .copied()
            .chain(tls)
            .map(|key| format!("{key} is not built yet and has no effect")),
    );
    if !sources.files.is_empty() {
        not_built.push("file_sd_configs is not built yet for Alertmanagers".to_owned());
    }
    if raw.sigv4.is_some() {
        not_built.push("sigv4 is not built yet and has no effect".to_owned());
    }
    if scheme == "https" {
        not_built.push("scheme https: TLS is not built yet, alerts will not arrive".to_owned());
    }
    let prefix = raw.path_prefix.as_deref().unwrap_or("/").trim_end_matches('/');
    let path = format!(
        "{}{prefix}/api/v2/alerts",
        if prefix.is_empty() || prefix.starts_with('/') { "" } else { "/" }
    );
    let rules = raw.relabel_configs.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for labels in sources.static_groups.iter().flat_map(|group| group.label_sets()) {
        let mut labels = labels.to_builder();
        labels.set("__scheme__", scheme).set("__alerts_path__", &path);
        let Some(labels) = relabel(&labels.build(), rules) else { continue };
        found.push(ExternalAlertmanager {
            url: alerts_url(&labels),
            timeout: raw.timeout.map_or(ALERTMANAGER_TIMEOUT, |timeout| timeout.0),
            http: http.clone(),
            relabel: raw.alert_relabel_configs.clone().unwrap_or_default(),
        });
    }
    Ok(FoundAlertmanagers { found, not_built })
}

fn alerts_url(labels: &LabelSet) -> String {
    let label = |name| labels.get(name).unwrap_or_default();
    format!("{}://{}{}", label("__scheme__"), label(discovery::ADDRESS), label("__alerts_path__"))
}

fn located<T: Default>(section: Option<Located<T>>) -> ((u64, u64), T) {
    section.map_or_else(|| ((0, 0), T::default()), |section| ((section.line, section.column), section.value))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let error = |message: String| ConfigError::at(path, (0, 0), message);
    let metadata = std::fs::metadata(path).map_err(|cause| error(format!("cannot read: {cause}")))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(error(format!(
            "file has {} bytes, more than the limit of {FILE_BYTES_MAX}",
            metadata.len()
        )));
    }
    let bytes = std::fs::read(path).map_err(|cause| error(format!("cannot read: {cause}")))?;
    String::from_utf8(bytes).map_err(|cause| {
        let offset = cause.utf8_error().valid_up_to();
        error(format!("not UTF-8 at byte {offset}"))
    })
}

/// Replaces `${X}` and `$X`; `$$` is a dollar. Also gives the variables that are not set.
fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let (mut out, mut missing) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, after) = rest.split_at(dollar);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, tail) = braced.unwrap_or_else(|| {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            after.split_at(end)
        });
        match environment(name) {
            Some(value) => out.push_str(&value),
            None if name.is_empty() => out.push('$'),
            None => missing.push(name.to_owned()),
        }
        rest = tail;
    }
    out.push_str(rest);
    (out, missing)
}
