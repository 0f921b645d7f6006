//! Open-loop load: orders arrive when a Poisson process says so, whether or not earlier ones were answered.
//!
//! Latency counts from the *scheduled* arrival. A generator that waits for answers, or counts from the moment
//! it got to send, hides the very queue that it is meant to show.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use eino::client::ClientConfig;
use eino::{Client, FileRegistry, RegistryConfig};
use fastrand::Rng;
use serde::Serialize;
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
    /// Directory of the service registry, in which `gateway` is found.
    pub registry: PathBuf,
    /// Mean orders per second.
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

impl LoadConfig {
    /// 75 orders a second until told to stop.
    pub fn new(registry: impl Into<PathBuf>) -> Self {
        Self {
            registry: registry.into(),
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

/// Sends orders until `stop` completes or the time is over, then waits for those in flight.
///
/// # Errors
/// When the rate is not a positive number or the registry can't be opened.
pub async fn run_load(config: LoadConfig, stop: impl Future<Output = ()>) -> anyhow::Result<LoadStats> {
    anyhow::ensure!(
        config.rate_per_s.is_finite() && config.rate_per_s > 0.0,
        "the rate must be a positive number, not {}",
        config.rate_per_s
    );
    let registry = FileRegistry::open(&config.registry, RegistryConfig::default())?;
    let client =
        Client::new(ClientConfig { timeout: config.timeout, ..ClientConfig::default() }, Some(registry));
    let mut rng = Rng::with_seed(config.seed);
    let mut tally = Tally::default();
    let mut in_flight = JoinSet::new();
    let mut stop = pin!(stop);
    let end = config.duration.map(|duration| Instant::now() + duration);
    let mut arrival = Instant::now();
    loop {
        arrival += exponential(&mut rng, config.rate_per_s);
        if end.is_some_and(|end| arrival >= end) {
            break;
        }
        // The same orders come in the same sequence, dropped or not.
        let order = random_order(&mut rng);
        let told_to_stop = wait_for(arrival, &mut in_flight, &mut tally, stop.as_mut()).await;
        if told_to_stop {
            break;
        }
        if in_flight.len() >= config.in_flight_max {
            tally.stats.dropped += 1;
            continue;
        }
        tally.stats.sent += 1;
        in_flight.spawn(send(client.clone(), order, arrival));
    }
    let drained = async {
        while let Some(done) = in_flight.join_next().await {
            tally.count(done);
        }
    };
    let drained = timeout(DRAIN, drained).await.is_ok();
    if !drained {
        tally.stats.failed += u64::try_from(in_flight.len()).unwrap_or(u64::MAX);
    }
    Ok(tally.finish())
}

/// Counts answers until the next arrival; whether it was told to stop first.
async fn wait_for(
    arrival: Instant,
    in_flight: &mut JoinSet<Answer>,
    tally: &mut Tally,
    mut stop: impl Future<Output = ()> + Unpin,
) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(arrival) => return false,
            Some(done) = in_flight.join_next() => tally.count(done),
            () = &mut stop => return true,
        }
    }
}

/// How one order ended.
#[derive(Clone, Copy, Debug)]
struct Answer {
    ok: bool,
    latency: Duration,
}

async fn send(client: Client, order: Order, arrival: Instant) -> Answer {
    let answer = client.post("http://gateway/orders").json(&order).send().await;
    let ok = answer.is_ok_and(|answer| answer.status().is_success());
    Answer { ok, latency: arrival.elapsed() }
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
