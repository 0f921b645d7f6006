//! HTTP client that carries context and finds services.
