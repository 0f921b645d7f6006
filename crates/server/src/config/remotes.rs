//! From the sections `remote_write` and `remote_read`, which have been checked, to settings with every default filled.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use model::{LabelSet, Matcher};
use remote::{MetadataSettings, QueueSettings, ReadConfig, WriteConfig, WriteMessage};
use settings::HumanDuration;

use super::raw::{RawMetadata, RawQueue, RawRemoteRead, RawRemoteWrite};

const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const FRAME_BYTES_MAX: usize = 50_000_000;

/// A target with what was asked of it and has no effect yet, in words.
pub(super) struct Checked<T> {
    pub(super) config: T,
    pub(super) not_built: Vec<String>,
}

/// # Errors
/// A sentence on the keys of the HTTP client.
pub(super) fn write_config(
    raw: &RawRemoteWrite,
    base: &Path,
    external_labels: &LabelSet,
) -> Result<Checked<WriteConfig>, String> {
    let http = raw.http_client(base)?;
    let url = raw.url.clone().unwrap_or_default();
    let message = match raw.protobuf_message.as_deref() {
        Some("io.prometheus.write.v2.Request") => WriteMessage::V2,
        _ => WriteMessage::V1,
    };
    let mut not_built = missing(&http.not_built);
    not_built.extend(unreachable(&url));
    let cloud = [
        ("sigv4", raw.sigv4.is_some()),
        ("azuread", raw.azuread.is_some()),
        ("google_iam", raw.google_iam.is_some()),
        ("round_robin_dns", raw.round_robin_dns == Some(true)),
    ];
    not_built.extend(missing(cloud.iter().filter(|(_, given)| *given).map(|(key, _)| key)));
    let config = WriteConfig {
        name: name_of(raw.name.as_deref(), &url),
        url,
        timeout: or(raw.remote_timeout, WRITE_TIMEOUT),
        headers: headers(raw.headers.as_ref()),
        relabel: raw.write_relabel_configs.clone().unwrap_or_default(),
        external_labels: external_labels.clone(),
        message,
        send_exemplars: raw.send_exemplars.unwrap_or(false),
        send_native_histograms: raw.send_native_histograms.unwrap_or(false),
        queue: raw.queue_config.as_ref().map(queue).unwrap_or_default(),
        metadata: raw.metadata_config.as_ref().map(metadata).unwrap_or_default(),
        http,
    };
    Ok(Checked { config, not_built })
}

/// # Errors
/// A sentence on the keys of the HTTP client.
pub(super) fn read_config(
    raw: &RawRemoteRead,
    base: &Path,
    external_labels: &LabelSet,
) -> Result<Checked<ReadConfig>, String> {
    let http = raw.http_client(base)?;
    let url = raw.url.clone().unwrap_or_default();
    let mut not_built = missing(&http.not_built);
    not_built.extend(unreachable(&url));
    let required = raw.required_matchers.iter().flatten();
    let filters_external = raw.filter_external_labels.unwrap_or(true);
    let config = ReadConfig {
        name: name_of(raw.name.as_deref(), &url),
        url,
        timeout: or(raw.remote_timeout, READ_TIMEOUT),
        headers: headers(raw.headers.as_ref()),
        read_recent: raw.read_recent.unwrap_or(false),
        required_matchers: required.map(|(name, value)| Matcher::equal(name, value)).collect(),
        external_labels: if filters_external { external_labels.clone() } else { LabelSet::empty() },
        frame_bytes_max: raw
            .chunked_read_limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(FRAME_BYTES_MAX),
        http,
    };
    Ok(Checked { config, not_built })
}

/// As in Prometheus, a URL without a scheme loads; it cannot be reached.
fn unreachable(url: &str) -> Option<String> {
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    (!has_scheme)
        .then(|| format!("URL {url:?} does not begin with http:// or https://, it cannot be reached"))
}

fn missing<'k>(keys: impl IntoIterator<Item = &'k &'static str>) -> Vec<String> {
    keys.into_iter().map(|key| format!("{key} is not built yet and has no effect")).collect()
}

/// The given name, or one made of the URL, which is then the same after every start.
fn name_of(name: Option<&str>, url: &str) -> String {
    let hash =
        url.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    name.filter(|name| !name.is_empty()).map_or_else(|| format!("{hash:08x}"), str::to_owned)
}

fn headers(headers: Option<&BTreeMap<String, String>>) -> Vec<(String, String)> {
    headers.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn or(given: Option<HumanDuration>, default: Duration) -> Duration {
    given.map(|given| given.0).filter(|given| !given.is_zero()).unwrap_or(default)
}

fn queue(raw: &RawQueue) -> QueueSettings {
    let default = QueueSettings::default();
    let count = |given: Option<i64>, default: usize| {
        given.and_then(|given| usize::try_from(given).ok()).unwrap_or(default)
    };
    QueueSettings {
        capacity: count(raw.capacity, default.capacity),
        shards_min: count(raw.min_shards, default.shards_min),
        shards_max: count(raw.max_shards, default.shards_max),
        samples_max: count(raw.max_samples_per_send, default.samples_max),
        deadline: or(raw.batch_send_deadline, default.deadline),
        backoff_min: or(raw.min_backoff, default.backoff_min),
        backoff_max: or(raw.max_backoff, default.backoff_max),
        retry_on_429: raw.retry_on_http_429.unwrap_or(default.retry_on_429),
        sample_age_max: raw.sample_age_limit.map_or(default.sample_age_max, |limit| limit.0),
    }
}

fn metadata(raw: &RawMetadata) -> MetadataSettings {
    let default = MetadataSettings::default();
    let families = raw.max_samples_per_send.and_then(|families| usize::try_from(families).ok());
    MetadataSettings {
        send: raw.send.unwrap_or(default.send),
        interval: or(raw.send_interval, default.interval),
        families_max: families.unwrap_or(default.families_max),
    }
}
