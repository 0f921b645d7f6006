//! One-line observability for a service.
