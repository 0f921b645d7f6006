//! One test binary for all rules.

mod layers;
mod supply;
mod text;
