//! gateway: the shop's door. Checks an order's form and hands it on.

use eino::prelude::*;

use crate::api::{Failure, Order, Receipt};
use crate::args::ServiceArgs;
use crate::process::configured;

const QUANTITY_MAX: u32 = 100;

pub(crate) fn app(args: &ServiceArgs) -> anyhow::Result<App<Client>> {
    let app = configured(App::new("gateway"), args);
    let client = app.client()?;
    Ok(app.observe().state(client).route("/orders", post(take_order)))
}

async fn take_order(
    State(client): State<Client>,
    Json(order): Json<Order>,
) -> Result<Json<Receipt>, Failure> {
    if !(1..=QUANTITY_MAX).contains(&order.quantity) {
        let message = format!("quantity {} is not within 1 to {QUANTITY_MAX}", order.quantity);
        return Err(Failure(StatusCode::BAD_REQUEST, message));
    }
    let answer = client.post("http://order-service/orders").json(&order).send().await?;
    Ok(Json(answer.json()?))
}
