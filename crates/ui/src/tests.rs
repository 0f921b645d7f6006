//! What must hold of the committed build, whatever the sources were.

use super::{Files, asset, content_type, index};

/// Addresses that appear in scripts as text and are never asked for: XML namespaces, and the page that the
/// component library names in its error messages.
const NEVER_FETCHED: &[&str] = &["www.w3.org", "react.dev"];

fn text(path: &str) -> String {
    String::from_utf8(asset(path).unwrap_or_else(|| panic!("{path} is embedded")).bytes.into_owned()).unwrap()
}

/// The values of `src="…"` and `href="…"`, without the `<base>`'s.
fn references(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            found.push(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
    found.retain(|path| path != "/");
    found
}

/// Hosts named after `http://` or `https://`.
fn hosts(text: &str) -> Vec<&str> {
    let after = |scheme| text.split(scheme).skip(1);
    let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'));
    after("http://").chain(after("https://")).map(|rest| rest.split(end).next().unwrap_or_default()).collect()
}

#[test]
fn the_page_and_all_it_refers_to_are_embedded() {
    let page = index();
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    assert!(!page.immutable, "a page that is cached for ever can't be updated");
    let html = text("index.html");
    let references = references(&html);
    assert!(references.iter().any(|path| path.ends_with(".js")), "a script in {references:?}");
    for path in references {
        let name = path.strip_prefix("./").unwrap_or_else(|| panic!("{path} is relative"));
        let file = asset(name).unwrap_or_else(|| panic!("{name} is embedded"));
        assert!(file.immutable && !file.bytes.is_empty(), "{name}");
    }
}

#[test]
fn the_page_runs_under_a_strict_content_security_policy() {
    let html = text("index.html");
    for script in html.split("<script").skip(1) {
        let (attributes, rest) = script.split_once('>').expect("a closed tag");
        assert!(attributes.contains("src=") && rest.starts_with("</script>"), "an inline script: {script}");
    }
    assert!(!html.contains(" style=") && !html.contains(" onload="), "an inline style or handler");
}

#[test]
fn nothing_names_a_foreign_host() {
    for path in Files::iter().filter(|path| !path.ends_with(".txt")) {
        for host in hosts(&text(&path)) {
            let known = host.is_empty() || NEVER_FETCHED.contains(&host);
            assert!(known, "{path} names the host {host:?}");
        }
    }
}

#[test]
fn the_hosts_are_found() {
    assert_eq!(hosts("a=\"https://x.example/y\";b='http://127.0.0.1:1'"), ["127.0.0.1:1", "x.example"]);
}

#[test]
fn the_tag_follows_the_content() {
    let tags: Vec<String> = Files::iter().map(|path| asset(&path).unwrap().etag).collect();
    assert!(tags.iter().all(|tag| tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"')), "{tags:?}");
    let mut distinct = tags.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), tags.len(), "two files with one tag");
}

#[test]
fn paths_outside_the_build_are_none() {
    for path in ["", "/", "nope.js", "../Cargo.toml", "/assets/", "api/v1/query"] {
        assert!(asset(path).is_none(), "{path:?}");
    }
    assert_eq!(asset("/index.html").map(|file| file.etag), asset("index.html").map(|file| file.etag));
}

#[test]
fn content_types_by_extension() {
    for (path, want) in [
        ("a/b.js", "text/javascript; charset=utf-8"),
        ("b.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("noextension", "application/octet-stream"),
    ] {
        assert_eq!(content_type(path), want, "{path}");
    }
}
