//! As much of JSON Schema as the reference's OpenAPI document uses.

use serde_json::Value;

/// Checks `value` against `schema`; `root` resolves references. Gives the first place that does not fit.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return check(root, target.ok_or_else(|| format!("{reference} is not defined"))?, value, at);
    }
    for (keyword, needed) in [("anyOf", 1), ("oneOf", 1)] {
        if let Some(alternatives) = schema[keyword].as_array() {
            let results: Vec<_> =
                alternatives.iter().map(|alternative| check(root, alternative, value, at)).collect();
            if results.iter().filter(|result| result.is_ok()).count() < needed {
                let why: Vec<String> = results.into_iter().filter_map(Result::err).collect();
                return Err(format!("{at}: none of the alternatives: {}", why.join(" | ")));
            }
        }
    }
    let kinds = &schema["type"];
    let kinds: Vec<&str> = kinds.as_str().into_iter().chain(strings(kinds)).collect();
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of_kind(kind, value)) {
        return Err(format!("{at}: not of type {}: {value}", kinds.join(" or ")));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at}: {value} is none of {allowed:?}"));
    }
    match value {
        Value::Object(_) => check_object(root, schema, value, at),
        Value::Array(items) => check_array(root, schema, items, at),
        _ => Ok(()),
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_of_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the validator does not know type {other}"),
    }
}

fn check_object(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for name in strings(&schema["required"]) {
        if value.get(name).is_none() {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => check(root, schema, member, &at)?,
            (None, Value::Bool(false)) => return Err(format!("{at}: no such member")),
            (None, schema @ Value::Object(_)) => check(root, schema, member, &at)?,
            (None, _) => {}
        }
    }
    Ok(())
}

fn check_array(root: &Value, schema: &Value, items: &[Value], at: &str) -> Result<(), String> {
    let count = items.len() as u64;
    if schema["minItems"].as_u64().is_some_and(|min| count < min)
        || schema["maxItems"].as_u64().is_some_and(|max| count > max)
    {
        return Err(format!("{at}: {count} items"));
    }
    if schema["items"].is_object() {
        for (index, item) in items.iter().enumerate() {
            check(root, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    Ok(())
}

#[test]
fn the_validator_itself_works() {
    let root = serde_json::json!({"components": {"schemas": {"Name": {"type": "string"}}}});
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/Name"}},
            "b": {"anyOf": [{"type": "integer"}, {"enum": ["x"]}]},
        },
    });
    let fits = |value| check(&root, &schema, &value, "$");
    assert_eq!(fits(serde_json::json!({"a": ["x"], "b": "x"})), Ok(()));
    for bad in [
        serde_json::json!({"b": 1}),
        serde_json::json!({"a": [1]}),
        serde_json::json!({"a": ["x", "y", "z"]}),
        serde_json::json!({"a": [], "b": 1.5}),
        serde_json::json!({"a": [], "c": 1}),
        serde_json::json!([]),
    ] {
        assert!(fits(bad.clone()).is_err(), "{bad}");
    }
}
