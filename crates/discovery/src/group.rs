//! Target groups: addresses that share labels, as written under `static_configs` and in discovery files.

use std::collections::BTreeMap;

use model::{LabelSet, LabelSetBuilder};
use serde::Deserialize;

/// The label that holds a target's `host:port`.
pub const ADDRESS: &str = "__address__";

/// A target group as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetGroupConfig {
    #[serde(default)]
    pub targets: Option<Vec<String>>,
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// Targets that share labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Where the group comes from; unique among the groups of a job: `static/0`, `targets.json:1`.
    pub source: String,
    pub addresses: Vec<String>,
    pub labels: LabelSet,
}

impl TargetGroupConfig {
    /// Checks addresses and label names.
    ///
    /// # Errors
    /// A sentence that names the address or label.
    pub fn validate(&self) -> Result<(), String> {
        for address in self.targets.iter().flatten() {
            check_address(address)?;
        }
        for (name, value) in self.labels.iter().flatten() {
            for text in [name, value] {
                // A byte that is no UTF-8 arrives as this character.
                if text.is_empty() && text == name || text.contains('\u{fffd}') {
                    return Err(format!("{name:?}: {value:?} is not a valid label"));
                }
            }
        }
        Ok(())
    }

    /// The group it describes.
    pub fn into_group(self, source: String) -> TargetGroup {
        let labels = self.labels.unwrap_or_default();
        let pairs = labels.iter().filter(|(name, _)| !name.is_empty());
        let mut builder = LabelSetBuilder::new();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        TargetGroup { source, addresses: self.targets.unwrap_or_default(), labels: builder.build() }
    }
}

impl TargetGroup {
    /// One label set per target: the group's labels and `__address__`.
    pub fn label_sets(&self) -> impl Iterator<Item = LabelSet> {
        self.addresses.iter().map(|address| {
            let mut builder = self.labels.to_builder();
            builder.set(ADDRESS, address);
            builder.build()
        })
    }
}

/// An address is `host` or `host:port`, never a URL.
///
/// # Errors
/// A sentence that names the address.
pub fn check_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        return Err(format!(
            "{address:?} is not a valid hostname (write host:port, without scheme and path)"
        ));
    }
    Ok(())
}
