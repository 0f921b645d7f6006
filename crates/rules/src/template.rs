//! Templates in labels and annotations of alerts: Go's text/template with Prometheus's functions.
//!
//! ```text
//! "{{ $labels.job }} is down"  ─ parse at load (errors stop it) ─▶  Template ─ expand per alert ─▶ text
//! ```
//! An error while expanding never stops an alert: it becomes the text `<error expanding template: …>`.

mod functions;
mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{MissingKey, Value};
use model::LabelSet;

/// Longest text that an expansion may give.
const EXPANDED_BYTES_MAX: usize = 64 << 10;
/// Iterations of all `range`s of one expansion.
const RANGE_ITERATIONS_MAX: u64 = 100_000;
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A template that parses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// What every template can use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateGlobals {
    pub external_labels: LabelSet,
    /// Where users reach this server.
    pub external_url: String,
}

/// Runs a query for the template function `query`.
pub(crate) type QueryFn = Arc<dyn Fn(&str) -> Result<Vec<(LabelSet, f64)>, String> + Send + Sync>;

/// What one expansion speaks about.
pub(crate) struct TemplateData<'d> {
    pub(crate) labels: &'d LabelSet,
    pub(crate) value: f64,
    pub(crate) globals: &'d TemplateGlobals,
    pub(crate) query: QueryFn,
    /// Unix seconds.
    pub(crate) now_seconds: f64,
}

impl Template {
    /// Checks that `text` is a template.
    ///
    /// # Errors
    /// A sentence with the place of the mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("{{") {
            let no_query: QueryFn = Arc::new(|_| Ok(Vec::new()));
            let functions = functions::functions(&no_query, "", 0.0);
            names::check(&format!("{PRELUDE}{text}"), |name| functions.contains_key(name))?;
            compile(text, &no_query, &TemplateGlobals::default(), 0.0).map_err(|error| error.to_string())?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The template as it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text for one alert.
    pub(crate) fn expand(&self, data: &TemplateData<'_>) -> String {
        if !self.0.contains("{{") {
            return self.0.clone();
        }
        self.try_expand(data).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }

    fn try_expand(&self, data: &TemplateData<'_>) -> Result<String, String> {
        let template = compile(&self.0, &data.query, data.globals, data.now_seconds)
            .map_err(|error| error.to_string())?;
        let root = Value::from_entries([
            ("Labels".to_owned(), labels_value(data.labels)),
            ("ExternalLabels".to_owned(), labels_value(&data.globals.external_labels)),
            ("ExternalURL".to_owned(), Value::String(data.globals.external_url.as_str().into())),
            ("Value".to_owned(), Value::Float(data.value)),
        ]);
        let text = template.execute_to_string(&root).map_err(|error| error.to_string())?;
        if text.len() > EXPANDED_BYTES_MAX {
            return Err(format!(
                "the text has {} bytes, more than the limit of {EXPANDED_BYTES_MAX}",
                text.len()
            ));
        }
        // A label that is not there is the empty text, as in a Go map of strings.
        Ok(text.replace("<no value>", ""))
    }
}

fn compile(
    text: &str,
    query: &QueryFn,
    globals: &TemplateGlobals,
    now_seconds: f64,
) -> Result<gotmpl::Template, gotmpl::TemplateError> {
    gotmpl::Template::new("")
        .max_range_iters(RANGE_ITERATIONS_MAX)
        .missing_key(MissingKey::ZeroValue)
        .funcs(functions::functions(query, &globals.external_url, now_seconds))
        .parse(&format!("{PRELUDE}{text}"))
}

fn labels_value(labels: &LabelSet) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        labels.iter().map(|(name, value)| (name.into(), Value::String(value.into()))).collect();
    Value::Map(Arc::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let labels =
            LabelSet::from_pairs([("job", "api"), ("instance", "h.example.org:9100")]).expect("valid");
        let globals = TemplateGlobals {
            external_labels: LabelSet::from_pairs([("zone", "a")]).expect("valid"),
            external_url: "http://eino.example".to_owned(),
        };
        let query: QueryFn = Arc::new(|text| match text {
            "up" => Ok(vec![
                (LabelSet::from_pairs([("job", "b")]).expect("valid"), 2.0),
                (LabelSet::from_pairs([("job", "a")]).expect("valid"), 1.0),
            ]),
            "none" => Ok(Vec::new()),
            other => Err(format!("no such query {other:?}")),
        });
        let data = TemplateData {
            labels: &labels,
            value: 0.12345,
            globals: &globals,
            query,
            now_seconds: 1_700_000_000.0,
        };
        match Template::parse(text) {
            Ok(template) => template.expand(&data),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn what_rule_files_use() {
        for (text, want) in [
            ("plain", "plain"),
            (
                "{{ $labels.job }} at {{ .Labels.instance }}: {{ $value }}",
                "api at h.example.org:9100: 0.12345",
            ),
            ("[{{ $labels.missing }}]", "[]"),
            ("{{ $externalLabels.zone }} {{ $externalURL }}", "a http://eino.example"),
            ("{{ $value | humanize }} {{ humanizePercentage $value }}", "123.5m 12.35%"),
            (r#"{{ printf "%.2f" $value }}"#, "0.12"),
            ("{{ 90061 | humanizeDuration }}", "1d 1h 1m 1s"),
            ("{{ 1700000000 | humanizeTimestamp }}", "2023-11-14 22:13:20 +0000 UTC"),
            ("{{ if gt $value 0.1 }}high{{ else }}low{{ end }}", "high"),
            (
                r#"{{ range query "up" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value }} {{ end }}"#,
                "a=1 b=2 ",
            ),
            (r#"{{ with query "none" }}some{{ else }}none{{ end }}"#, "none"),
            (r#"{{ query "up" | first | value }}"#, "2"),
            (r#"{{ query "up" | first | label "job" }}"#, "b"),
            (
                "{{ $labels.instance | stripPort }} {{ $labels.instance | stripDomain }}",
                "h.example.org h:9100",
            ),
            (r#"{{ reReplaceAll "a(.)i" "<$1>" $labels.job }} {{ match "^a" $labels.job }}"#, "<p> true"),
            ("{{ toUpper $labels.job | toLower | title }}", "Api"),
            (r#"{{ graphLink "up" }}"#, "/graph?g0.expr=up&g0.tab=0"),
            (r#"{{ parseDuration "1h30m" }}"#, "5400"),
        ] {
            assert_eq!(expand(text), want, "{text}");
        }
    }

    #[test]
    fn mistakes_are_refused_at_load_or_said_in_the_text() {
        assert_eq!(expand("{{ $nothing }}"), "refused: line 1: undefined variable \"$nothing\"");
        assert_eq!(
            expand("{{ if true }}\n{{ nosuch 1 }}{{ end }}"),
            "refused: line 2: function \"nosuch\" not defined"
        );
        assert_eq!(
            expand("{{ $x := 1 }}{{ $x }}{{ range $i, $s := query \"none\" }}{{ $i }}{{ $s }}{{ end }}"),
            "1"
        );
        assert!(expand("{{ if }}").starts_with("refused: "));
        assert!(expand(r#"{{ query "bad" }}"#).starts_with("<error expanding template: "));
        assert!(
            expand(r#"{{ query "none" | first }}"#).contains("first() called on vector with no elements")
        );
    }
}
