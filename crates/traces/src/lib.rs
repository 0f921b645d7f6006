//! The span store.
