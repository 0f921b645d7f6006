//! Two answers to one query.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// How far two doubles may be apart: sums are taken in other orders, logarithms by other libraries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

/// How two answers differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Difference {
    /// One failed.
    OnlyOneFails {
        ours: Option<String>,
        theirs: Option<String>,
    },
    /// Another kind of failure.
    ErrorType {
        ours: String,
        theirs: String,
    },
    /// Another type of value.
    ResultType {
        ours: String,
        theirs: String,
    },
    /// Series that only one has.
    Series {
        only_ours: Vec<String>,
        only_theirs: Vec<String>,
        same_values: bool,
    },
    /// Samples that only one has.
    Times {
        series: String,
        detail: String,
        same_values: bool,
    },
    Value {
        series: String,
        at: String,
        ours: String,
        theirs: String,
    },
    /// The same number in other words.
    Words {
        ours: String,
        theirs: String,
    },
    /// Other warnings or infos.
    Notes {
        ours: Vec<String>,
        theirs: Vec<String>,
    },
    /// Another order of an ordered answer.
    Order {
        ours: Vec<String>,
        theirs: Vec<String>,
    },
}

impl Difference {
    /// What kind it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::OnlyOneFails { .. } => "failure",
            Self::ErrorType { .. } => "error type",
            Self::ResultType { .. } => "result type",
            Self::Series { .. } => "series",
            Self::Times { .. } => "times",
            Self::Value { .. } => "value",
            Self::Words { .. } => "words",
            Self::Order { .. } => "order",
            Self::Notes { .. } => "notes",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyOneFails { ours, theirs } => {
                let say = |error: &Option<String>| error.clone().unwrap_or_else(|| "an answer".to_owned());
                write!(f, "ours: {}; theirs: {}", say(ours), say(theirs))
            }
            Self::ErrorType { ours, theirs } => write!(f, "kind of error: ours {ours}; theirs {theirs}"),
            Self::ResultType { ours, theirs } => write!(f, "type: ours {ours}, theirs {theirs}"),
            Self::Series { only_ours, only_theirs, .. } => {
                write!(f, "series: only ours {only_ours:?}, only theirs {only_theirs:?}")
            }
            Self::Times { series, detail, .. } => write!(f, "samples of {series}: {detail}"),
            Self::Value { series, at, ours, theirs } => {
                write!(f, "value of {series} at {at}: ours {ours}, theirs {theirs}")
            }
            Self::Words { ours, theirs } => write!(f, "number: ours is written {ours}, theirs {theirs}"),
            Self::Notes { ours, theirs } => write!(f, "notes: ours {ours:?}, theirs {theirs:?}"),
            Self::Order { ours, theirs } => write!(f, "order: ours {ours:?}, theirs {theirs:?}"),
        }
    }
}

/// Warnings and infos, whatever their order.
pub(crate) fn compare_notes(ours: &Value, theirs: &Value) -> Option<Difference> {
    let notes = |answer: &Value| -> Vec<String> {
        let notes = ["warnings", "infos"].iter().flat_map(|key| answer[key].as_array().into_iter().flatten());
        let mut notes: Vec<String> = notes.filter_map(|note| note.as_str().map(str::to_owned)).collect();
        notes.sort_unstable();
        notes
    };
    let (mut ours, mut theirs) = (notes(ours), notes(theirs));
    // Of too many notes, which are told is chance: how many must be the same.
    let is_cut = |notes: &[String]| notes.iter().any(|note| note.ends_with("annotations omitted"));
    if is_cut(&ours) && is_cut(&theirs) && ours.len() == theirs.len() {
        for notes in [&mut ours, &mut theirs] {
            notes.retain(|note| note.ends_with("annotations omitted"));
        }
    }
    (ours != theirs).then_some(Difference::Notes { ours, theirs })
}

/// The first difference; `ordered`: the order of an instant vector counts.
pub(crate) fn compare(
    ours: &Value,
    theirs: &Value,
    ordered: bool,
    tolerance: Tolerance,
) -> Option<Difference> {
    let failure = |answer: &Value| {
        (answer["status"] != "success").then(|| {
            let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            (text("errorType"), text("error"))
        })
    };
    match (failure(ours), failure(theirs)) {
        (None, None) => {}
        (Some(ours), Some(theirs)) => {
            let (ours, theirs) = (ours.0, theirs.0);
            return (ours != theirs).then_some(Difference::ErrorType { ours, theirs });
        }
        (ours, theirs) => {
            let words =
                |failure: Option<(String, String)>| failure.map(|(kind, error)| format!("{kind}: {error}"));
            return Some(Difference::OnlyOneFails { ours: words(ours), theirs: words(theirs) });
        }
    }
    let (ours, theirs) = (&ours["data"], &theirs["data"]);
    let (our_type, their_type) = (&ours["resultType"], &theirs["resultType"]);
    if our_type != their_type {
        return Some(Difference::ResultType { ours: our_type.to_string(), theirs: their_type.to_string() });
    }
    if matches!(our_type.as_str(), Some("scalar" | "string")) {
        return compare_sample("the scalar", &ours["result"], &theirs["result"], tolerance);
    }
    compare_series(&ours["result"], &theirs["result"], ordered, tolerance)
}

/// Labels of a series as text, and its samples.
type BySeries<'v> = BTreeMap<String, Vec<&'v Value>>;

fn by_series(result: &Value) -> BySeries<'_> {
    let series = result.as_array().into_iter().flatten().map(|series| {
        let labels: BTreeMap<&str, &str> = series["metric"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let one = |key: &str| series.get(key).into_iter();
        let many = |key: &str| series[key].as_array().into_iter().flatten();
        let samples = one("value").chain(one("histogram")).chain(many("values")).chain(many("histograms"));
        let samples = samples.collect();
        (format!("{labels:?}"), samples)
    });
    series.collect()
}

fn compare_series(ours: &Value, theirs: &Value, ordered: bool, tolerance: Tolerance) -> Option<Difference> {
    let (our_series, their_series) = (by_series(ours), by_series(theirs));
    let missing = |from: &BySeries<'_>, other: &BySeries<'_>| -> Vec<String> {
        from.keys().filter(|labels| !other.contains_key(*labels)).cloned().collect()
    };
    let only_ours = missing(&our_series, &their_series);
    let only_theirs = missing(&their_series, &our_series);
    if !only_ours.is_empty() || !only_theirs.is_empty() {
        let same_values = have_same_values(&our_series, &their_series, tolerance);
        return Some(Difference::Series { only_ours, only_theirs, same_values });
    }
    for (series, our_samples) in &our_series {
        let their_samples = &their_series[series];
        let times =
            |samples: &[&Value]| samples.iter().map(|sample| sample[0].to_string()).collect::<Vec<_>>();
        let (our_times, their_times) = (times(our_samples), times(their_samples));
        if our_times != their_times {
            let only = |left: &[String], right: &[String]| {
                left.iter().filter(|time| !right.contains(time)).take(3).cloned().collect::<Vec<_>>()
            };
            let detail = format!(
                "ours {}, theirs {}; only ours at {:?}, only theirs at {:?}",
                our_times.len(),
                their_times.len(),
                only(&our_times, &their_times),
                only(&their_times, &our_times)
            );
            let same_values = have_same_values(&our_series, &their_series, tolerance);
            return Some(Difference::Times { series: series.clone(), detail, same_values });
        }
        let mut pairs = our_samples.iter().zip(their_samples);
        let found = pairs.find_map(|(ours, theirs)| compare_sample(series, ours, theirs, tolerance));
        if found.is_some() {
            return found;
        }
    }
    if !ordered {
        return None;
    }
    // Equal values may stand in any order.
    let values = |result: &Value| -> Vec<String> {
        let series = result.as_array().into_iter().flatten();
        series.map(|series| series["value"][1].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (ours, theirs) = (values(ours), values(theirs));
    let same = ours.iter().zip(&theirs).all(|(ours, theirs)| {
        ours.parse()
            .ok()
            .zip(theirs.parse().ok())
            .is_some_and(|(ours, theirs)| is_same(ours, theirs, tolerance))
    });
    (!same).then_some(Difference::Order { ours, theirs })
}

/// Whether the samples are the same, whatever their series.
fn have_same_values(ours: &BySeries<'_>, theirs: &BySeries<'_>, tolerance: Tolerance) -> bool {
    let sorted = |series: &BySeries<'_>| -> Vec<(f64, f64)> {
        let samples = series.values().flatten();
        let pairs =
            samples.filter_map(|sample| Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?)));
        let mut pairs: Vec<(f64, f64)> = pairs.collect();
        pairs.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.abs().total_cmp(&right.1.abs())));
        pairs
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(&theirs)
            .all(|(ours, theirs)| ours.0 == theirs.0 && is_same(ours.1.abs(), theirs.1.abs(), tolerance))
}

fn compare_sample(series: &str, ours: &Value, theirs: &Value, tolerance: Tolerance) -> Option<Difference> {
    let (Some(our_text), Some(their_text)) = (ours[1].as_str(), theirs[1].as_str()) else {
        return (!is_same_histogram(&ours[1], &theirs[1], tolerance)).then(|| Difference::Value {
            series: series.to_owned(),
            at: theirs[0].to_string(),
            ours: ours[1].to_string(),
            theirs: theirs[1].to_string(),
        });
    };
    let numbers = our_text.parse::<f64>().ok().zip(their_text.parse::<f64>().ok());
    let Some((our_value, their_value)) = numbers else {
        let (ours, theirs) = (our_text.to_owned(), their_text.to_owned());
        return (ours != theirs).then_some(Difference::Words { ours, theirs });
    };
    if our_text != their_text && our_value.to_bits() == their_value.to_bits() {
        return Some(Difference::Words { ours: our_text.to_owned(), theirs: their_text.to_owned() });
    }
    (!is_same(our_value, their_value, tolerance)).then(|| Difference::Value {
        series: series.to_owned(),
        at: theirs[0].to_string(),
        ours: our_text.to_owned(),
        theirs: their_text.to_owned(),
    })
}

/// Histograms are JSON of numbers as texts, nested.
fn is_same_histogram(ours: &Value, theirs: &Value, tolerance: Tolerance) -> bool {
    match (ours, theirs) {
        (Value::String(ours), Value::String(theirs)) => {
            let numbers = ours.parse().ok().zip(theirs.parse().ok());
            numbers.is_some_and(|(ours, theirs)| is_same(ours, theirs, tolerance))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            let mut pairs = ours.iter().zip(theirs);
            ours.len() == theirs.len()
                && pairs.all(|(ours, theirs)| is_same_histogram(ours, theirs, tolerance))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, ours)| {
                theirs.get(key).is_some_and(|theirs| is_same_histogram(ours, theirs, tolerance))
            };
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (ours, theirs) => ours == theirs,
    }
}

fn is_same(left: f64, right: f64, tolerance: Tolerance) -> bool {
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    let distance = (left - right).abs();
    distance <= tolerance.absolute
        || distance <= tolerance.relative * left.abs().max(right.abs()).min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOLERANCE: Tolerance = Tolerance { relative: 1e-9, absolute: 1e-12 };

    fn vector(series: &[(&str, &str)]) -> Value {
        let series: Vec<Value> =
            series.iter().map(|(job, value)| json!({"metric": {"job": job}, "value": [1, value]})).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": series}})
    }

    #[track_caller]
    fn check(ours: &Value, theirs: &Value, ordered: bool, want: Option<&str>) {
        let found = compare(ours, theirs, ordered, TOLERANCE).map(|difference| difference.to_string());
        assert_eq!(found.as_deref(), want);
    }

    #[test]
    fn answers() {
        let error = |kind: &str| json!({"status": "error", "errorType": kind, "error": "why"});
        let one = vector(&[("a", "1"), ("b", "NaN")]);
        check(&one, &vector(&[("b", "NaN"), ("a", "1.0000000000001")]), false, None);
        check(
            &one,
            &vector(&[("b", "NaN"), ("a", "1")]),
            true,
            Some("order: ours [\"1\", \"NaN\"], theirs [\"NaN\", \"1\"]"),
        );
        check(
            &one,
            &vector(&[("b", "2"), ("a", "1")]),
            false,
            Some("value of {\"job\": \"b\"} at 1: ours NaN, theirs 2"),
        );
        check(
            &one,
            &vector(&[("a", "1")]),
            false,
            Some("series: only ours [\"{\\\"job\\\": \\\"b\\\"}\"], only theirs []"),
        );
        check(
            &vector(&[("a", "1e3")]),
            &vector(&[("a", "1000")]),
            false,
            Some("number: ours is written 1e3, theirs 1000"),
        );
        check(&error("execution"), &error("execution"), false, None);
        check(
            &error("bad_data"),
            &error("execution"),
            false,
            Some("kind of error: ours bad_data; theirs execution"),
        );
        check(&one, &error("execution"), false, Some("ours: an answer; theirs: execution: why"));
    }
}
