//! Trace assembly, critical path, RED, service graph, bottleneck ranking.
