//! From a discovered label set to something that can be scraped.
//!
//! ```text
//! discovered labels ─ defaults (job, __scheme__, …) ─ relabel ─▶ Target { labels, url, interval, timeout }
//!                                                         └────▶ dropped
//! ```
//! Labels that begin with `__` steer the scrape and are removed from the target's own labels.

use std::time::Duration;

use discovery::{ADDRESS, check_address, relabel::relabel_builder};
use model::{LabelSet, LabelSetBuilder};

use crate::ScrapeConfig;

const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const PARAM_PREFIX: &str = "__param_";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";

/// Something to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Before relabelling.
    pub(crate) discovered: LabelSet,
    /// What its series carry.
    pub(crate) labels: LabelSet,
    pub(crate) url: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// What became of a discovered label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    Kept(Target),
    /// By relabelling; with the labels before it.
    Dropped(LabelSet),
}

impl Target {
    /// Tells targets apart: the same labels at the same URL are the same target.
    pub(crate) fn key(&self) -> u64 {
        fnv1a(&[self.labels.as_bytes(), &[0xff], self.url.as_bytes()])
    }

    /// When within each interval the target is scraped: spread evenly over targets, stable over restarts.
    pub(crate) fn offset(&self, seed: u64) -> Duration {
        let interval_ns = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos((self.key() ^ seed) % interval_ns)
    }
}

/// Relabels a discovered label set and works out where and how often to scrape.
///
/// # Errors
/// A sentence that names the label that can't be used.
pub(crate) fn prepare(config: &ScrapeConfig, discovered: &LabelSet) -> Result<Prepared, String> {
    let mut labels = discovered.to_builder();
    set_defaults(config, &mut labels);
    let discovered = labels.build();
    if !relabel_builder(&mut labels, &config.relabel) {
        return Ok(Prepared::Dropped(discovered));
    }
    let address = labels.get(ADDRESS).unwrap_or_default().to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    check_address(&address)?;
    let (interval, timeout) = times(&labels)?;
    let url = url_of(config, &labels, &address);
    if labels.get("instance").is_none() {
        labels.set("instance", &address);
    }
    labels.retain(|name| !name.starts_with("__"));
    Ok(Prepared::Kept(Target { discovered, labels: labels.build(), url, interval, timeout }))
}

fn set_defaults(config: &ScrapeConfig, labels: &mut LabelSetBuilder) {
    let mut set = |name: &str, value: &str| {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    };
    set("job", &config.job_name);
    set(INTERVAL, &stdx::format_duration(config.interval));
    set(TIMEOUT, &stdx::format_duration(config.timeout));
    set(METRICS_PATH, &config.metrics_path);
    set(SCHEME, &config.scheme);
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            set(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
}

fn times(labels: &LabelSetBuilder) -> Result<(Duration, Duration), String> {
    let read = |name: &str| {
        let text = labels.get(name).unwrap_or_default();
        let duration = stdx::parse_duration(text).map_err(|error| format!("label {name}: {error}"))?;
        if duration.is_zero() { Err(format!("label {name}: must be longer than 0")) } else { Ok(duration) }
    };
    let (interval, timeout) = (read(INTERVAL)?, read(TIMEOUT)?);
    if timeout > interval {
        return Err(format!(
            "scrape timeout {} is longer than the scrape interval {}",
            stdx::format_duration(timeout),
            stdx::format_duration(interval)
        ));
    }
    Ok((interval, timeout))
}

fn url_of(config: &ScrapeConfig, labels: &LabelSetBuilder, address: &str) -> String {
    let mut params = config.params.clone();
    for (name, value) in labels.iter() {
        let Some(name) = name.strip_prefix(PARAM_PREFIX) else { continue };
        let values = params.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    let mut url = format!(
        "{}://{address}{}",
        labels.get(SCHEME).unwrap_or("http"),
        labels.get(METRICS_PATH).map_or_else(String::new, with_leading_slash),
    );
    let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    for (index, (name, value)) in pairs.enumerate() {
        let separator = if index == 0 && !url.contains('?') { '?' } else { '&' };
        url.push(separator);
        url.push_str(&format!("{}={}", query_escape(name), query_escape(value)));
    }
    url
}

fn with_leading_slash(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// FNV-1a, 64 bits.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::{RawScrapeConfig, ScrapeDefaults};

    #[track_caller]
    fn check(job: &str, labels: &[(&str, &str)], want: Expect) {
        let raw: RawScrapeConfig = settings::from_yaml(job).expect("well-formed");
        let config = raw.resolve(&ScrapeDefaults::default(), Path::new("")).expect("valid");
        let discovered = LabelSet::from_pairs(labels.iter().copied()).expect("valid");
        let got = match prepare(&config, &discovered) {
            Ok(Prepared::Kept(target)) => {
                format!(
                    "{} {} every {:?} within {:?}",
                    target.url, target.labels, target.interval, target.timeout
                )
            }
            Ok(Prepared::Dropped(labels)) => format!("dropped {labels}"),
            Err(error) => error,
        };
        want.assert_eq(&got);
    }

    #[test]
    fn targets() {
        let address = ("__address__", "h:1");
        check(
            "job_name: a",
            &[address, ("zone", "x"), ("__meta_y", "z")],
            expect![[r#"http://h:1/metrics {instance="h:1", job="a", zone="x"} every 60s within 10s"#]],
        );
        check(
            "{job_name: a, metrics_path: probe, params: {module: [http 2xx, b], x: [é]}}",
            &[address, ("__param_module", "tcp")],
            expect![[
                r#"http://h:1/probe?module=tcp&module=b&x=%C3%A9 {instance="h:1", job="a"} every 60s within 10s"#
            ]],
        );
        check(
            "{job_name: a, relabel_configs: [{source_labels: [__address__], target_label: instance, regex: '(.*):.*'}]}",
            &[address, ("__scrape_interval__", "5s"), ("__scrape_timeout__", "2s")],
            expect![[r#"http://h:1/metrics {instance="h", job="a"} every 5s within 2s"#]],
        );
        check(
            "{job_name: a, relabel_configs: [{action: drop, source_labels: [job], regex: a}]}",
            &[address],
            expect![[
                r#"dropped {__address__="h:1", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="a"}"#
            ]],
        );
        check("job_name: a", &[], expect!["no address"]);
        check(
            "job_name: a",
            &[("__address__", "http://h:1")],
            expect![[r#""http://h:1" is not a valid hostname (write host:port, without scheme and path)"#]],
        );
        check(
            "job_name: a",
            &[address, ("__scrape_interval__", "1s")],
            expect!["scrape timeout 10s is longer than the scrape interval 1s"],
        );
    }

    #[test]
    fn offset_is_within_the_interval_and_follows_the_seed() {
        let labels = LabelSet::from_pairs([("job", "a")]).expect("valid");
        let interval = Duration::from_secs(15);
        let url = "http://h:1/metrics".to_owned();
        let target = Target { discovered: labels.clone(), labels, url, interval, timeout: interval };
        assert!(target.offset(1) < interval && target.offset(1) != target.offset(2));
        assert_eq!(target.offset(1), target.clone().offset(1));
    }
}
