//! Label names in paths: `U__` escapes.

/// Names with characters outside `[a-zA-Z0-9_]` arrive escaped: `U__`, then `_XX_` is a code point in hexadecimal and
/// `__` an underscore. A name that is not well escaped stands for itself.
pub(super) fn unescape_label_name(name: &str) -> String {
    name.strip_prefix("U__").and_then(unescape).unwrap_or_else(|| name.to_owned())
}

fn unescape(mut rest: &str) -> Option<String> {
    let mut out = String::new();
    while let Some(start) = rest.find('_') {
        out.push_str(rest.get(..start)?);
        let tail = rest.get(start + 1..)?;
        let end = tail.find('_')?;
        if end == 0 {
            out.push('_');
        } else {
            let digits = tail.get(..end)?;
            out.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
        }
        rest = tail.get(end + 1..)?;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape_label_name;

    #[test]
    fn escaped_label_names() {
        assert_eq!(unescape_label_name("job"), "job");
        assert_eq!(unescape_label_name("U__http_2e_status__code"), "http.status_code");
        assert_eq!(unescape_label_name("U__a_zz_"), "U__a_zz_");
        assert_eq!(unescape_label_name("U__a_2"), "U__a_2");
        assert_eq!(unescape_label_name("U__"), "");
    }
}
