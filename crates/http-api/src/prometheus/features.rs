//! `features`: what this server can do, by category, in Prometheus's names.

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::{Answer, data};
use crate::Api;

/// Category, and what of it is there. What Prometheus has and we have not is `false` here, so that clients need not
/// tell "old" from "absent".
const FIXED: &[(&str, &[(&str, bool)])] = &[
    (
        "api",
        &[
            ("exclude_alerts", true),
            ("label_values_match", true),
            ("openapi_3.1", false),
            ("openapi_3.2", false),
            ("otlp_write_receiver", true),
            ("query_stats", true),
            ("query_warnings", true),
            ("remote_write_receiver", true),
            ("search", false),
            ("time_range_labels", true),
            ("time_range_series", true),
        ],
    ),
    ("prometheus", &[("agent_mode", false), ("auto_reload_config", false), ("server_mode", true)]),
    (
        "promql",
        &[
            ("at_modifier", true),
            ("by", true),
            ("bool", true),
            ("delayed_name_removal", true),
            ("group_left", true),
            ("group_right", true),
            ("ignoring", true),
            ("negative_offset", true),
            ("offset", true),
            ("on", true),
            ("per_query_lookback_delta", true),
            ("per_step_stats", true),
            ("subqueries", true),
            ("without", true),
        ],
    ),
    ("rules", &[("concurrent_rule_eval", true), ("keep_firing_for", true), ("query_offset", true)]),
];

pub(super) async fn features(State(api): State<Api>) -> Answer {
    let object = |pairs: &[(&str, bool)]| -> Map<String, Value> {
        pairs.iter().map(|(name, is_there)| ((*name).to_owned(), json!(is_there))).collect()
    };
    let mut features: Map<String, Value> =
        FIXED.iter().map(|(category, pairs)| ((*category).to_owned(), object(pairs).into())).collect();
    if let Some(Value::Object(of_api)) = features.get_mut("api") {
        of_api.insert("admin".into(), json!(api.web.admin_api));
        of_api.insert("lifecycle".into(), json!(api.web.lifecycle));
    }
    let engine = api.engine.config();
    if let Some(Value::Object(of_promql)) = features.get_mut("promql") {
        let syntax = &engine.syntax;
        for (names, is_on) in [
            (&["duration_expr"][..], syntax.duration_expressions),
            (&["anchored", "smoothed"], syntax.extended_range_selectors),
            (&["fill", "fill_left", "fill_right"], syntax.fill_modifiers),
            (&["use_start_timestamps"], engine.use_start_times),
        ] {
            of_promql.extend(names.iter().map(|name| ((*name).to_owned(), json!(is_on))));
        }
    }
    let is_on = |function: &promql::Signature| !function.experimental || engine.syntax.experimental_functions;
    let functions = promql::functions().iter();
    let functions = functions.map(|function| (function.name.to_owned(), json!(is_on(function))));
    features.insert("promql_functions".into(), functions.collect::<Map<_, _>>().into());
    data(&features.into())
}
