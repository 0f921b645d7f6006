//! `query_exemplars`.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use model::{Exemplar, LabelSet};
use promql::ExprKind;

use super::json::{push_comma, push_labels, write_list};
use super::metadata::range;
use super::number::{push_time, push_value};
use super::query::parse;
use super::{Answer, params};
use crate::Api;
use crate::error::ApiError;
use crate::query_gate::Ticket;

/// Exemplars of every series that the query reads. A query without a selector has no answer: 204, as in Prometheus.
pub(super) async fn exemplars(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let range_ms = range(&params)?;
    if range_ms.is_empty() {
        return Err(ApiError::BadData("end timestamp must not be before start timestamp".into()));
    }
    let expr = parse(&api, &params).map_err(ApiError::BadData)?;
    let mut selectors = Vec::new();
    expr.walk(&mut |node| {
        if let ExprKind::Selector(selector) = &node.kind {
            selectors.push(selector.matchers.clone());
        }
    });
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let select = move |api: &Api, _: &Ticket| Ok(api.metric_source.exemplars(&selectors, range_ms)?);
    let write = |found, outlet| write_list(outlet, found, &[], push_series);
    api.stream(None, select, write).await
}

fn push_series(out: &mut String, (labels, exemplars): &(LabelSet, Vec<Exemplar>)) {
    out.push_str("{\"seriesLabels\":");
    push_labels(out, labels);
    out.push_str(",\"exemplars\":[");
    for (index, exemplar) in exemplars.iter().enumerate() {
        push_comma(out, index);
        out.push_str("{\"labels\":");
        push_labels(out, &exemplar.labels);
        out.push_str(",\"value\":\"");
        push_value(out, exemplar.value);
        out.push_str("\",\"timestamp\":");
        push_time(out, exemplar.ts_ms);
        out.push('}');
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemplars_are_listed_per_series() {
        let set = |name, value| LabelSet::from_pairs([(name, value)]).expect("valid");
        let exemplar = Exemplar { labels: set("trace_id", "ab"), value: 0.25, ts_ms: 1_500 };
        let mut out = String::new();
        push_series(&mut out, &(set("job", "a"), vec![exemplar]));
        assert_eq!(
            out,
            "{\"seriesLabels\":{\"job\":\"a\"},\"exemplars\":[{\"labels\":{\"trace_id\":\"ab\"},\"value\":\"0.25\",\
             \"timestamp\":1.5}]}"
        );
    }
}
