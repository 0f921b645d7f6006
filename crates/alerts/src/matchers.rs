//! Matchers as alertmanager.yml writes them: `severity="page"`, `team =~ "a|b"`, or several within braces.

use model::{MatchOp, Matcher};

/// Reads `name op value`, or `{…, …}`.
///
/// # Errors
/// A sentence that names the text.
pub(crate) fn parse_matcher(text: &str) -> Result<Vec<Matcher>, String> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(trimmed);
    split_at_commas(inner).into_iter().filter(|part| !part.trim().is_empty()).map(parse_one).collect()
}

fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let toggles = c == '"' && !escaped;
        quoted ^= toggles;
        escaped = c == '\\' && !escaped;
        c == ',' && !quoted
    })
    .collect()
}

fn parse_one(text: &str) -> Result<Matcher, String> {
    let bad = |why: &str| format!("bad matcher format {text:?}: {why} (write it like severity=\"page\")");
    let start = text.find(['=', '!']).ok_or_else(|| bad("no operator"))?;
    let (name, rest) = text.split_at(start);
    let operators =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let found = operators.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(sign)?)));
    let (op, value) = found.ok_or_else(|| bad("unknown operator"))?;
    let name = unquote(name.trim()).ok_or_else(|| bad("the name's quotes do not end"))?;
    if name.is_empty() {
        return Err(bad("no label name"));
    }
    let value = unquote(value.trim()).ok_or_else(|| bad("the value's quotes do not end"))?;
    Matcher::new(name, op, value).map_err(|error| error.to_string())
}

/// Text without its quotes; text without quotes as it is.
fn unquote(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            '"' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, want) in [
            ("severity=\"page\"", Ok("severity=\"page\"")),
            ("severity = page", Ok("severity=\"page\"")),
            ("team=~\"a|b\"", Ok("team=~\"a|b\"")),
            ("team!=x", Ok("team!=\"x\"")),
            ("{a=\"1,2\", b!~\"x.*\"}", Ok("a=\"1,2\",b!~\"x.*\"")),
            ("\"a.b\"=\"c\\\"d\"", Ok("a.b=\"c\\\"d\"")),
            ("severity", Err("no operator")),
            ("=x", Err("no label name")),
            ("a=\"x", Err("quotes do not end")),
            ("a=~\"(\"", Err("invalid regular expression")),
        ] {
            let got = parse_matcher(text)
                .map(|matchers| matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(","));
            match (got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
                (got, want) => panic!("{text}: {got:?}, want {want:?}"),
            }
        }
    }
}
