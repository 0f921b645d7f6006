//! What the services say to each other, and how they fail.

use eino::client;
use eino::prelude::*;
use serde::{Deserialize, Serialize};

/// `POST /orders` at gateway and order-service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) account: u32,
    pub(crate) sku: u32,
    pub(crate) quantity: u32,
}

/// Answer to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) charge_id: i64,
    pub(crate) amount_cents: u64,
}

/// `POST /reservations` at inventory-service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) sku: u32,
    pub(crate) quantity: u32,
}

/// Answer to a reservation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reserved {
    pub(crate) price_cents: u64,
}

/// `POST /charges` at payment-service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) account: u32,
    pub(crate) amount_cents: u64,
}

/// Answer to a charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charged {
    pub(crate) charge_id: i64,
}

/// `POST /authorizations` at card-processor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Authorization {
    pub(crate) card: String,
    pub(crate) amount_cents: u64,
}

/// Answer to an authorization.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Authorized {
    pub(crate) code: u64,
}

/// A request that came to nothing: a status and a sentence for the caller.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.1 });
        (self.0, Json(body)).into_response()
    }
}

/// A service that this one needs did not do its part. What the caller did wrong stays the caller's.
impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let status = match error.status() {
            Some(status) if status.is_client_error() => status,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self(status, error.to_string())
    }
}
