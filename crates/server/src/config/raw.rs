//! The configuration as it is written: every key of Prometheus 3.14, and ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alerts::RawAlertmanagerConfig;
use discovery::{NotBuilt, RelabelRule};
use scrape::RawScrapeConfig;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use settings::{HumanBytes, HumanDuration, Located, Secret, TlsConfig};

/// An item of a list, or nothing where `- ` stands alone.
pub(super) type Item<T> = Located<Option<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) global: Option<Located<RawGlobal>>,
    pub(super) runtime: Option<RawRuntime>,
    pub(super) rule_files: Option<Vec<Located<String>>>,
    pub(super) scrape_config_files: Option<Vec<Located<String>>>,
    pub(super) scrape_configs: Option<Vec<Item<RawScrapeConfig>>>,
    pub(super) alerting: Option<RawAlerting>,
    pub(super) remote_write: Option<Vec<Item<RawRemoteWrite>>>,
    pub(super) remote_read: Option<Vec<Item<RawRemoteRead>>>,
    pub(super) storage: Option<Located<RawStorage>>,
    pub(super) otlp: Option<Located<RawOtlp>>,
    pub(super) tracing: Option<Located<RawTracing>>,
    // Ours.
    pub(super) traces: Option<RawTraces>,
    pub(super) analysis: Option<RawAnalysis>,
    pub(super) limits: Option<RawLimits>,
    pub(super) alertmanager_config: Option<Located<AlertmanagerSection>>,
    pub(super) external_url: Option<Located<String>>,
}

/// A file of `scrape_config_files`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawScrapeConfigFile {
    pub(super) scrape_configs: Option<Vec<Item<RawScrapeConfig>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGlobal {
    pub(super) scrape_interval: Option<HumanDuration>,
    pub(super) scrape_timeout: Option<HumanDuration>,
    pub(super) scrape_protocols: Option<Vec<String>>,
    pub(super) evaluation_interval: Option<HumanDuration>,
    pub(super) rule_query_offset: Option<HumanDuration>,
    pub(super) query_log_file: Option<PathBuf>,
    pub(super) scrape_failure_log_file: Option<PathBuf>,
    pub(super) external_labels: Option<BTreeMap<String, String>>,
    pub(super) body_size_limit: Option<HumanBytes>,
    pub(super) sample_limit: Option<u64>,
    pub(super) target_limit: Option<u64>,
    pub(super) label_limit: Option<u64>,
    pub(super) label_name_length_limit: Option<u64>,
    pub(super) label_value_length_limit: Option<u64>,
    pub(super) keep_dropped_targets: Option<u64>,
    pub(super) metric_name_validation_scheme: Option<String>,
    pub(super) metric_name_escaping_scheme: Option<String>,
    pub(super) scrape_native_histograms: Option<bool>,
    pub(super) convert_classic_histograms_to_nhcb: Option<bool>,
    pub(super) always_scrape_classic_histograms: Option<bool>,
    pub(super) extra_scrape_metrics: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRuntime {
    /// Of Go's garbage collector: nothing to do here.
    #[serde(rename = "gogc")]
    _gogc: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAlerting {
    pub(super) alert_relabel_configs: Option<Vec<RelabelRule>>,
    pub(super) alertmanagers: Option<Vec<Item<RawAlertmanager>>>,
}

discovery::with_targets! {
    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct RawAlertmanager {
        pub(super) scheme: Option<String>,
        pub(super) path_prefix: Option<String>,
        pub(super) timeout: Option<HumanDuration>,
        pub(super) api_version: Option<String>,
        pub(super) relabel_configs: Option<Vec<RelabelRule>>,
        pub(super) alert_relabel_configs: Option<Vec<RelabelRule>>,
        pub(super) sigv4: Option<NotBuilt>,
    }
}

settings::with_http_client! {
    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct RawRemoteWrite {
        pub(super) url: Option<String>,
        pub(super) name: Option<String>,
        pub(super) remote_timeout: Option<HumanDuration>,
        pub(super) headers: Option<BTreeMap<String, String>>,
        pub(super) write_relabel_configs: Option<Vec<RelabelRule>>,
        pub(super) send_exemplars: Option<bool>,
        pub(super) send_native_histograms: Option<bool>,
        pub(super) round_robin_dns: Option<bool>,
        pub(super) protobuf_message: Option<String>,
        pub(super) queue_config: Option<RawQueue>,
        pub(super) metadata_config: Option<RawMetadata>,
        pub(super) sigv4: Option<NotBuilt>,
        pub(super) azuread: Option<NotBuilt>,
        pub(super) google_iam: Option<NotBuilt>,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawQueue {
    pub(super) capacity: Option<i64>,
    pub(super) max_shards: Option<i64>,
    pub(super) min_shards: Option<i64>,
    pub(super) max_samples_per_send: Option<i64>,
    pub(super) batch_send_deadline: Option<HumanDuration>,
    pub(super) min_backoff: Option<HumanDuration>,
    pub(super) max_backoff: Option<HumanDuration>,
    pub(super) retry_on_http_429: Option<bool>,
    pub(super) sample_age_limit: Option<HumanDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetadata {
    pub(super) send: Option<bool>,
    pub(super) send_interval: Option<HumanDuration>,
    pub(super) max_samples_per_send: Option<i64>,
}

settings::with_http_client! {
    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct RawRemoteRead {
        pub(super) url: Option<String>,
        pub(super) name: Option<String>,
        pub(super) remote_timeout: Option<HumanDuration>,
        pub(super) chunked_read_limit: Option<u64>,
        pub(super) headers: Option<BTreeMap<String, String>>,
        pub(super) read_recent: Option<bool>,
        pub(super) required_matchers: Option<BTreeMap<String, String>>,
        pub(super) filter_external_labels: Option<bool>,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStorage {
    pub(super) tsdb: Option<RawTsdb>,
    pub(super) exemplars: Option<RawExemplars>,
    /// Ours: when an answer means durable.
    pub(super) sync: Option<SyncMode>,
    /// Ours: what stays of samples past `tsdb.retention`.
    pub(super) downsampling: Option<RawDownsampling>,
    /// Ours: what merging and downsampling may read and write of the disk. Default 32 MiB.
    pub(super) background_bytes_per_second: Option<HumanBytes>,
}

/// Copies with fewer samples. They answer only where raw samples are no longer kept.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDownsampling {
    /// How long windows of 5 minutes are kept; 0 = there are none. Default 90 d.
    pub(super) five_minutes: Option<HumanDuration>,
    /// How long windows of 1 hour are kept; 0 = there are none. Default 2 y.
    pub(super) one_hour: Option<HumanDuration>,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SyncMode {
    /// After `fsync`: survives the loss of power.
    Always,
    /// After `write`: survives the process; `fsync` follows within 100 ms.
    Interval,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawExemplars {
    pub(super) max_exemplars: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTsdb {
    pub(super) out_of_order_time_window: Option<HumanDuration>,
    pub(super) stale_series_compaction_threshold: Option<f64>,
    pub(super) chunk_encoding: Option<RawChunkEncoding>,
    pub(super) retention: Option<RawRetention>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawChunkEncoding {
    pub(super) floats: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetention {
    pub(super) time: Option<HumanDuration>,
    pub(super) size: Option<HumanBytes>,
    pub(super) percentage: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOtlp {
    pub(super) promote_all_resource_attributes: Option<bool>,
    pub(super) promote_resource_attributes: Option<Vec<String>>,
    pub(super) ignore_resource_attributes: Option<Vec<String>>,
    pub(super) translation_strategy: Option<String>,
    pub(super) keep_identifying_resource_attributes: Option<bool>,
    pub(super) convert_histograms_to_nhcb: Option<bool>,
    pub(super) promote_scope_metadata: Option<bool>,
    pub(super) label_name_underscore_sanitization: Option<bool>,
    pub(super) label_name_preserve_multiple_underscores: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTracing {
    pub(super) client_type: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) sampling_fraction: Option<f64>,
    pub(super) insecure: Option<bool>,
    pub(super) tls_config: Option<TlsConfig>,
    pub(super) headers: Option<BTreeMap<String, Secret>>,
    pub(super) compression: Option<String>,
    pub(super) timeout: Option<HumanDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTraces {
    /// How long spans are kept. Default 7 d.
    pub(super) retention: Option<HumanDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAnalysis {
    /// How often the analysis writes its figures as metrics. Default 10 s.
    pub(super) write_interval: Option<HumanDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) request_body: Option<HumanBytes>,
    pub(super) request_decoded: Option<HumanBytes>,
    pub(super) ingest_concurrency: Option<u64>,
    pub(super) query_concurrency: Option<u64>,
    pub(super) query_queue: Option<u64>,
    pub(super) answer_streams: Option<u64>,
    pub(super) delta_streams: Option<u64>,
    pub(super) remote_write_queue: Option<HumanBytes>,
    pub(super) query_samples: Option<u64>,
    pub(super) query_series: Option<u64>,
    pub(super) query_memory: Option<HumanBytes>,
    pub(super) query_timeout: Option<HumanDuration>,
}

/// `alertmanager_config`: the path of an alertmanager.yml, or its content.
#[derive(Debug)]
pub(super) enum AlertmanagerSection {
    Path(PathBuf),
    Inline(Box<RawAlertmanagerConfig>),
}

/// By hand, because an untagged enum would lose the line numbers.
impl<'de> Deserialize<'de> for AlertmanagerSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrMap;

        impl<'de> Visitor<'de> for PathOrMap {
            type Value = AlertmanagerSection;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the path of an alertmanager.yml, or its content")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<AlertmanagerSection, E> {
                Ok(AlertmanagerSection::Path(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AlertmanagerSection, A::Error> {
                let config = RawAlertmanagerConfig::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AlertmanagerSection::Inline(Box::new(config)))
            }
        }

        deserializer.deserialize_any(PathOrMap)
    }
}
