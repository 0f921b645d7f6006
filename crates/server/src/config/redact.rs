//! The configuration as it may be shown: secrets are replaced by `<secret>`.

/// Keys whose values are never shown.
const SECRET_KEYS: [&str; 24] = [
    "password",
    "credentials",
    "bearer_token",
    "client_secret",
    "client_certificate_key",
    "secret_key",
    "access_key",
    "token",
    "auth_token",
    "key",
    "secret",
    "secrets",
    "api_key",
    "service_key",
    "routing_key",
    "bot_token",
    "application_secret",
    "consumer_key",
    "key_passphrase",
    "service_account_key",
    "private_key",
    "api_url",
    "smtp_auth_password",
    "webhook_url",
];
const HIDDEN: &str = "<secret>";

/// The text with secrets hidden: values on the line of their key, in flow style, in blocks below it, and passwords in
/// URLs. It hides too much rather than too little.
pub(super) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Indentation of a secret key whose value stands on the lines below it.
    let mut hidden_below: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if hidden_below.is_some_and(|key_indent| line.trim().is_empty() || indent > key_indent) {
            continue;
        }
        hidden_below = None;
        let (shown, goes_on) = redact_line(line);
        if goes_on {
            hidden_below = Some(indent);
        }
        out.push_str(&redact_url(&shown));
        out.push('\n');
    }
    out
}

/// The line with its secrets hidden, and whether the value goes on below.
fn redact_line(line: &str) -> (String, bool) {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon + 1);
        out.push_str(before);
        let key = before.trim_end_matches(':').rsplit(['{', ',', ' ', '\t']).next().unwrap_or_default();
        let key = key.trim_matches(['"', '\'']);
        let is_value = after.is_empty() || after.starts_with([' ', '\t']);
        if !is_value || !SECRET_KEYS.contains(&key) {
            rest = after;
            continue;
        }
        out.push(' ');
        out.push_str(HIDDEN);
        let value = after.trim_start();
        let end = value_end(value);
        let goes_on = value.is_empty() || value.starts_with(['|', '>']) || end == value.len();
        if goes_on {
            return (out, true);
        }
        rest = value.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    (out, false)
}

/// Where a flow value ends; a value that does not end on its line goes to the end.
fn value_end(value: &str) -> usize {
    let (mut quote, mut depth) = (None, 0_u32);
    for (index, c) in value.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') if depth > 0 => depth -= 1,
            (None, ',' | '}') if depth == 0 => return index,
            _ => {}
        }
    }
    value.len()
}

/// `http://user:password@host` becomes `http://user:<secret>@host`.
fn redact_url(line: &str) -> String {
    let Some(start) = line.find("://") else { return line.to_owned() };
    let (scheme, rest) = line.split_at(start + 3);
    let authority_end = rest.find(['/', ' ', '"', '\'', ',', '}']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    match authority.rsplit_once('@').and_then(|(user_info, host)| Some((user_info.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{scheme}{user}:{HIDDEN}@{host}{path}"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let text = "a: 1\nbasic_auth: {username: u, password: 'hunter2, x'}\nb:\n  password: hunter2\n  c: d\n  \
                    credentials: |\n    hunter2\n    hunter2\n  token:\n    hunter2\nurl: http://u:hunter2@h/p\n\
                    x: {secrets: [hunter2, hunter2], y: z}\nlong: {password: \"hunter2\n  hunter2\"}\nend: 1\n";
        let shown = redact(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in ["a: 1", "username: u", "  c: d", "url: http://u:<secret>@h/p", "y: z}", "end: 1"] {
            assert!(shown.contains(kept), "{kept} in\n{shown}");
        }
    }
}
