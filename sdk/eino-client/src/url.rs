//! URLs with holes.

use std::fmt::Write;

/// An `http://` URL, split; `{name}` in the path is a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it was given, for messages.
    pub(crate) given: String,
    /// `host` or `host:port`; empty when the URL is not one that can be called.
    pub(crate) authority: String,
    pub(crate) path: String,
    /// The path before the holes were filled, if it is a literal of the program.
    pub(crate) template: Option<&'static str>,
}

impl Url {
    pub(crate) fn template(given: &'static str) -> Self {
        let (authority, path) = split(given);
        let template = path.split_once('?').map_or(path, |(path, _)| path);
        Self::new(given, authority, path, Some(template))
    }

    pub(crate) fn dynamic(given: &str) -> Self {
        let (authority, path) = split(given);
        Self::new(given, authority, path, None)
    }

    fn new(given: &str, authority: &str, path: &str, template: Option<&'static str>) -> Self {
        let (authority, path) = (authority.to_owned(), path.to_owned());
        Self { given: given.to_owned(), authority, path, template }
    }

    /// Fills the hole `{name}`, percent-encoded.
    pub(crate) fn fill(&mut self, name: &str, value: &str) {
        self.path = self.path.replace(&format!("{{{name}}}"), &encode(value));
    }

    /// Appends a query parameter, percent-encoded.
    pub(crate) fn query(&mut self, name: &str, value: &str) {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(&encode(name));
        self.path.push('=');
        self.path.push_str(&encode(value));
    }

    /// Host and port apart.
    pub(crate) fn host_port(&self) -> (&str, Option<u16>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (&self.authority, None),
            },
            _ => (&self.authority, None),
        }
    }

    /// Whether the registry is asked for it: a plain name, without dot and port.
    pub(crate) fn is_service(&self) -> bool {
        let (host, port) = self.host_port();
        port.is_none() && !host.contains(['.', ':', '[']) && host != "localhost"
    }

    /// What is wrong with it, if anything.
    pub(crate) fn defect(&self) -> Option<&'static str> {
        if self.authority.is_empty() {
            Some("it must be http://HOST/PATH")
        } else if self.authority.contains('@') {
            Some("credentials do not belong in a URL")
        } else if self.path.contains(['{', '}']) {
            Some("a {name} of the path was not filled")
        } else {
            None
        }
    }
}

/// Authority and path of an `http://` URL; both empty for anything else.
fn split(url: &str) -> (&str, &str) {
    let Some(rest) = url.strip_prefix("http://") else { return ("", "") };
    match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String does not fail");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(given: &'static str, want: Expect) {
        let mut url = Url::template(given);
        url.fill("id", "a/b ü");
        let defect = url.defect().unwrap_or("fine");
        let service = if url.is_service() { "service" } else { "direct" };
        want.assert_eq(&format!("{:?} {} {service} {defect}", url.host_port(), url.path));
    }

    #[test]
    fn forms() {
        check(
            "http://order/orders/{id}",
            expect![[r#"("order", None) /orders/a%2Fb%20%C3%BC service fine"#]],
        );
        check("http://order", expect![[r#"("order", None) / service fine"#]]);
        check("http://order:80/x", expect![[r#"("order", Some(80)) /x direct fine"#]]);
        check("http://[::1]:80/x", expect![[r#"("[::1]", Some(80)) /x direct fine"#]]);
        check("http://a.example/x", expect![[r#"("a.example", None) /x direct fine"#]]);
        check(
            "http://order/{x}",
            expect![[r#"("order", None) /{x} service a {name} of the path was not filled"#]],
        );
        check("https://order/", expect![[r#"("", None)  service it must be http://HOST/PATH"#]]);
        check(
            "http://u:p@order/",
            expect![[r#"("u:p@order", None) / direct credentials do not belong in a URL"#]],
        );
    }

    #[test]
    fn query_is_appended_and_encoded() {
        let mut url = Url::template("http://a/b");
        url.query("q", "1&2");
        url.query("r", "x");
        assert_eq!(url.path, "/b?q=1%262&r=x");
    }
}
