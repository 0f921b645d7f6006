//! The demo shop: four services built with the SDK, a card processor that is not, and a load generator.
//!
//! ```text
//! load ─▶ gateway ─▶ order-service ─┬▶ inventory-service (cache, misses go to the warehouse)
//!                                   └▶ payment-service ─┬▶ payment.db (SQLite, a pool of 2 connections)
//!                                                       └▶ card-processor (outside, log-normal, median 18 ms)
//! ```
//! Its flaw is real and common: payment takes a database connection and keeps it while it waits for the card
//! processor. With 75 orders a second the two connections are busy three quarters of the time, so orders queue
//! for a connection while both CPUs are idle.

mod api;
mod args;
mod card;
mod gateway;
mod inventory;
mod load;
mod order;
mod payment;
mod pool;
mod process;
mod random;

pub use args::{LoadArgs, PaymentArgs, Role, ServiceArgs, ShopArgs};
pub use load::{LoadConfig, LoadStats, run_load};

/// Runs one member of the shop until it is told to stop. Prints `{"service":…,"addr":…}` when it is ready.
///
/// # Errors
/// When it can't start: an address, a directory or a URL that can't be used.
pub async fn run(args: ShopArgs) -> anyhow::Result<()> {
    match args.role {
        Role::Gateway(args) => process::serve(gateway::app(&args)?, &args).await,
        Role::Order(args) => process::serve(order::app(&args)?, &args).await,
        Role::Payment(args) => process::serve(payment::app(&args)?, &args.service).await,
        Role::Inventory(args) => process::serve(inventory::app(&args)?, &args).await,
        Role::Card(args) => process::serve(card::app(&args)?, &args).await,
        Role::Load(args) => process::load(args).await,
    }
}
