//! Random delays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;

/// tokio's timer wakes at the next whole millisecond: half of one later on average.
const TIMER_ROUNDING: Duration = Duration::from_micros(500);

/// A generator that replays from its seed.
pub(crate) fn seeded(seed: u64) -> Mutex<Rng> {
    Mutex::new(Rng::with_seed(seed))
}

/// Delays whose logarithm is normally distributed.
#[derive(Debug)]
pub(crate) struct LogNormal {
    pub(crate) median_ms: f64,
    /// Standard deviation of the logarithm.
    pub(crate) sigma: f64,
    pub(crate) rng: Mutex<Rng>,
}

impl LogNormal {
    /// Waits for a random time.
    pub(crate) async fn delay(&self) {
        let delay = self.with_rng(|rng| self.draw(rng));
        tokio::time::sleep(delay.saturating_sub(TIMER_ROUNDING)).await;
    }

    /// Uses the generator.
    pub(crate) fn with_rng<T>(&self, work: impl FnOnce(&mut Rng) -> T) -> T {
        work(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn draw(&self, rng: &mut Rng) -> Duration {
        let milliseconds = self.median_ms * (self.sigma * standard_normal(rng)).exp();
        Duration::from_secs_f64(milliseconds / 1000.0)
    }
}

/// A time until the next event of a Poisson process.
pub(crate) fn exponential(rng: &mut Rng, rate_per_s: f64) -> Duration {
    // 1 - f64() is above 0, so the logarithm is finite.
    let seconds = -(1.0 - rng.f64()).ln() / rate_per_s;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Box and Muller's transform.
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_normal_has_its_median_and_tail() {
        let law = LogNormal { median_ms: 18.0, sigma: 0.3, rng: seeded(1) };
        let mut draws: Vec<f64> =
            (0..20_000).map(|_| law.with_rng(|rng| law.draw(rng)).as_secs_f64() * 1e3).collect();
        draws.sort_by(f64::total_cmp);
        let (median, p99) = (draws[10_000], draws[19_800]);
        assert!((17.8..18.2).contains(&median), "{median}");
        assert!((34.5..38.0).contains(&p99), "{p99}"); // 18 · exp(0.3 · 2.326) = 36.2
    }

    #[test]
    fn exponential_gaps_have_their_mean() {
        let mut rng = Rng::with_seed(1);
        let total: Duration = (0..75_000).map(|_| exponential(&mut rng, 75.0)).sum();
        assert!((990.0..1010.0).contains(&total.as_secs_f64()), "{total:?}");
    }
}
