//! Target discovery (static, file) and relabelling.
