//! The plan of a query as a tree.

use serde_json::Value;

/// Keys that hold the nodes below one.
const BELOW: [&str; 3] = ["children", "inputs", "plan"];

/// A line per node: its name, then what is known of it.
pub(super) fn render(data: &Value) -> String {
    let mut out = String::new();
    push(data, "", "", &mut out);
    out
}

fn push(node: &Value, first: &str, rest: &str, out: &mut String) {
    let Some(fields) = node.as_object() else {
        if let Some(nodes) = node.as_array() {
            nodes.iter().for_each(|node| push(node, first, rest, out));
        }
        return;
    };
    let shown = fields.iter().filter(|(key, value)| !BELOW.contains(&key.as_str()) && !value.is_null());
    let shown: Vec<String> = shown.map(|(key, value)| format!("{key} {}", plain(value))).collect();
    out.push_str(&format!("{first}{}\n", shown.join(", ")));
    let below: Vec<&Value> = BELOW
        .iter()
        .filter_map(|key| fields.get(*key))
        .flat_map(|value| value.as_array().map_or_else(|| vec![value], |nodes| nodes.iter().collect()))
        .collect();
    for (index, node) in below.iter().enumerate() {
        let is_last = index + 1 == below.len();
        let (branch, stem) = if is_last { ("└ ", "  ") } else { ("├ ", "│ ") };
        push(node, &format!("{rest}{branch}"), &format!("{rest}{stem}"), out);
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
