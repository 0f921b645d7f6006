//! The plan of a query as a tree: what each part took.

use serde_json::Value;

use super::number::short;

/// A line per part: time in it and in it alone, samples, series, and the part itself.
pub(super) fn render(data: &Value) -> String {
    let plan = if data["plan"].is_object() { &data["plan"] } else { data };
    let mut out = format!("{:>9} {:>9} {:>9} {:>7}  part\n", "time", "alone", "samples", "series");
    push(plan, "", "", &mut out);
    out
}

fn push(node: &Value, branch: &str, stem: &str, out: &mut String) {
    let time = |key: &str| node[key].as_f64().map_or_else(String::new, |ns| format!("{}s", short(ns / 1e9)));
    let count = |key: &str| node[key].as_f64().map_or_else(String::new, short);
    out.push_str(&format!(
        "{:>9} {:>9} {:>9} {:>7}  {branch}{}\n",
        time("time_ns"),
        time("self_time_ns"),
        count("samples_read"),
        count("series"),
        node["node"].as_str().unwrap_or("?"),
    ));
    let below = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, child) in below.iter().enumerate() {
        let is_last = index + 1 == below.len();
        let (next, rest) = if is_last { ("└ ", "  ") } else { ("├ ", "│ ") };
        push(child, &format!("{stem}{next}"), &format!("{stem}{rest}"), out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;

    #[test]
    fn a_plan_is_a_tree() {
        let leaf = |node: &str, ns: u64| json!({"node": node, "time_ns": ns, "self_time_ns": ns, "samples_read": 480, "series": 6, "children": []});
        let plan = json!({"plan": {
            "node": "/", "time_ns": 3_500_000, "self_time_ns": 500_000, "samples_read": 960, "series": 6,
            "children": [
                {"node": "sum by (job)", "time_ns": 2_000_000, "self_time_ns": 1_000_000, "samples_read": 480,
                 "series": 2, "children": [leaf("rate(m[5m])", 1_000_000)]},
                leaf("n", 1_000_000),
            ],
        }});
        let want = "     time     alone   samples  series  part
    3.5ms     500µs       960       6  /
      2ms       1ms       480       2  ├ sum by (job)
      1ms       1ms       480       6  │ └ rate(m[5m])
      1ms       1ms       480       6  └ n
";
        assert_eq!(render(&plan), want);
    }
}
