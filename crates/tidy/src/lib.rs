//! The rules of this repository, as tests: see `tests/`.
//!
//! - `layers`: which crate may use which; dependencies point down.
//! - `supply`: licences, sources, duplicate versions and banned crates, from `cargo metadata`.
//! - `text`: size of files, and words that do not belong in the product's text.
