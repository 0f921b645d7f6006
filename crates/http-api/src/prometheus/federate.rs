//! `/federate`: the latest sample of each selected series, in the text format or, where it is wanted, in protobuf
//! ([`federate_protobuf`](super::federate_protobuf)).
//!
//! As in the reference: samples of the lookback before now, stale ones left out; families are untyped; the
//! configuration's external labels are added where a series has none of that name, and an empty `instance` likewise,
//! so that the scraping side does not put its own. Native histograms have no text form and are left out there; those
//! with custom bounds become classic ones. `match[]={}` selects everything.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use model::{Histogram, LabelSet, Matcher, SampleColumns, TimeRange, is_stale_nan};
use promql::SampleValue;

use super::escaping::{Escaping, is_legacy};
use super::federate_protobuf;
use super::metadata::selector;
use super::negotiate::{Format, negotiate};
use super::number::{push, push_general, push_whole_number};
use super::params;
use crate::Api;
use crate::error::ApiError;
use crate::outlet::{Gone, Outlet};
use crate::query_gate::Ticket;

const NAME: &str = "__name__";

/// Errors are plain text here.
pub(crate) async fn federate(State(api): State<Api>, request: Request) -> Response {
    match answer(&api, request).await {
        Ok(response) => response,
        Err(error) => (error.status(), format!("{}\n", error.message())).into_response(),
    }
}

async fn answer(api: &Api, request: Request) -> Result<Response, ApiError> {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (format, escaping) = negotiate(accept.unwrap_or_default());
    let params = params(api, request).await?;
    let selectors: Vec<_> =
        params.all("match[]").map(selector).collect::<Result<_, _>>().map_err(ApiError::BadData)?;
    let externals = externals(&api.live.config().external_labels);
    let select = move |api: &Api, _: &Ticket| latest(api, &selectors);
    let body = match format {
        Format::Text => {
            let write = move |samples, outlet| write(outlet, samples, &externals, escaping);
            api.stream_body(None, select, write).await?
        }
        Format::Protobuf => {
            let write = move |samples: Vec<Latest>, outlet| {
                federate_protobuf::write(outlet, &samples, &externals, escaping)
            };
            api.stream_body(None, select, write).await?
        }
    };
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, format.media_type(escaping))], body).into_response())
}

/// Labels that every series gets unless it has one of that name, ascending.
fn externals(configured: &LabelSet) -> Vec<(String, String)> {
    let mut externals: Vec<(String, String)> =
        configured.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if configured.get("instance").is_none() {
        externals.push(("instance".to_owned(), String::new()));
        externals.sort();
    }
    externals
}

pub(super) struct Latest {
    pub(super) labels: LabelSet,
    pub(super) ts_ms: i64,
    pub(super) value: SampleValue,
}

/// The latest samples, ascending by name, then by labels.
fn latest(api: &Api, selectors: &[Vec<Matcher>]) -> Result<Vec<Latest>, ApiError> {
    let now_ms = api.clock.unix_ms();
    let lookback_ms = i64::try_from(api.engine.config().lookback.as_millis()).unwrap_or(i64::MAX);
    let range_ms = TimeRange::left_open_ms(now_ms.saturating_sub(lookback_ms), now_ms);
    let mut found = Vec::new();
    let mut columns = SampleColumns::default();
    for matchers in selectors {
        let set = api.metric_source.select(matchers, range_ms)?;
        for index in 0..set.len() {
            set.read(index, &mut columns)?;
            if let Some((ts_ms, value)) = last(&columns) {
                found.push(Latest { labels: set.labels(index).clone(), ts_ms, value });
            }
        }
    }
    found.sort_by(|left, right| {
        let names = left.labels.metric_name().cmp(right.labels.metric_name());
        names.then_with(|| left.labels.cmp(&right.labels))
    });
    found.dedup_by(|left, right| left.labels == right.labels);
    Ok(found)
}

/// The newest sample, unless it says that the series ended.
fn last(columns: &SampleColumns) -> Option<(i64, SampleValue)> {
    let float = columns.ts_ms.last().zip(columns.values.last()).map(|(ts_ms, value)| (*ts_ms, *value));
    let histogram = columns.histograms.last();
    match (float, histogram) {
        (float, Some(sample)) if float.is_none_or(|(ts_ms, _)| ts_ms < sample.ts_ms) => {
            let histogram = &sample.histogram;
            (!histogram.is_stale()).then(|| (sample.ts_ms, SampleValue::Histogram(histogram.clone())))
        }
        (Some((ts_ms, value)), _) => (!is_stale_nan(value)).then_some((ts_ms, SampleValue::Float(value))),
        (None, _) => None,
    }
}

fn write(
    mut outlet: Outlet,
    samples: Vec<Latest>,
    externals: &[(String, String)],
    escaping: Escaping,
) -> Result<(), Gone> {
    // Name and kind of the family being written.
    let mut family: Option<(LabelSet, &str)> = None;
    for sample in samples {
        let name = sample.labels.metric_name();
        let kind = match &sample.value {
            SampleValue::Float(_) => "untyped",
            SampleValue::Histogram(histogram) if histogram.has_custom_bounds() => "histogram",
            SampleValue::Histogram(_) => continue,
        };
        if name.is_empty() {
            continue;
        }
        let line = Line { sample: &sample, externals, escaping };
        let is_same =
            family.as_ref().is_some_and(|(last, last_kind)| last.metric_name() == name && *last_kind == kind);
        if !is_same {
            line.push_type(outlet.text(), kind);
        }
        match &sample.value {
            SampleValue::Float(value) => line.push(outlet.text(), "", None, *value),
            SampleValue::Histogram(histogram) => line.push_classic(outlet.text(), histogram),
        }
        outlet.relieve()?;
        family = Some((sample.labels, kind));
    }
    outlet.finish()
}

/// One series' lines.
struct Line<'l> {
    sample: &'l Latest,
    externals: &'l [(String, String)],
    escaping: Escaping,
}

impl Line<'_> {
    fn push_type(&self, out: &mut String, kind: &str) {
        out.push_str("# TYPE ");
        let name = self.sample.labels.metric_name();
        if self.is_quoted(name) {
            push_quoted(out, name);
        } else {
            self.escaping.push_name(out, name);
        }
        push(out, format_args!(" {kind}\n"));
    }

    /// `name_suffix{labels,le="…"} value time`.
    fn push(&self, out: &mut String, suffix: &str, upper_bound: Option<f64>, value: f64) {
        let name = self.sample.labels.metric_name();
        let mut has_labels = false;
        if self.is_quoted(name) {
            out.push('{');
            push_quoted(out, &format!("{name}{suffix}"));
            has_labels = true;
        } else {
            self.escaping.push_name(out, name);
            out.push_str(suffix);
        }
        let own = self.sample.labels.iter().filter(|(name, _)| *name != NAME);
        let external = self.externals.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let external = external.filter(|(name, _)| self.sample.labels.get(name).is_none());
        for (name, value) in own.chain(external) {
            self.push_label(out, &mut has_labels, name, value);
        }
        if let Some(bound) = upper_bound {
            let mut text = String::new();
            push_general(&mut text, bound);
            self.push_label(out, &mut has_labels, "le", &text);
        }
        if has_labels {
            out.push('}');
        }
        out.push(' ');
        push_general(out, value);
        out.push(' ');
        push_whole_number(out, self.sample.ts_ms);
        out.push('\n');
    }

    fn push_label(&self, out: &mut String, has_labels: &mut bool, name: &str, value: &str) {
        out.push(if *has_labels { ',' } else { '{' });
        *has_labels = true;
        if self.is_quoted(name) {
            push_quoted(out, name);
        } else {
            self.escaping.push_name(out, name);
        }
        out.push('=');
        push_quoted(out, value);
    }

    /// A histogram with custom bounds as a classic one.
    fn push_classic(&self, out: &mut String, histogram: &Histogram) {
        let mut buckets = histogram.positive.iter().peekable();
        let mut cumulative = 0.0;
        for (index, bound) in (0_i32..).zip(histogram.custom_bounds.iter()) {
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| *bucket <= index) {
                cumulative += count;
            }
            self.push(out, "_bucket", Some(*bound), cumulative);
        }
        self.push(out, "_bucket", Some(f64::INFINITY), histogram.count);
        self.push(out, "_sum", None, histogram.sum);
        self.push(out, "_count", None, histogram.count);
    }

    fn is_quoted(&self, name: &str) -> bool {
        self.escaping == Escaping::AllowUtf8 && !is_legacy(name)
    }
}

/// With `\`, `"` and line feeds escaped.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}
