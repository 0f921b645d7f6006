//! `query_exemplars`.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use model::{Exemplar, LabelSet};
use promql::ExprKind;

use super::json::{envelope, push_labels, push_time, push_value};
use super::metadata::range;
use super::query::parse;
use super::{Answer, params};
use crate::Api;
use crate::error::{ApiError, json_response};

/// Exemplars of every series that the query reads. A query without a selector has no answer: 204, as in Prometheus.
pub(super) async fn exemplars(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let range_ms = range(&params)?;
    if range_ms.is_empty() {
        return Err(ApiError::BadData("end timestamp must not be before start timestamp".into()));
    }
    let expr = parse(&params).map_err(ApiError::BadData)?;
    let mut selectors = Vec::new();
    expr.walk(&mut |node| {
        if let ExprKind::Selector(selector) = &node.kind {
            selectors.push(selector.matchers.clone());
        }
    });
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let found = api.query(move |api| Ok(api.metric_source.exemplars(&selectors, range_ms)?)).await?;
    Ok(json_response(StatusCode::OK, envelope(&exemplar_list(&found), &[], &[])))
}

fn exemplar_list(found: &[(LabelSet, Vec<Exemplar>)]) -> String {
    let mut out = String::from("[");
    for (index, (labels, exemplars)) in found.iter().enumerate() {
        out.push_str(if index == 0 { "{\"seriesLabels\":" } else { ",{\"seriesLabels\":" });
        push_labels(&mut out, labels);
        out.push_str(",\"exemplars\":[");
        for (index, exemplar) in exemplars.iter().enumerate() {
            out.push_str(if index == 0 { "{\"labels\":" } else { ",{\"labels\":" });
            push_labels(&mut out, &exemplar.labels);
            out.push_str(",\"value\":\"");
            push_value(&mut out, exemplar.value);
            out.push_str("\",\"timestamp\":");
            push_time(&mut out, exemplar.ts_ms);
            out.push('}');
        }
        out.push_str("]}");
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_are_listed_per_series() {
        let set = |name, value| LabelSet::from_pairs([(name, value)]).expect("valid");
        let exemplar = Exemplar { labels: set("trace_id", "ab"), value: 0.25, ts_ms: 1_500 };
        assert_eq!(
            exemplar_list(&[(set("job", "a"), vec![exemplar]), (set("job", "b"), Vec::new())]),
            "[{\"seriesLabels\":{\"job\":\"a\"},\"exemplars\":[{\"labels\":{\"trace_id\":\"ab\"},\"value\":\"0.25\",\
             \"timestamp\":1.5}]},{\"seriesLabels\":{\"job\":\"b\"},\"exemplars\":[]}]"
        );
    }
}
