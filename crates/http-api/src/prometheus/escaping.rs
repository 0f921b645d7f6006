//! Metric and label names for formats that know only `[a-zA-Z_:][a-zA-Z0-9_:]*`.

use model::is_valid_label_name;

use super::number::push;

/// How names with other characters are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Escaping {
    /// As they are, quoted.
    AllowUtf8,
    /// `_` for each other character.
    #[default]
    Underscores,
    /// `_dot_` for a dot, `__` for an underscore and for any other character.
    Dots,
    /// `U__`, then `_XX_` for a code point in hexadecimal and `__` for an underscore.
    Values,
}

impl Escaping {
    /// By its name in `Accept`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "allow-utf-8" => Some(Self::AllowUtf8),
            "underscores" => Some(Self::Underscores),
            "dots" => Some(Self::Dots),
            "values" => Some(Self::Values),
            _ => None,
        }
    }

    /// Its name in `Content-Type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Writes a name. One that the format knows stays as it is, except that `Dots` doubles underscores.
    pub(super) fn push_name(self, out: &mut String, name: &str) {
        let is_legacy = is_legacy(name);
        match self {
            Self::Dots => push_dots(out, name),
            _ if is_legacy => out.push_str(name),
            Self::AllowUtf8 => out.push_str(name),
            Self::Underscores => {
                out.extend(name.chars().enumerate().map(|(at, c)| if is_known(at, c) { c } else { '_' }));
            }
            Self::Values => push_values(out, name),
        }
    }
}

fn push_dots(out: &mut String, name: &str) {
    for (at, c) in name.chars().enumerate() {
        match c {
            '_' => out.push_str("__"),
            '.' => out.push_str("_dot_"),
            c if is_known(at, c) => out.push(c),
            _ => out.push_str("__"),
        }
    }
}

fn push_values(out: &mut String, name: &str) {
    out.push_str("U__");
    for (at, c) in name.chars().enumerate() {
        match c {
            '_' => out.push_str("__"),
            c if is_known(at, c) => out.push(c),
            c => push(out, format_args!("_{:x}_", u32::from(c))),
        }
    }
}

/// Whether every format knows the name.
pub(super) fn is_legacy(name: &str) -> bool {
    is_valid_label_name(name) || (!name.is_empty() && name.chars().enumerate().all(|(at, c)| is_known(at, c)))
}

fn is_known(at: usize, c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_prometheus_escapes_them() {
        use Escaping::{AllowUtf8, Dots, Underscores, Values};
        let cases = [
            (Underscores, "no:escape_1", "no:escape_1"),
            (Dots, "no:escape_1", "no:escape__1"),
            (Values, "no:escape_1", "no:escape_1"),
            (Underscores, "http.status_code", "http_status_code"),
            (Dots, "http.status_code", "http_dot_status__code"),
            (Values, "http.status_code", "U__http_2e_status__code"),
            (AllowUtf8, "http.status_code", "http.status_code"),
            (Underscores, "1a-ä", "_a__"),
            (Values, "ä", "U___e4_"),
        ];
        for (escaping, name, want) in cases {
            let mut out = String::new();
            escaping.push_name(&mut out, name);
            assert_eq!(out, want, "{escaping:?} {name}");
            assert_eq!(Escaping::from_name(escaping.name()), Some(escaping));
        }
    }
}
