//! Lines for people and programs.

use std::io::Write;

/// Writes a line to stderr.
pub(crate) fn say(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _closed = writeln!(std::io::stderr(), "{text}").is_err();
}

/// Writes a line to stdout.
pub(crate) fn print(text: &str) {
    let _closed = writeln!(std::io::stdout(), "{text}").is_err();
}
