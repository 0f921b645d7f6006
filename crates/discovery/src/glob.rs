//! Paths that match a pattern: `*`, `?` and `[a-z]` within one path component, as in Go's `filepath.Match`.

use std::path::{Path, PathBuf};

/// Existing paths that match `pattern`, ascending. A pattern without wildcards matches itself when it exists.
/// A directory that can't be read has no matches.
pub fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        found = if has_wildcard(&text) {
            found.iter().flat_map(|parent| matching_children(parent, &text)).collect()
        } else {
            found.iter().map(|parent| parent.join(component)).collect()
        };
    }
    found.retain(|path| std::fs::metadata(path).is_ok());
    found.sort();
    found
}

fn has_wildcard(component: &str) -> bool {
    component.contains(['*', '?', '['])
}

fn matching_children(parent: &Path, pattern: &str) -> Vec<PathBuf> {
    let folder = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| matches(pattern, name)).map(|name| parent.join(name)).collect()
}

/// Whether `name` matches `pattern` as a whole.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    regex::Regex::new(&to_regex(pattern)).is_ok_and(|regex| regex.is_match(name))
}

fn to_regex(pattern: &str) -> String {
    let mut out = String::from("^(?s:");
    let mut in_class = false;
    for character in pattern.chars() {
        match character {
            '*' if !in_class => out.push_str(".*"),
            '?' if !in_class => out.push('.'),
            '[' if !in_class => {
                in_class = true;
                out.push('[');
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '^' | '-' if in_class => out.push(character),
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(")$");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("*.json", "a.json", true),
            ("*.json", "ajson", false),
            ("a?c", "abc", true),
            ("a[0-9]", "a7", true),
            ("a[^0-9]", "a7", false),
            ("a+b", "a+b", true),
            ("[", "[", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn finds_files_in_order() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["b.json", "a.json", "c.yml"] {
            std::fs::write(folder.path().join(name), "").expect("writable");
        }
        let names = |pattern: &str| -> Vec<String> {
            let paths = glob(&folder.path().join(pattern));
            paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
        };
        assert_eq!(names("*.json"), ["a.json", "b.json"]);
        assert_eq!(names("c.yml"), ["c.yml"]);
        assert!(names("missing.yml").is_empty() && names("no/*.yml").is_empty());
    }
}
