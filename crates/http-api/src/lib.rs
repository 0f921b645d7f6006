//! HTTP and gRPC: Prometheus, OTLP, Jaeger and Eino APIs.
