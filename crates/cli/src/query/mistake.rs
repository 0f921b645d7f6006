//! A query that was refused: the words of the server, the place in the query, and what was probably meant.

use super::palette::Palette;

/// The error with a caret under the place that it names.
pub(super) fn explain(query: &str, error: &str, palette: Palette) -> String {
    let Some((line, column, message)) = place(error) else {
        return format!("the server refused the query: {error}");
    };
    let mut out = format!("the query is not PromQL: {message}\n");
    let text = query.lines().nth(line - 1).unwrap_or_default();
    let indent = text.char_indices().take_while(|(at, _)| *at < column - 1).count();
    out += &format!("  {text}\n  {}{}", " ".repeat(indent), palette.bad("^"));
    if let Some(hint) = hint(message) {
        out += &format!("\n  {hint}");
    }
    out
}

/// Line, column and message of `… LINE:COLUMN: parse error: MESSAGE`; both count from 1.
fn place(error: &str) -> Option<(usize, usize, &str)> {
    let (before, message) = error.split_once(": parse error: ")?;
    let position = before.rsplit(' ').next()?;
    let (line, column) = position.split_once(':')?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    (line > 0 && column > 0).then_some((line, column, message))
}

fn hint(message: &str) -> Option<String> {
    if let Some(name) = message.strip_prefix("unknown function with name ") {
        let name = name.trim_matches('"');
        let known = promql::functions().iter().map(|function| function.name);
        return settings::nearest(name, known).map(|nearest| format!("did you mean {nearest}?"));
    }
    if message.contains("expected type range vector") {
        return Some("this function wants a range: write metric[5m]".to_owned());
    }
    if message.contains("got range vector") || message.contains("range vector\", must be") {
        return Some("put the range into a function: rate(metric[5m])".to_owned());
    }
    message.contains("unexpected end of input").then(|| "the query ends too early".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, error: &str, want: &str) {
        assert_eq!(explain(query, error, Palette::PLAIN), want);
    }

    #[test]
    fn the_place_is_marked() {
        check(
            "sum(rte(m[5m]))",
            "invalid parameter \"query\": 1:5: parse error: unknown function with name \"rte\"",
            "the query is not PromQL: unknown function with name \"rte\"\n  sum(rte(m[5m]))\n      ^\n  did you mean rate?",
        );
        check(
            "sum(\n  é +)",
            "2:7: parse error: unexpected right parenthesis",
            "the query is not PromQL: unexpected right parenthesis\n    é +)\n       ^",
        );
        check("m", "query timed out", "the server refused the query: query timed out");
        check("m", "0:0: parse error: x", "the server refused the query: 0:0: parse error: x");
    }
}
