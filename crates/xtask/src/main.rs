//! The work commands: test, ci, conformance, bench, crash.

fn main() {}
