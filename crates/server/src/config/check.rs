//! Rules of single sections, in the words of Prometheus where it has a sentence for them.

use std::collections::HashSet;
use std::time::Duration;

use scrape::{ScrapeDefaults, ScrapeLimits, ScrapeProtocol, check_name_schemes};
use settings::{HumanDuration, check_headers};
use wire::otlp::{MetricOptions, TranslationStrategy};

use super::raw::{RawGlobal, RawOtlp, RawQueue, RawRemoteRead, RawRemoteWrite, RawStorage, RawTracing};

/// `global`, as jobs inherit it.
pub(super) fn scrape_defaults(global: &RawGlobal) -> Result<ScrapeDefaults, String> {
    let built_in = ScrapeDefaults::default();
    let positive = |given: Option<HumanDuration>| given.map(|given| given.0).filter(|given| !given.is_zero());
    let interval = positive(global.scrape_interval).unwrap_or(built_in.interval);
    let timeout = positive(global.scrape_timeout).unwrap_or(built_in.timeout.min(interval));
    if timeout > interval {
        return Err("global scrape timeout greater than scrape interval".to_owned());
    }
    check_name_schemes(
        global.metric_name_validation_scheme.as_deref(),
        global.metric_name_escaping_scheme.as_deref(),
    )?;
    for (name, value) in global.external_labels.iter().flatten() {
        if name.is_empty() || name.contains('\u{fffd}') {
            return Err(format!("{name:?} is not a valid label name"));
        }
        if value.contains('\u{fffd}') {
            return Err(format!("{value:?} is not a valid label value"));
        }
    }
    let protocols =
        global.scrape_protocols.as_ref().map(|names| ScrapeProtocol::parse_list(names)).transpose()?;
    Ok(ScrapeDefaults {
        interval,
        timeout,
        protocols,
        limits: ScrapeLimits {
            body_bytes: global.body_size_limit.unwrap_or_default().0,
            samples: global.sample_limit.unwrap_or_default(),
            targets: global.target_limit.unwrap_or_default(),
            labels: global.label_limit.unwrap_or_default(),
            label_name_bytes: global.label_name_length_limit.unwrap_or_default(),
            label_value_bytes: global.label_value_length_limit.unwrap_or_default(),
        },
        keep_dropped_targets: global.keep_dropped_targets.unwrap_or_default(),
        scrape_native_histograms: global.scrape_native_histograms.unwrap_or(false),
        always_scrape_classic_histograms: global.always_scrape_classic_histograms.unwrap_or(false),
        convert_classic_histograms: global.convert_classic_histograms_to_nhcb.unwrap_or(false),
        name_validation: global.metric_name_validation_scheme.clone(),
        name_escaping: global.metric_name_escaping_scheme.clone(),
    })
}

pub(super) fn remote_write(config: &RawRemoteWrite) -> Result<(), String> {
    if config.url.as_deref().unwrap_or_default().is_empty() {
        return Err("url for remote_write is empty".to_owned());
    }
    check_headers(config.headers.iter().flat_map(|headers| headers.keys()))?;
    let message = config.protobuf_message.as_deref().unwrap_or("prometheus.WriteRequest");
    if !["prometheus.WriteRequest", "io.prometheus.write.v2.Request"].contains(&message) {
        return Err(format!(
            "invalid protobuf_message value: unknown type for remote write protobuf message {message}, supported: \
             prometheus.WriteRequest, io.prometheus.write.v2.Request"
        ));
    }
    let cloud_ways = [config.sigv4.is_some(), config.azuread.is_some(), config.google_iam.is_some()];
    let http_ways = [config.basic_auth.is_some(), config.authorization.is_some(), config.oauth2.is_some()];
    if cloud_ways.into_iter().chain(http_ways).filter(|given| *given).count() > 1 {
        return Err("at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured"
            .to_owned());
    }
    config.queue_config.as_ref().map_or(Ok(()), queue)
}

fn queue(queue: &RawQueue) -> Result<(), String> {
    let positive = [
        ("max_samples_per_send", queue.max_samples_per_send),
        ("max_shards", queue.max_shards),
        ("min_shards", queue.min_shards),
        ("capacity", queue.capacity),
    ];
    for (key, value) in positive {
        if value.is_some_and(|value| value <= 0) {
            return Err(format!("remote write queue {key} must be positive"));
        }
    }
    if queue.min_shards.unwrap_or(1) > queue.max_shards.unwrap_or(50) {
        return Err("remote write queue min_shards must not be greater than max_shards".to_owned());
    }
    let min_backoff = queue.min_backoff.map_or(Duration::from_millis(30), |backoff| backoff.0);
    let max_backoff = queue.max_backoff.map_or(Duration::from_secs(5), |backoff| backoff.0);
    if max_backoff < min_backoff {
        return Err("remote write queue max_backoff must not be less than min_backoff".to_owned());
    }
    Ok(())
}

pub(super) fn remote_read(config: &RawRemoteRead) -> Result<(), String> {
    if config.url.as_deref().unwrap_or_default().is_empty() {
        return Err("url for remote_read is empty".to_owned());
    }
    check_headers(config.headers.iter().flat_map(|headers| headers.keys()))
}

pub(super) fn storage(storage: &RawStorage) -> Result<(), String> {
    let Some(tsdb) = &storage.tsdb else { return Ok(()) };
    let floats = tsdb.chunk_encoding.as_ref().and_then(|encoding| encoding.floats.as_deref());
    if let Some(floats) = floats.filter(|floats| !["xor", "xor2"].contains(floats)) {
        return Err(format!(
            "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got \
             {floats:?}"
        ));
    }
    let percentage = tsdb.retention.as_ref().and_then(|retention| retention.percentage);
    if percentage.is_some_and(|percentage| !(0.0..=100.0).contains(&percentage)) {
        return Err("'storage.tsdb.retention.percentage' must be in the range [0, 100]".to_owned());
    }
    Ok(())
}

pub(super) fn otlp(otlp: &RawOtlp, legacy_names: bool) -> Result<(), String> {
    let all = otlp.promote_all_resource_attributes.unwrap_or(false);
    let promoted = otlp.promote_resource_attributes.as_deref().unwrap_or_default();
    let ignored = otlp.ignore_resource_attributes.as_deref().unwrap_or_default();
    if all && !promoted.is_empty() {
        return Err(
            "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured \
                    simultaneously"
                .to_owned(),
        );
    }
    if !all && !ignored.is_empty() {
        return Err("'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true"
            .to_owned());
    }
    for (key, attributes) in
        [("promote_resource_attributes", promoted), ("ignore_resource_attributes", ignored)]
    {
        let mut seen = HashSet::new();
        for attribute in attributes {
            let name = attribute.trim();
            if name.is_empty() {
                return Err(format!("invalid '{key}': empty OTel resource attribute"));
            }
            if !seen.insert(name) {
                return Err(format!("invalid '{key}': duplicated OTel resource attribute {name:?}"));
            }
        }
    }
    let strategies = [
        "UnderscoreEscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoUTF8EscapingWithSuffixes",
        "NoTranslation",
    ];
    let strategy = otlp.translation_strategy.as_deref().filter(|strategy| !strategy.is_empty());
    let strategy = strategy.unwrap_or("UnderscoreEscapingWithSuffixes");
    if !strategies.contains(&strategy) {
        let meant = settings::nearest(strategy, strategies).map(|word| format!(" (did you mean {word:?}?)"));
        return Err(format!(
            "unsupported OTLP translation strategy {strategy:?}{}",
            meant.unwrap_or_default()
        ));
    }
    if legacy_names && strategy.starts_with("No") {
        return Err(format!(
            "OTLP translation strategy {strategy:?} is not allowed when UTF8 is disabled (metric_name_validation_scheme)"
        ));
    }
    Ok(())
}

/// A checked section as the decoder wants it.
pub(super) fn metric_options(otlp: RawOtlp) -> MetricOptions {
    let default = MetricOptions::default();
    let strategy = otlp.translation_strategy.as_deref().and_then(TranslationStrategy::parse);
    let trimmed = |names: Option<Vec<String>>| -> Vec<String> {
        names.unwrap_or_default().iter().map(|name| name.trim().to_owned()).collect()
    };
    MetricOptions {
        strategy: strategy.unwrap_or(default.strategy),
        promote_resource_attributes: trimmed(otlp.promote_resource_attributes),
        promote_all_resource_attributes: otlp.promote_all_resource_attributes.unwrap_or(false),
        ignore_resource_attributes: trimmed(otlp.ignore_resource_attributes),
        keep_identifying_resource_attributes: otlp.keep_identifying_resource_attributes.unwrap_or(false),
        convert_histograms_to_nhcb: otlp.convert_histograms_to_nhcb.unwrap_or(false),
        promote_scope_metadata: otlp.promote_scope_metadata.unwrap_or(false),
        label_name_underscore_sanitization: otlp
            .label_name_underscore_sanitization
            .unwrap_or(default.label_name_underscore_sanitization),
        label_name_preserve_multiple_underscores: otlp
            .label_name_preserve_multiple_underscores
            .unwrap_or(default.label_name_preserve_multiple_underscores),
    }
}

pub(super) fn tracing(tracing: &RawTracing) -> Result<(), String> {
    if tracing.endpoint.as_deref().unwrap_or_default().is_empty() {
        return Err("tracing endpoint must be set".to_owned());
    }
    for name in tracing.headers.iter().flat_map(|headers| headers.keys()) {
        if name.eq_ignore_ascii_case("authorization") {
            return Err("custom authorization header configuration is not yet supported".to_owned());
        }
        check_headers([name])?;
    }
    let compression = tracing.compression.as_deref().unwrap_or_default();
    if !["", "gzip"].contains(&compression) {
        return Err(format!("invalid compression type {compression} provided, valid options: gzip"));
    }
    let client = tracing.client_type.as_deref().unwrap_or("grpc");
    if !["grpc", "http"].contains(&client) {
        return Err(format!("unknown tracing client type: {client} (grpc or http)"));
    }
    Ok(())
}
