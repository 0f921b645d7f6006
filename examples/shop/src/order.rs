//! order-service: reserves the goods, then takes the money.

use eino::prelude::*;

use crate::api::{Charge, Charged, Failure, Order, Receipt, Reservation, Reserved};
use crate::args::ServiceArgs;
use crate::process::configured;

labels! {
    /// How an order ended.
    enum Outcome as "outcome" { Paid = "paid", NoStock = "no_stock", NoMoney = "no_money" }
}

#[derive(Clone)]
struct Orders {
    client: Client,
    orders: Counter<Outcome>,
    amount: Histogram<()>,
}

pub(crate) fn app(args: &ServiceArgs) -> anyhow::Result<App<impl Clone + Send + Sync + 'static>> {
    let app = configured(App::new("order-service"), args);
    let orders = Orders {
        client: app.client()?,
        orders: app.counter("shop_orders_total", "Orders by how they ended."),
        amount: app.histogram(
            "shop_order_amount_cents",
            "Amounts of paid orders.",
            &[1e3, 3e3, 1e4, 3e4, 1e5],
        ),
    };
    Ok(app.observe().state(orders).route("/orders", post(place)))
}

async fn place(State(shop): State<Orders>, Json(order): Json<Order>) -> Result<Json<Receipt>, Failure> {
    let price_cents = match reserve(&shop.client, &order).await {
        Ok(reserved) => reserved.price_cents,
        Err(failure) => return Err(shop.count(Outcome::NoStock, failure)),
    };
    let amount_cents = price_cents * u64::from(order.quantity);
    let charge = Charge { account: order.account, amount_cents };
    match pay(&shop.client, &charge).await {
        Ok(charged) => {
            shop.orders.with(Outcome::Paid).inc();
            shop.amount.with(()).observe(amount_cents as f64);
            Ok(Json(Receipt { charge_id: charged.charge_id, amount_cents }))
        }
        Err(failure) => Err(shop.count(Outcome::NoMoney, failure)),
    }
}

impl Orders {
    fn count(&self, outcome: Outcome, failure: Failure) -> Failure {
        self.orders.with(outcome).inc();
        failure
    }
}

async fn reserve(client: &Client, order: &Order) -> Result<Reserved, Failure> {
    let reservation = Reservation { sku: order.sku, quantity: order.quantity };
    Ok(client.post("http://inventory-service/reservations").json(&reservation).send().await?.json()?)
}

async fn pay(client: &Client, charge: &Charge) -> Result<Charged, Failure> {
    Ok(client.post("http://payment-service/charges").json(charge).send().await?.json()?)
}
