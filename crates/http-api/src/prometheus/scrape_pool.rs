//! `scrape_pools/config` and `targets/relabel_steps`: what one scrape job is, and what its rules make of labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use discovery::relabel_steps;
use model::LabelSet;
use scrape::ScrapeConfig;
use serde_json::json;

use super::{Answer, data, to_json};
use crate::Api;
use crate::error::ApiError;
use crate::params::Params;

/// The job as it runs, secrets hidden.
pub(super) async fn config(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
    data(&json!({"yaml": job(&api, &params)?.to_yaml()}))
}

/// What each of the job's `relabel_configs` makes of the labels that are given.
pub(super) async fn steps(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
    let job = job(&api, &params)?;
    let labels = labels(needed(&params, "labels")?)?;
    let steps = relabel_steps(&labels, &job.relabel);
    data(&json!({"steps": to_json(&steps)?}))
}

fn job(api: &Api, params: &Params) -> Result<Arc<ScrapeConfig>, ApiError> {
    let pool = needed(params, "scrapePool")?;
    api.scrape.config(pool).ok_or_else(|| ApiError::BadData(format!("scrape pool {pool:?} not found")))
}

fn needed<'p>(params: &'p Params, name: &str) -> Result<&'p str, ApiError> {
    params.get(name).ok_or_else(|| ApiError::BadData(format!("no {name} parameter provided")))
}

/// A JSON object of strings.
fn labels(text: &str) -> Result<LabelSet, ApiError> {
    let refused = |why: String| ApiError::BadData(format!("error parsing labels: {why}"));
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    LabelSet::from_pairs(pairs).map_err(|error| refused(error.to_string()))
}
