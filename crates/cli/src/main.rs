//! The binary `eino`.

fn main() {}
