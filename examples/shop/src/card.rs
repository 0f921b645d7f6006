//! card-processor: stands for a company outside. It does not observe itself and knows no trace.

use std::sync::Arc;

use eino::prelude::*;

use crate::api::{Authorization, Authorized};
use crate::args::ServiceArgs;
use crate::process::configured;
use crate::random::{LogNormal, seeded};

/// Share of authorizations that fail for no reason of ours.
const FAILURE_RATIO: f64 = 0.005;

pub(crate) fn app(args: &ServiceArgs) -> anyhow::Result<App<impl Clone + Send + Sync + 'static>> {
    let thinking = LogNormal { median_ms: 18.0, sigma: 0.3, rng: seeded(args.seed) };
    let app = configured(App::new("card-processor"), args);
    Ok(app.state(Arc::new(thinking)).route("/authorizations", post(authorize)))
}

async fn authorize(
    State(thinking): State<Arc<LogNormal>>,
    Json(_authorization): Json<Authorization>,
) -> Result<Json<Authorized>, StatusCode> {
    thinking.delay().await;
    let (luck, code) = thinking.with_rng(|rng| (rng.f64(), u64::from(rng.u32(..))));
    if luck < FAILURE_RATIO {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(Json(Authorized { code }))
}
