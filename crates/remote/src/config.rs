//! Checked settings of the targets, every default filled. Defaults are Prometheus's.

use std::time::Duration;

use discovery::RelabelRule;
use model::{LabelSet, Matcher};
use settings::HttpClientConfig;

/// A target of remote write.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteConfig {
    /// Tells targets apart, in metrics and on disk.
    pub name: String,
    pub url: String,
    pub timeout: Duration,
    pub headers: Vec<(String, String)>,
    pub relabel: Vec<RelabelRule>,
    /// `global.external_labels`: added to series that do not have them.
    pub external_labels: LabelSet,
    pub message: WriteMessage,
    pub send_exemplars: bool,
    /// Always sent in 2.0.
    pub send_native_histograms: bool,
    pub queue: QueueSettings,
    pub metadata: MetadataSettings,
    pub http: HttpClientConfig,
}

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMessage {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// How samples are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// Samples that wait in memory per shard.
    pub capacity: usize,
    pub shards_min: usize,
    pub shards_max: usize,
    /// Most samples of a request.
    pub samples_max: usize,
    /// Longest wait for a request to fill.
    pub deadline: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    pub retry_on_429: bool,
    /// Older samples are dropped; zero = none.
    pub sample_age_max: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            shards_min: 1,
            shards_max: 50,
            samples_max: 2_000,
            deadline: Duration::from_secs(5),
            backoff_min: Duration::from_millis(30),
            backoff_max: Duration::from_secs(5),
            retry_on_429: false,
            sample_age_max: Duration::ZERO,
        }
    }
}

/// Shards that a target has without being asked for more: enough to hide a round trip, few enough to keep requests full.
const SHARDS_USUAL: usize = 4;

impl QueueSettings {
    /// Requests under way at a time.
    pub(crate) fn shards(&self) -> usize {
        SHARDS_USUAL.clamp(self.shards_min.max(1), self.shards_max.max(self.shards_min).max(1))
    }
}

/// What is sent about families.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataSettings {
    pub send: bool,
    pub interval: Duration,
    /// Most families of a request.
    pub families_max: usize,
}

impl Default for MetadataSettings {
    fn default() -> Self {
        Self { send: true, interval: Duration::from_secs(60), families_max: 2_000 }
    }
}

/// A source of remote read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadConfig {
    pub name: String,
    pub url: String,
    pub timeout: Duration,
    pub headers: Vec<(String, String)>,
    /// Also asked for times that are stored here.
    pub read_recent: bool,
    /// Asked only by selectors that have all of these.
    pub required_matchers: Vec<Matcher>,
    /// Added to what is asked and taken out of what is answered.
    pub external_labels: LabelSet,
    /// Largest frame of a streamed answer.
    pub frame_bytes_max: usize,
    pub http: HttpClientConfig,
}
