//! The HTTP API as clients see it: the real router over data in memory.

mod data;
mod federate;
mod gate;
mod golden;
mod own_openapi;
mod random;
mod rig;
mod schema;
mod script;
mod streaming;
