//! Scrapes targets into a metric sink.
