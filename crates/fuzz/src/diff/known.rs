//! Differences that are no bugs, by rule. Each is explained in `docs/promql-differences.md` under its name.

use super::compare::Difference;
use super::query::Node;

/// What subtracts squares or products that are nearly equal.
const VARIANCES: [&str; 6] =
    ["stddev", "stdvar", "stddev_over_time", "stdvar_over_time", "deriv", "predict_linear"];
/// Functions whose odd cases are others in 2.x.
const CHANGED_FUNCTIONS: [(&[&str], &str); 3] = [
    (&["stddev", "stdvar", "stddev_over_time", "stdvar_over_time"], "variances of what is not finite"),
    (&["clamp", "clamp_min", "clamp_max"], "clamp by NaN"),
    (&["absent", "absent_over_time"], "labels of absent"),
];
/// Largest relative difference that is rounding.
const ROUNDING_MAX: f64 = 1e-6;

/// The name of the rule that explains a difference, if one does.
pub(crate) fn class(major_version: u32, node: &Node, difference: &Difference) -> Option<&'static str> {
    let of_any_version = match difference {
        Difference::Series { same_values: true, .. } | Difference::Times { same_values: true, .. }
            if matches!(node, Node::Aggregate { op: "topk" | "bottomk", .. }) =>
        {
            Some("ties in topk")
        }
        Difference::Words { ours, theirs } if ours.len() == theirs.len() => Some("last digit of a tie"),
        Difference::Value { theirs, .. }
            if (theirs.contains("Inf") || theirs == "NaN") && node.uses(&["sinh", "cosh"]) =>
        {
            Some("sinh and cosh near overflow")
        }
        Difference::Series { only_theirs, .. }
            if only_theirs.is_empty() && node.uses(&["timestamp"]) && node.any(&is_fixed_in_time) =>
        {
            Some("timestamp at a fixed time")
        }
        Difference::Series { only_ours, .. } if has_bounds(only_ours) => Some("bounds of native histograms"),
        Difference::Notes { ours, theirs } => notes_class(node, ours, theirs),
        Difference::Value { .. } if node.any(&is_remainder) => Some("remainders of what is computed"),
        Difference::Value { ours, theirs, .. } if node.uses(&VARIANCES) && is_rounding(ours, theirs) => {
            Some("rounding of variances")
        }
        Difference::OnlyOneFails { ours: None, theirs: Some(error) }
            if error.contains("the same labelset") =>
        {
            Some("names are removed at the end")
        }
        _ => None,
    };
    let of_2 = || if major_version < 3 { class_2(node, difference) } else { None };
    of_any_version.or_else(of_2)
}

/// What has changed since 2.x.
fn class_2(node: &Node, difference: &Difference) -> Option<&'static str> {
    match difference {
        Difference::OnlyOneFails { ours: None, theirs: Some(error) } => {
            if error.contains("expected duration") {
                return Some("numbers are durations");
            }
            if error.contains("duration must be greater than 0") {
                return Some("durations of zero");
            }
            if error.contains("label name") {
                return Some("names in UTF-8");
            }
        }
        Difference::OnlyOneFails { ours: Some(error), theirs: None }
            if error.contains("many-to-one matching must be explicit") =>
        {
            return Some("many to one before the comparison");
        }
        Difference::Series { .. } | Difference::Times { .. } if node.uses(&["histogram_fraction"]) => {
            return Some("histogram_fraction of classic histograms");
        }
        _ => {}
    }
    if node.any(&is_atan2) {
        return Some("atan2 removes the name");
    }
    for (names, class) in CHANGED_FUNCTIONS {
        if node.uses(names) {
            return Some(class);
        }
    }
    if node.any(&extrapolates_a_gauge) {
        return Some("extrapolation to zero");
    }
    if node.uses(&["predict_linear"]) && node.any(&is_fixed_in_time) {
        return Some("predict_linear at a fixed time");
    }
    nests_subqueries(node).then_some("ranges open on the left")
}

/// Label values that are histograms.
fn has_bounds(series: &[String]) -> bool {
    series.iter().any(|labels| labels.contains("{count:"))
}

/// A text without the part from one word to another.
fn without(text: &str, from: &str, to: &str) -> String {
    match text.split_once(from).map(|(before, after)| (before, after.split_once(to))) {
        Some((before, Some((_, after)))) => format!("{before}{after}"),
        _ => text.to_owned(),
    }
}

/// Warnings and infos that only one gives.
fn notes_class(node: &Node, ours: &[String], theirs: &[String]) -> Option<&'static str> {
    let computes_ranges = node.any(&is_computed_range);
    let nameless = |notes: &[String]| -> Vec<String> {
        let nameless = notes
            .iter()
            .filter(|note| !(computes_ranges && note.contains("metric might not be a counter")))
            .map(|note| without(&without(note, " for metric name \"", "\""), ", over ", " samples"))
            .map(|note| without(&note, "is not a counter: \"", "\""));
        let mut nameless: Vec<String> = nameless.collect();
        nameless.sort_unstable();
        nameless.dedup();
        nameless
    };
    // Notes that differ in nothing but names are one without them, at the place that was last.
    let placeless = |notes: &[String]| -> Vec<String> {
        let mut texts: Vec<String> = nameless(notes)
            .iter()
            .map(|note| note.rsplit_once(" (").map_or(note.as_str(), |(text, _)| text).to_owned())
            .collect();
        texts.dedup();
        texts
    };
    let ours_name = || ours.iter().any(|note| note.contains("for metric name"));
    if nameless(ours) == nameless(theirs) || (ours_name() && placeless(ours) == placeless(theirs)) {
        return Some("names in notes");
    }
    let is_of_resets = |note: &String| note.contains("conflicting counter resets") && !theirs.contains(note);
    let other: Vec<String> = ours.iter().filter(|note| !is_of_resets(note)).cloned().collect();
    if nameless(&other) == nameless(theirs) {
        return Some("resets that the store knows");
    }
    if same_but_for_last_digits(ours, theirs) {
        return Some("last digits in notes");
    }
    let others = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter().filter(|note| !right.contains(note)).cloned().collect()
    };
    let (only_ours, only_theirs) = (others(ours, theirs), others(theirs, ours));
    let all_say = |words: &str| only_ours.iter().all(|note| note.contains(words));
    let sorts_what_is_fixed = || node.any(&is_fixed_in_time) || node.any(&sorts_a_constant);
    if only_theirs.is_empty() && all_say("sort is ineffective") && sorts_what_is_fixed() {
        return Some("sort at a fixed time");
    }
    None
}

fn is_rounding(ours: &str, theirs: &str) -> bool {
    let (Ok(ours), Ok(theirs)) = (ours.parse::<f64>(), theirs.parse::<f64>()) else { return false };
    (ours - theirs).abs() <= ROUNDING_MAX * ours.abs().max(theirs.abs())
}

/// Whether the notes are the same when numbers of more than twelve digits are rounded.
fn same_but_for_last_digits(ours: &[String], theirs: &[String]) -> bool {
    let rounded = |word: &str| match word.parse::<f64>() {
        Ok(number) if word.len() > 12 => format!("{number:.11e}"),
        _ => word.to_owned(),
    };
    let all_rounded = |notes: &[String]| -> Vec<String> {
        notes.iter().map(|note| note.split(' ').map(rounded).collect::<Vec<_>>().join(" ")).collect()
    };
    all_rounded(ours) == all_rounded(theirs)
}

/// A subquery of something else than a selector: theirs removed the name.
fn is_computed_range(node: &Node) -> bool {
    matches!(node, Node::Subquery { inner, .. } if !matches!(**inner, Node::Selector { .. }))
}

fn is_atan2(node: &Node) -> bool {
    match node {
        Node::Binary(binary) => binary.op == "atan2",
        Node::Text(text) => text.contains(" atan2 "),
        _ => false,
    }
}

/// `sort` of something that is the same at every step.
fn sorts_a_constant(node: &Node) -> bool {
    matches!(node, Node::Call { name: "sort" | "sort_desc", .. })
        && !node.any(&|node| matches!(node, Node::Selector { .. }))
}

/// `%` of what a function gave: a last digit decides.
fn is_remainder(node: &Node) -> bool {
    let Node::Binary(binary) = node else { return false };
    let is_computed = |side: &Node| side.any(&|node| matches!(node, Node::Call { .. } | Node::Binary(_)));
    binary.op == "%" && (is_computed(&binary.left) || is_computed(&binary.right))
}

/// `rate` or `increase` of something that is near zero. Counters are not, in the data for 2.x.
fn extrapolates_a_gauge(node: &Node) -> bool {
    if let Node::Text(text) = node {
        return text.contains("rate(") || text.contains("increase(");
    }
    let Node::Call { name: "rate" | "increase", arguments, .. } = node else { return false };
    let is_counter =
        |name: &str| ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
    !matches!(arguments.first(), Some(Node::Selector { name, .. }) if is_counter(name))
}

fn is_fixed_in_time(node: &Node) -> bool {
    matches!(node, Node::Selector { shift, .. } | Node::Subquery { shift, .. } if shift.at.is_some())
}

/// A subquery in a subquery: its points lie where the outer one's ranges begin.
fn nests_subqueries(node: &Node) -> bool {
    node.any(&|outer| {
        let Node::Subquery { inner, .. } = outer else { return false };
        inner.any(&|node| matches!(node, Node::Subquery { .. }))
    })
}
