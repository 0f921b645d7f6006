//! Open-loop load: orders arrive when a Poisson process says so, whether or not earlier ones were answered.
//!
//! Latency counts from the *scheduled* arrival. A generator that waits for answers, or counts from the moment
//! it got to send, hides the very queue that it is meant to show.

use std::sync::Arc;
use std::time::Duration;

use eino::axum::http::Method;
use eino::client::ClientConfig;
use eino::{Client, FileRegistry};
use fastrand::Rng;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::Order;
use crate::inventory::SKUS;
use crate::payment::ACCOUNTS;
use crate::random::exponential;

/// Latencies kept for the quantiles; later ones replace the oldest.
const LATENCIES_MAX: usize = 1 << 20;
/// Longest wait for orders in flight at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What to send.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where orders are posted; `http://gateway/orders` is looked up in the registry.
    pub url: String,
    /// Registry for a host without dot and port.
    pub registry: Option<FileRegistry>,
    /// Mean orders per second, 0.001 to 100,000.
    pub rate_per_s: f64,
    /// Orders in flight beyond which new ones are dropped and counted.
    pub in_flight_max: usize,
    /// Seed of arrival times and orders.
    pub seed: u64,
    /// Longest time to run; `None` runs until told to stop.
    pub duration: Option<Duration>,
    /// Longest time of one order.
    pub timeout: Duration,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            url: "http://gateway/orders".to_owned(),
            registry: None,
            rate_per_s: 75.0,
            in_flight_max: 2000,
            seed: 1,
            duration: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadStats {
    /// Orders sent.
    pub sent: u64,
    /// Orders answered with 2xx.
    pub ok: u64,
    /// Orders answered otherwise or not at all.
    pub failed: u64,
    /// Orders not sent because too many were in flight.
    pub dropped: u64,
    /// Median from the scheduled arrival to the answer, in milliseconds; 0 without answers.
    pub p50_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
}

/// Sends orders until `stop` says true, its sender is gone or the time is over; then waits for those in flight.
pub async fn run_load(config: LoadConfig, mut stop: watch::Receiver<bool>) -> LoadStats {
    let client_config = ClientConfig { timeout: config.timeout, ..ClientConfig::default() };
    let target = Target { client: Client::new(client_config, config.registry), url: config.url.into() };
    let rate_per_s = config.rate_per_s.clamp(0.001, 1e5);
    let mut rng = Rng::with_seed(config.seed);
    let mut tally = Tally::default();
    let mut in_flight = JoinSet::new();
    let mut arrival = Instant::now();
    let end = config.duration.map(|duration| arrival + duration);
    loop {
        arrival += exponential(&mut rng, rate_per_s);
        // Orders come in the same sequence, whether or not some are dropped.
        let order = random_order(&mut rng);
        let is_over = end.is_some_and(|end| arrival >= end);
        if is_over || stopped_before(arrival, &mut in_flight, &mut tally, &mut stop).await {
            break;
        }
        if in_flight.len() >= config.in_flight_max {
            tally.stats.dropped += 1;
            continue;
        }
        tally.stats.sent += 1;
        in_flight.spawn(target.clone().send(order, arrival));
    }
    let drained = async {
        while let Some(done) = in_flight.join_next().await {
            tally.count(done);
        }
    };
    if timeout(DRAIN, drained).await.is_err() {
        tally.stats.failed += u64::try_from(in_flight.len()).unwrap_or(u64::MAX);
    }
    tally.finish()
}

/// Counts answers until the next arrival; true when told to stop first.
async fn stopped_before(
    arrival: Instant,
    in_flight: &mut JoinSet<Answer>,
    tally: &mut Tally,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(arrival) => return false,
            Some(done) = in_flight.join_next() => tally.count(done),
            // An error means that the sender is gone.
            _ = stop.wait_for(|stop| *stop) => return true,
        }
    }
}

#[derive(Clone)]
struct Target {
    client: Client,
    url: Arc<str>,
}

impl Target {
    async fn send(self, order: Order, arrival: Instant) -> Answer {
        let answer = self.client.request_dynamic(Method::POST, &self.url).json(&order).send().await;
        let ok = answer.is_ok_and(|answer| answer.status().is_success());
        Answer { ok, latency: arrival.elapsed() }
    }
}

/// How one order ended.
#[derive(Clone, Copy, Debug)]
struct Answer {
    ok: bool,
    latency: Duration,
}

/// Some articles sell far better than others, so that a cache is worth having.
fn random_order(rng: &mut Rng) -> Order {
    let popularity = rng.f64().powi(3);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below SKUS by construction")]
    let sku = (popularity * f64::from(SKUS)) as u32;
    Order { account: rng.u32(..ACCOUNTS), sku, quantity: rng.u32(1..=3) }
}

#[derive(Debug, Default)]
struct Tally {
    stats: LoadStats,
    latencies: Vec<Duration>,
    answered: usize,
}

impl Tally {
    fn count(&mut self, done: Result<Answer, JoinError>) {
        let Ok(Answer { ok, latency }) = done else {
            self.stats.failed += 1;
            return;
        };
        *if ok { &mut self.stats.ok } else { &mut self.stats.failed } += 1;
        match self.latencies.get_mut(self.answered % LATENCIES_MAX) {
            Some(oldest) => *oldest = latency,
            None => self.latencies.push(latency),
        }
        self.answered += 1;
    }

    fn finish(mut self) -> LoadStats {
        self.latencies.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
            self.latencies.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        LoadStats { p50_ms: quantile(50), p99_ms: quantile(99), ..self.stats }
    }
}
