//! Scripts to commands.
//!
//! ```text
//! block  := a command line, then its lines, up to an empty line (a comment line counts as empty)
//! eval   := "eval" ["_fail"|"_warn"|"_info"|"_ordered"] ("instant at" T | "range from" T "to" T "step" T) expr
//! line   := "expect" what | number | series line
//! ```

use crate::parser::parse_duration_ms;
use crate::parser::strings::scan_string;

/// One command and the line it stands on (from 1).
#[derive(Debug)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) kind: CommandKind,
}

#[derive(Debug)]
pub(super) enum CommandKind {
    Clear,
    Load { interval_ms: i64, with_nhcb: bool, lines: Vec<String> },
    Eval(Box<Eval>),
}

/// An expression, when to evaluate it and what to expect.
#[derive(Clone, Debug, Default)]
pub(super) struct Eval {
    pub(super) expr: String,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Zero for instant queries.
    pub(super) step_ms: i64,
    pub(super) fail: Option<Text>,
    pub(super) warnings: Notes,
    pub(super) infos: Notes,
    pub(super) ordered: bool,
    pub(super) string: Option<String>,
    pub(super) scalar: Option<String>,
    pub(super) series: Vec<String>,
}

/// What is expected of one kind of annotation.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub(super) expected: Vec<Text>,
    pub(super) none: bool,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Any,
    Exact(String),
    Regex(String),
}

/// Splits a script.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let head = lines[index];
        let line = index + 1;
        index += 1;
        if head.is_empty() {
            continue;
        }
        let body_start = index;
        let is_clear = head.eq_ignore_ascii_case("clear");
        while !is_clear && index < lines.len() && !lines[index].is_empty() {
            index += 1;
        }
        let kind = parse_command(head, &lines[body_start..index])
            .map_err(|error| format!("line {line}: {error}"))?;
        commands.push(Command { line, kind });
    }
    Ok(commands)
}

fn parse_command(head: &str, body: &[&str]) -> Result<CommandKind, String> {
    let (word, rest) = split_word(head);
    match word {
        "clear" => Ok(CommandKind::Clear),
        "load" | "load_with_nhcb" => Ok(CommandKind::Load {
            interval_ms: parse_duration_ms(rest)?,
            with_nhcb: word != "load",
            lines: body.iter().map(|line| (*line).to_owned()).collect(),
        }),
        _ if word.starts_with("eval") => {
            parse_eval(word, rest, body).map(|eval| CommandKind::Eval(Box::new(eval)))
        }
        _ => Err(format!("unknown command {word:?}")),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn parse_eval(word: &str, rest: &str, body: &[&str]) -> Result<Eval, String> {
    let mut eval = Eval::default();
    match word {
        "eval" => {}
        "eval_fail" => eval.fail = Some(Text::Any),
        "eval_warn" => eval.warnings.expected.push(Text::Any),
        "eval_info" => eval.infos.expected.push(Text::Any),
        "eval_ordered" => eval.ordered = true,
        _ => return Err(format!("unknown command {word:?}")),
    }
    let (kind, rest) = split_word(rest);
    let (start, rest) = timed(rest, if kind == "instant" { "at" } else { "from" })?;
    eval.start_ms = start;
    eval.end_ms = start;
    eval.expr = if kind == "instant" {
        rest.to_owned()
    } else {
        let (end, rest) = timed(rest, "to")?;
        let (step, rest) = timed(rest, "step")?;
        eval.end_ms = end;
        eval.step_ms = step;
        rest.to_owned()
    };
    for line in body {
        parse_expectation(line, &mut eval)?;
    }
    Ok(eval)
}

/// `keyword duration`, and what follows.
fn timed<'t>(text: &'t str, keyword: &str) -> Result<(i64, &'t str), String> {
    let (word, rest) = split_word(text);
    if word != keyword {
        return Err(format!("expected {keyword:?}, got {word:?}"));
    }
    let (duration, rest) = split_word(rest);
    let (sign, digits) = match duration.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, duration),
    };
    Ok((sign * parse_duration_ms(digits)?, rest))
}

fn parse_expectation(line: &str, eval: &mut Eval) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Text::Exact(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(Text::Regex(pattern.trim().to_owned()));
        return Ok(());
    }
    let (word, rest) = split_word(line);
    if word == "expect" {
        return parse_expect(rest, eval);
    }
    if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        || matches!(line, "Inf" | "NaN")
    {
        eval.scalar = Some(line.to_owned());
    } else {
        eval.series.push(line.to_owned());
    }
    Ok(())
}

fn parse_expect(rest: &str, eval: &mut Eval) -> Result<(), String> {
    let (what, detail) = split_word(rest);
    let text = || parse_text(detail);
    match what {
        "ordered" => eval.ordered = true,
        "fail" => eval.fail = Some(text()?),
        "warn" => eval.warnings.expected.push(text()?),
        "info" => eval.infos.expected.push(text()?),
        "no_warn" => eval.warnings.none = true,
        "no_info" => eval.infos.none = true,
        "string" => {
            let (bytes, _) = scan_string(detail).map_err(|(message, _)| message)?;
            eval.string = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        "range" => {
            let (_, rest) = split_word(detail);
            let (start, rest) = timed(rest, "from")?;
            let (end, rest) = timed(rest, "to")?;
            let (step, _) = timed(rest, "step")?;
            (eval.start_ms, eval.end_ms, eval.step_ms) = (start, end, -step);
        }
        _ if rest.starts_with("fail msg:") => eval.fail = Some(parse_text(&rest[5..])?),
        _ => return Err(format!("unknown expectation {rest:?}")),
    }
    Ok(())
}

fn parse_text(detail: &str) -> Result<Text, String> {
    if detail.is_empty() {
        Ok(Text::Any)
    } else if let Some(message) = detail.strip_prefix("msg:") {
        Ok(Text::Exact(message.trim().to_owned()))
    } else if let Some(pattern) = detail.strip_prefix("regex:") {
        Ok(Text::Regex(pattern.trim().to_owned()))
    } else {
        Err(format!("expected msg: or regex:, got {detail:?}"))
    }
}
