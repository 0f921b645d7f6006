//! inventory-service: answers from its cache; what is not there is looked up in the warehouse.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use eino::prelude::*;

use crate::api::{Failure, Reservation, Reserved};
use crate::args::ServiceArgs;
use crate::process::configured;
use crate::random::LogNormal;

/// Articles that the shop sells.
pub(crate) const SKUS: u32 = 200;
const CACHED_MAX: usize = 80;

labels! {
    /// Kind of a cache lookup.
    enum Lookup as "result" { Hit = "hit", Miss = "miss" }
}

#[derive(Clone)]
struct Inventory {
    prices: Arc<Mutex<Cache>>,
    warehouse: Arc<LogNormal>,
    lookups: Counter<Lookup>,
}

pub(crate) fn app(args: &ServiceArgs) -> anyhow::Result<App<impl Clone + Send + Sync + 'static>> {
    let app = configured(App::new("inventory-service"), args);
    let inventory = Inventory {
        prices: Arc::default(),
        warehouse: Arc::new(LogNormal { median_ms: 4.0, sigma: 0.4, rng: crate::random::seeded(args.seed) }),
        lookups: app.counter("shop_inventory_cache_lookups_total", "Lookups of the price cache."),
    };
    Ok(app.observe().state(inventory).route("/reservations", post(reserve)))
}

async fn reserve(
    State(inventory): State<Inventory>,
    Json(reservation): Json<Reservation>,
) -> Result<Json<Reserved>, Failure> {
    if reservation.sku >= SKUS {
        return Err(Failure(StatusCode::NOT_FOUND, format!("no article {}", reservation.sku)));
    }
    let price_cents = match inventory.cached(reservation.sku) {
        Some(price) => price,
        None => {
            let lookup = span("warehouse.lookup").attr("shop.sku", reservation.sku);
            lookup.around(inventory.look_up(reservation.sku)).await
        }
    };
    Ok(Json(Reserved { price_cents }))
}

impl Inventory {
    fn cached(&self, sku: u32) -> Option<u64> {
        let price = self.cache().prices.get(&sku).copied();
        self.lookups.with(if price.is_some() { Lookup::Hit } else { Lookup::Miss }).inc();
        price
    }

    async fn look_up(&self, sku: u32) -> u64 {
        self.warehouse.delay().await;
        let price_cents = 500 + u64::from(sku) * 37 % 9_500;
        self.cache().put(sku, price_cents);
        price_cents
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.prices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prices by article; the oldest goes first.
#[derive(Default)]
struct Cache {
    prices: HashMap<u32, u64>,
    order: VecDeque<u32>,
}

impl Cache {
    fn put(&mut self, sku: u32, price_cents: u64) {
        if self.prices.insert(sku, price_cents).is_some() {
            return;
        }
        self.order.push_back(sku);
        if self.order.len() > CACHED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.prices.remove(&oldest);
        }
    }
}
