//! Strict YAML into typed settings.
//!
//! ```text
//! text ──▶ from_yaml ──▶ T                 unknown and repeated keys are errors
//!                   └──▶ YamlError         line, column, message, "did you mean …"
//! ```
//! - The types that hold settings live beside the code they set; here is only what they share: values as people
//!   write them, and the keys of an HTTP client.
//! - Configuration files are read by the caller, who knows their path; only secrets kept in files are read here, at
//!   each use, so that they can be rotated.

mod http_client;
mod suggest;
mod values;
mod yaml;

pub use http_client::{
    Authorization, BasicAuth, HeaderValues, HttpClientConfig, HttpClientKeys, OAuth2, TlsConfig,
    check_headers,
};
pub use suggest::nearest;
pub use values::{HumanBytes, HumanDuration, Located, Secret};
pub use yaml::{YamlError, from_yaml, from_yaml_documents};
