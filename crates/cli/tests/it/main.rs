//! The real binary, real sockets, real files. One test binary for all of it.

mod api_peer;
mod harness;

mod alerting;
mod bad_input;
mod clients;
mod crash;
mod demo;
mod lifecycle;
mod prometheus_peer;
mod query;
mod remote_peers;
mod rule_files;
mod tsdb_command;
mod wire_bodies;
