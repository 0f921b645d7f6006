//! Command line of the shop's members.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// One member of the demo shop.
#[derive(Args, Clone, Debug)]
pub struct ShopArgs {
    #[command(subcommand)]
    pub role: Role,
}

/// The members.
#[derive(Subcommand, Clone, Debug)]
pub enum Role {
    /// Takes orders from outside.
    Gateway(ServiceArgs),
    /// Reserves goods, then takes the money.
    Order(ServiceArgs),
    /// Charges accounts through a small pool of database connections.
    Payment(PaymentArgs),
    /// Knows what is in stock, mostly from its cache.
    Inventory(ServiceArgs),
    /// The outside card processor; not instrumented.
    Card(ServiceArgs),
    /// Sends orders at random times, whether or not earlier ones were answered.
    Load(LoadArgs),
}

/// What every member needs.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Directory of the service registry.
    #[arg(long)]
    pub registry: PathBuf,
    /// OTLP/HTTP collector; empty sends no spans.
    #[arg(long, default_value = "http://127.0.0.1:4318")]
    pub otlp: String,
    /// Directory for databases.
    #[arg(long)]
    pub data: PathBuf,
    /// Seed of what is random here.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stop when standard input ends, as it does when the parent process dies.
    #[arg(long)]
    pub die_with_parent: bool,
}

/// What payment needs.
#[derive(Args, Clone, Debug)]
pub struct PaymentArgs {
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Database connections.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub pool: u16,
}

/// What the load generator needs.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// Directory of the service registry, in which the gateway is found.
    #[arg(long)]
    pub registry: PathBuf,
    /// Mean orders per second; gaps are exponential.
    #[arg(long, default_value_t = 75.0, value_parser = positive)]
    pub rate: f64,
    /// Seconds to run; without it until told to stop.
    #[arg(long, value_parser = positive)]
    pub seconds: Option<f64>,
    /// Orders in flight beyond which new ones are dropped and counted.
    #[arg(long, default_value_t = 2000)]
    pub in_flight_max: usize,
    /// Seed of arrival times and orders.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stop when standard input ends, as it does when the parent process dies.
    #[arg(long)]
    pub die_with_parent: bool,
}

impl LoadArgs {
    /// Longest time to run.
    pub(crate) fn duration(&self) -> anyhow::Result<Option<Duration>> {
        let duration = self.seconds.map(Duration::try_from_secs_f64).transpose();
        duration.map_err(|error| anyhow::anyhow!("invalid --seconds {:?}: {error}", self.seconds))
    }
}

/// A number above 0 that is not absurd.
fn positive(text: &str) -> Result<f64, String> {
    const MAX: f64 = 1e5;
    match text.parse() {
        Ok(number) if number > 0.0 && number <= MAX => Ok(number),
        _ => Err(format!("expected a number above 0, at most {MAX}")),
    }
}
