//! The tree as JSON, as `/api/v1/parse_query` answers it and Prometheus's pages draw it.

use model::Matcher;
use serde_json::{Value, json};

use crate::ast::{
    Aggregate, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr, ExprKind, Extension, Selector,
    Subquery, TimeShift, ValueType,
};
use crate::format_value;
use crate::functions::{Arity, Signature};

/// The tree of an expression as a JSON object with `type` and what belongs to it.
pub fn tree_json(expr: &Expr) -> String {
    node(expr).to_string()
}

fn node(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => json!({"type": "numberLiteral", "val": format_value(*value)}),
        ExprKind::String(bytes) => json!({"type": "stringLiteral", "val": String::from_utf8_lossy(bytes)}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": node(inner)}),
        ExprKind::Unary { negative, expr } => {
            json!({"type": "unaryExpr", "op": if *negative { "-" } else { "+" }, "expr": node(expr)})
        }
        ExprKind::Binary(binary) => binary_node(binary),
        ExprKind::Aggregate(aggregate) => aggregate_node(aggregate),
        ExprKind::Call(call) => call_node(call),
        ExprKind::Selector(selector) => selector_node(selector),
        ExprKind::Subquery(subquery) => subquery_node(subquery),
    }
}

fn binary_node(binary: &Binary) -> Value {
    let matching = &binary.matching;
    let sides = [&binary.left, &binary.right];
    let is_matched = sides.iter().all(|side| side.value_type() == ValueType::Vector);
    let card = match matching.cardinality {
        _ if binary.op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    let matching = is_matched.then(|| {
        json!({
            "card": card,
            "labels": matching.labels,
            "on": matching.on,
            "include": matching.include,
            "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
        })
    });
    json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "lhs": node(&binary.left),
        "rhs": node(&binary.right),
        "matching": matching,
        "bool": binary.returns_bool,
    })
}

fn aggregate_node(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "expr": node(&aggregate.expr),
        "param": aggregate.parameter.as_ref().map(node),
        "grouping": aggregate.labels,
        "without": aggregate.without,
    })
}

fn call_node(call: &Call) -> Value {
    let arguments: Vec<Value> = call.arguments.iter().map(node).collect();
    json!({"type": "call", "func": function(call.function), "args": arguments})
}

fn function(signature: &Signature) -> Value {
    let variadic = match signature.arity {
        Arity::Exact => 0,
        Arity::LastOptional => 1,
        Arity::LastUpTo(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Arity::LastRepeated => -1,
    };
    let arguments: Vec<&str> = signature.arguments.iter().copied().map(type_name).collect();
    json!({
        "name": signature.name,
        "argTypes": arguments,
        "variadic": variadic,
        "returnType": type_name(signature.returns),
    })
}

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

fn selector_node(selector: &Selector) -> Value {
    let matchers: Vec<Value> = selector.matchers.iter().map(matcher).collect();
    let mut node = json!({
        "type": if selector.range.is_some() { "matrixSelector" } else { "vectorSelector" },
        "name": selector.name.as_deref().unwrap_or_default(),
        "matchers": matchers,
        "anchored": selector.extension == Some(Extension::Anchored),
        "smoothed": selector.extension == Some(Extension::Smoothed),
    });
    if let Some(range) = &selector.range {
        put_duration(&mut node, "range", Some(range));
    }
    put_shift(&mut node, &selector.shift);
    node
}

fn matcher(matcher: &Matcher) -> Value {
    json!({"name": matcher.name(), "value": matcher.value(), "type": matcher.op().as_str()})
}

fn subquery_node(subquery: &Subquery) -> Value {
    let mut node = json!({"type": "subquery", "expr": node(&subquery.expr)});
    put_duration(&mut node, "range", Some(&subquery.range));
    put_duration(&mut node, "step", subquery.step.as_ref());
    put_shift(&mut node, &subquery.shift);
    node
}

fn put_shift(node: &mut Value, shift: &TimeShift) {
    put_duration(node, "offset", shift.offset.as_ref());
    (node["timestamp"], node["startOrEnd"]) = match shift.at {
        None => (Value::Null, Value::Null),
        Some(At::Time(ms)) => (ms.into(), Value::Null),
        Some(At::Start) => (Value::Null, "start".into()),
        Some(At::End) => (Value::Null, "end".into()),
    };
}

/// `range` in milliseconds, and `rangeExpr` when it has to be computed.
fn put_duration(node: &mut Value, name: &str, duration: Option<&DurationExpr>) {
    let (ms, expr) = match duration {
        None => (0, Value::Null),
        #[expect(clippy::cast_possible_truncation, reason = "durations are bounded by the parser")]
        Some(DurationExpr::Literal { seconds, .. }) => ((seconds * 1e3).round() as i64, Value::Null),
        Some(computed) => (0, duration_node(computed, false)),
    };
    node[name] = ms.into();
    node[format!("{name}Expr")] = expr;
}

fn duration_node(duration: &DurationExpr, wrapped: bool) -> Value {
    let operation = |op: &str, left: Value, right: Value| json!({"type": "durationExpr", "op": op, "lhs": left, "rhs": right, "wrapped": wrapped});
    let of = |duration: &DurationExpr| duration_node(duration, false);
    match duration {
        DurationExpr::Literal { seconds, as_duration } if !wrapped => {
            json!({"type": "numberLiteral", "val": format_value(*seconds), "duration": as_duration})
        }
        // A number in parentheses is a signed one.
        literal @ DurationExpr::Literal { .. } => operation("+", Value::Null, of(literal)),
        DurationExpr::Step => operation("step", Value::Null, Value::Null),
        DurationExpr::Range => operation("range", Value::Null, Value::Null),
        DurationExpr::Negate(inner) => operation(BinaryOp::Sub.as_str(), Value::Null, of(inner)),
        DurationExpr::Paren(inner) => duration_node(inner, true),
        DurationExpr::Binary(op, left, right) => operation(op.as_str(), of(left), of(right)),
        DurationExpr::Min(left, right) => operation("min_of", of(left), of(right)),
        DurationExpr::Max(left, right) => operation("max_of", of(left), of(right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &Value) {
        let expr = crate::parse_with(text, &crate::Syntax::all()).expect("valid");
        let got: Value = serde_json::from_str(&tree_json(&expr)).expect("JSON");
        assert_eq!(&got, want, "{text}");
    }

    #[test]
    fn shapes() {
        check("1.5", &json!({"type": "numberLiteral", "val": "1.5"}));
        check(
            "a{b!=\"c\"} offset 5m @ end()",
            &json!({
                "type": "vectorSelector",
                "name": "a",
                "matchers": [
                    {"name": "__name__", "value": "a", "type": "="},
                    {"name": "b", "value": "c", "type": "!="},
                ],
                "anchored": false,
                "smoothed": false,
                "offset": 300_000,
                "offsetExpr": null,
                "timestamp": null,
                "startOrEnd": "end",
            }),
        );
        let call = crate::parse("round(a)").expect("valid");
        let call: Value = serde_json::from_str(&tree_json(&call)).expect("JSON");
        assert_eq!(
            call["func"],
            json!({"name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector"})
        );
        let binary = crate::parse("a and on (x) b").expect("valid");
        let binary: Value = serde_json::from_str(&tree_json(&binary)).expect("JSON");
        assert_eq!(binary["matching"]["card"], "many-to-many");
        let range = crate::parse("rate(a[2 * (5m)])").expect("valid");
        let range: Value = serde_json::from_str(&tree_json(&range)).expect("JSON");
        let range = &range["args"][0];
        assert_eq!((&range["type"], &range["range"]), (&json!("matrixSelector"), &json!(0)));
        assert_eq!(
            (&range["rangeExpr"]["op"], &range["rangeExpr"]["rhs"]["wrapped"]),
            (&json!("*"), &json!(true))
        );
    }
}
