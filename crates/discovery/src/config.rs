//! The keys by which a job names its targets, shared by scrapes and Alertmanagers.

use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;

use crate::{FileSdConfig, TargetGroup, TargetGroupConfig};

/// A discovery that is read, so that files load, and not built yet. What all of them share is checked: how their HTTP
/// client identifies itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotBuilt;

impl<'de> Deserialize<'de> for NotBuilt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        check_identity(&value).map_err(D::Error::custom)?;
        Ok(Self)
    }
}

fn check_identity(discovery: &Value) -> Result<(), String> {
    let given = |key: &str| discovery.get(key).is_some_and(|value| !value.is_null());
    let bearer = given("bearer_token") || given("bearer_token_file");
    if given("bearer_token") && given("bearer_token_file") {
        return Err("at most one of bearer_token & bearer_token_file must be configured".to_owned());
    }
    if bearer && (given("basic_auth") || given("oauth2")) {
        return Err("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"
            .to_owned());
    }
    let ways = ["basic_auth", "oauth2", "authorization"].into_iter().filter(|key| given(key)).count();
    if ways > 1 {
        return Err("at most one of basic_auth, oauth2 & authorization must be configured".to_owned());
    }
    Ok(())
}

/// Where targets come from, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSources {
    pub static_groups: Vec<TargetGroup>,
    pub files: Vec<FileSdConfig>,
    /// Keys of discoveries that were given and have no effect yet.
    pub not_built: Vec<&'static str>,
}

impl TargetSources {
    /// Checks groups and patterns; relative patterns start at `base`.
    ///
    /// # Errors
    /// A sentence that names the address, label or pattern.
    pub fn new(
        static_configs: Vec<TargetGroupConfig>,
        mut files: Vec<FileSdConfig>,
        not_built: Vec<&'static str>,
        base: &Path,
    ) -> Result<Self, String> {
        let mut static_groups = Vec::with_capacity(static_configs.len());
        for (index, group) in static_configs.into_iter().enumerate() {
            group.validate()?;
            static_groups.push(group.into_group(format!("static/{index}")));
        }
        for config in &mut files {
            config.validate()?;
            for pattern in &mut config.files {
                *pattern = base.join(&*pattern).to_string_lossy().into_owned();
            }
        }
        Ok(Self { static_groups, files, not_built })
    }
}

/// Declares a settings struct with the keys of target discovery and of an HTTP client beside its own, and the method
/// `target_sources` that collects them. (`#[serde(flatten)]` would lose the line numbers.)
#[macro_export]
macro_rules! with_targets {
    ($(#[$attribute:meta])* $vis:vis struct $name:ident { $($(#[$field_attribute:meta])* $field_vis:vis $field:ident: $kind:ty,)* }) => {
        $crate::with_targets! { @discoveries
            [aws_sd_configs azure_sd_configs consul_sd_configs digitalocean_sd_configs dns_sd_configs docker_sd_configs
             dockerswarm_sd_configs ec2_sd_configs ecs_sd_configs elasticache_sd_configs eureka_sd_configs gce_sd_configs
             hetzner_sd_configs http_sd_configs ionos_sd_configs kubernetes_sd_configs kuma_sd_configs
             lightsail_sd_configs linode_sd_configs marathon_sd_configs msk_sd_configs nerve_sd_configs nomad_sd_configs
             oci_sd_configs openstack_sd_configs outscale_sd_configs ovhcloud_sd_configs puppetdb_sd_configs
             rds_sd_configs scaleway_sd_configs serverset_sd_configs stackit_sd_configs triton_sd_configs
             uyuni_sd_configs vultr_sd_configs]
            $(#[$attribute])* $vis struct $name { $($(#[$field_attribute])* $field_vis $field: $kind,)* }
        }
    };
    (@discoveries [$($discovery:ident)*]
     $(#[$attribute:meta])* $vis:vis struct $name:ident { $($(#[$field_attribute:meta])* $field_vis:vis $field:ident: $kind:ty,)* }) => {
        ::settings::with_http_client! {
            $(#[$attribute])*
            $vis struct $name {
                $($(#[$field_attribute])* $field_vis $field: $kind,)*
                $vis static_configs: Option<Vec<$crate::TargetGroupConfig>>,
                $vis file_sd_configs: Option<Vec<$crate::FileSdConfig>>,
                $($vis $discovery: Option<Vec<$crate::NotBuilt>>,)*
            }
        }

        impl $name {
            /// The targets' sources; relative patterns start at `base`.
            ///
            /// # Errors
            /// A sentence that names the address, label or pattern.
            $vis fn target_sources(&self, base: &::std::path::Path) -> Result<$crate::TargetSources, String> {
                let mut not_built = Vec::new();
                $(if self.$discovery.as_ref().is_some_and(|list| !list.is_empty()) {
                    not_built.push(stringify!($discovery));
                })*
                $crate::TargetSources::new(
                    self.static_configs.clone().unwrap_or_default(),
                    self.file_sd_configs.clone().unwrap_or_default(),
                    not_built,
                    base,
                )
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::with_targets! {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Job {
            pub job_name: String,
        }
    }

    #[test]
    fn sources_are_collected_and_what_is_not_built_is_named() {
        let yaml = "job_name: x\nconsul_sd_configs: [{server: a}]\nstatic_configs: [{targets: [h:1]}]\n\
                    file_sd_configs: [{files: [t.json]}]\n";
        let job: Job = settings::from_yaml(yaml).expect("well-formed");
        let sources = job.target_sources(Path::new("/etc/eino")).expect("valid");
        assert_eq!(sources.not_built, ["consul_sd_configs"]);
        assert_eq!(sources.static_groups.first().map(|group| group.source.as_str()), Some("static/0"));
        assert_eq!(
            sources.files.first().map(|config| config.files.clone()),
            Some(vec!["/etc/eino/t.json".to_owned()])
        );
    }

    #[test]
    fn contradictions_of_a_discovery_that_is_not_built_are_refused() {
        let yaml = "ec2_sd_configs: [{region: x, bearer_token: a, bearer_token_file: b}]";
        let error = settings::from_yaml::<Job>(yaml).err().expect("refused");
        assert!(error.message.contains("at most one of bearer_token & bearer_token_file"), "{error}");
    }

    #[test]
    fn a_url_is_no_address() {
        let job: Job =
            settings::from_yaml("static_configs: [{targets: ['http://bad']}]").expect("well-formed");
        let error = job.target_sources(Path::new("")).expect_err("refused");
        assert!(error.contains(r#""http://bad" is not a valid hostname"#), "{error}");
    }
}
