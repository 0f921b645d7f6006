//! Strict YAML into typed settings.
//!
//! ```text
//! text ──▶ from_yaml ──▶ T                 unknown and repeated keys are errors
//!                   └──▶ YamlError         line, column, message, "did you mean …"
//! ```
//! - The types that hold settings live beside the code they set; here is only what they share.
//! - Nothing here reads a file: the caller has the text and knows its path.

mod suggest;
mod values;
mod yaml;

pub use suggest::nearest;
pub use values::{HumanBytes, HumanDuration, Located, Secret};
pub use yaml::{YamlError, from_yaml, from_yaml_documents};
