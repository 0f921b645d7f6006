//! Roles, configuration, start and stop.
