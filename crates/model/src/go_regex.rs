//! Regular expressions as Go's engine (RE2) reads them, in the words of the crate `regex`.
//!
//! | written | Go | the crate, untranslated |
//! |---|---|---|
//! | `{`, `a{x}`, `{,3}` | a brace, as no repetition follows | an error |
//! | `\d \w \s \b` | ASCII | Unicode |
//! | `[a[b]`, `[a&&b]`, `[a~~b]` | characters | nested and combined classes |
//! | `\Q…\E` | the characters between | an error |
//! | `\/`, `\"`, `\_` | an error for letters and digits only | an error for more |
//!
//! Sizes are bounded by the crate's compiled size, not here: a text grows at most sevenfold.

/// Translates a pattern. What is wrong in both stays wrong, and is refused when it is compiled.
pub fn translate_go_regex(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut class = Class::Outside;
    while let Some(character) = rest.chars().next() {
        let length = character.len_utf8();
        let at = rest;
        rest = &rest[length..];
        match (character, class) {
            ('\\', _) => rest = escape(rest, class != Class::Outside, &mut out),
            ('[', Class::Outside) => {
                out.push('[');
                class = Class::Start;
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                continue;
            }
            ('{', Class::Outside) if !is_repetition(at) => out.push_str("\\{"),
            // The first `]` of a class is a character.
            (']', Class::Start) => out.push_str("\\]"),
            (']', Class::Inside) => {
                out.push(']');
                class = Class::Outside;
                continue;
            }
            ('[', _) => match at.starts_with("[:").then(|| at.find(":]")).flatten() {
                Some(end) => {
                    out.push_str(&at[..end + 2]);
                    rest = &at[end + 2..];
                }
                None => out.push_str("\\["),
            },
            ('&' | '~', Class::Start | Class::Inside) => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        if class == Class::Start {
            class = Class::Inside;
        }
    }
    out
}

/// Where we are: in a `[…]`, and if so whether at its first character.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Outside,
    Start,
    Inside,
}

/// Whether the text at a `{` is `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(at: &str) -> bool {
    let Some(end) = at.find('}') else { return false };
    let (least, most) = at[1..end].split_once(',').unwrap_or((&at[1..end], ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

/// What stands after a backslash; returns what follows it.
fn escape<'p>(rest: &'p str, in_class: bool, out: &mut String) -> &'p str {
    let Some(character) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[character.len_utf8()..];
    let ascii = match (character, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', _) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', false) => "[\\t\\n\\f\\r ]",
        ('s', true) => "\\t\\n\\f\\r ",
        ('S', _) => "[^\\t\\n\\f\\r ]",
        ('b', false) => "(?-u:\\b)",
        ('B', false) => "(?-u:\\B)",
        ('Q', false) => {
            let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
            for character in literal.chars() {
                push_literal(character, out);
            }
            return after;
        }
        _ if character.is_ascii_punctuation() => {
            push_literal(character, out);
            return after;
        }
        _ => {
            out.push('\\');
            out.push(character);
            return after;
        }
    };
    out.push_str(ascii);
    after
}

fn push_literal(character: char, out: &mut String) {
    // The crate refuses to escape what needs none, and these need none anywhere.
    if character.is_ascii_punctuation()
        && !matches!(character, '_' | '<' | '>' | '/' | '"' | '\'' | ',' | ';')
    {
        out.push('\\');
    }
    out.push(character);
}

#[cfg(test)]
mod tests {
    use super::translate_go_regex;

    #[track_caller]
    fn check(pattern: &str, passes: &[&str], fails: &[&str]) {
        let translated = translate_go_regex(pattern);
        let regex = regex::Regex::new(&format!("^(?s:{translated})$"));
        let regex = regex.unwrap_or_else(|error| panic!("{pattern} became {translated}: {error}"));
        for text in passes {
            assert!(regex.is_match(text), "{pattern} ({translated}) must match {text:?}");
        }
        for text in fails {
            assert!(!regex.is_match(text), "{pattern} ({translated}) must not match {text:?}");
        }
    }

    #[test]
    fn braces_that_repeat_nothing_are_braces() {
        check("2{.*", &["2{", "2{x"], &["2", "22"]);
        check("a{x}|{5..|{,3}", &["a{x}", "{5ab", "{,3}"], &["a"]);
        check("a{2}b{1,}c{0,2}", &["aabbcc", "aab"], &["ab", "aabccc"]);
        check("{{name}}", &["{{name}}"], &[]);
    }

    #[test]
    fn classes_are_ascii() {
        check(r"\d+", &["12"], &["٣", "a"]);
        check(r"\w+", &["a_1"], &["ä"]);
        check(r"[\d\s]+|\S+", &["1 2", "ä"], &["x y"]);
        check(r"\D\W[^\w]", &["ää "], &["1ää", "äa "]);
        check(r"a\b.*", &["a", "a-", "aä"], &["ab"]);
    }

    #[test]
    fn classes_do_not_nest() {
        check("[a[b]+", &["a[b"], &["c"]);
        check("[]a]+", &["a]"], &["b"]);
        check("[^]a]", &["b"], &["]", "a"]);
        check("[a&&b]+[~~]", &["a&b~"], &["a"]);
        check("[[:alpha:]x-z]+", &["abc"], &["1"]);
    }

    #[test]
    fn escapes() {
        check(r"a\.b\/\_\-\{", &["a.b/_-{"], &["axb/_-{"]);
        check(r"\Qa.b[\E+|\Qx*", &["a.b[", "a.b[[", "x*"], &["aab[", "xx"]);
        check(r"\x41\x{42}\t", &["AB\t"], &[]);
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for pattern in ["(", "*", "[a", r"\", "a{2,1}", r"\y", "a{1001}{1001}"] {
            let translated = format!("^(?s:{})$", translate_go_regex(pattern));
            let compiled = regex::RegexBuilder::new(&translated).size_limit(1 << 20).build();
            assert!(compiled.is_err(), "{pattern} became {translated}");
        }
    }
}
