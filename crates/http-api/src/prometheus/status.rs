//! `status/{buildinfo,config,flags,runtimeinfo,tsdb,tsdb/blocks}`.

use axum::extract::{Request, State};
use rules::format_rfc3339;
use serde_json::{Value, json};

use super::{Answer, data, to_json};
use crate::Api;
use crate::error::ApiError;
use crate::params::Params;

/// The Prometheus release whose API we answer like. Clients switch features on by it.
const PROMETHEUS_VERSION: &str = "3.14.0";
/// Entries of each list of `status/tsdb`, unless the request names another number.
const STATS_DEFAULT: usize = 10;
const STATS_MAX: usize = 10_000;

/// No `features` and no `application` key: Grafana takes a server that has them for Mimir.
pub(crate) fn build_info(api: &Api) -> Value {
    json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("eino-{}", api.info.version),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

pub(super) async fn buildinfo(State(api): State<Api>) -> Answer {
    data(&build_info(&api))
}

pub(super) async fn config(State(api): State<Api>) -> Answer {
    data(&json!({"yaml": api.live.config().text}))
}

pub(super) async fn flags(State(api): State<Api>) -> Answer {
    let flags: serde_json::Map<String, Value> =
        api.info.flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    data(&Value::Object(flags))
}

/// Go's figures in our terms: goroutines are tasks, GOMAXPROCS the runtime's threads; there is no limit of memory.
pub(super) async fn runtimeinfo(State(api): State<Api>) -> Answer {
    let corruptions = api.query(|api| Ok(api.admin.corruptions())).await?;
    let (info, config) = (&api.info, api.live.config());
    let runtime = tokio::runtime::Handle::current().metrics();
    data(&json!({
        "startTime": format_rfc3339(info.started_ms),
        "CWD": info.working_dir,
        "hostname": info.hostname,
        "serverTime": format_rfc3339(api.clock.unix_ms()),
        "reloadConfigSuccess": config.last_reload_ok,
        "lastConfigTime": format_rfc3339(config.loaded_ms),
        "corruptionCount": corruptions,
        "goroutineCount": runtime.num_alive_tasks(),
        "GOMAXPROCS": runtime.num_workers(),
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": config.retention,
    }))
}

pub(super) async fn tsdb(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
    let limit = match params.get("limit").map(str::parse) {
        None => STATS_DEFAULT,
        Some(Ok(0) | Err(_)) => return Err(ApiError::BadData("limit must be a positive number".into())),
        Some(Ok(limit)) if limit > STATS_MAX => {
            return Err(ApiError::BadData(format!("limit must not exceed {STATS_MAX}")));
        }
        Some(Ok(limit)) => limit,
    };
    let stats = api.query(move |api| api.admin.metric_stats(limit).map_err(ApiError::Internal)).await?;
    data(&to_json(&stats)?)
}

pub(super) async fn blocks(State(api): State<Api>) -> Answer {
    let blocks = api.query(|api| Ok(api.admin.metric_blocks())).await?;
    data(&json!({"blocks": to_json(&blocks)?}))
}
