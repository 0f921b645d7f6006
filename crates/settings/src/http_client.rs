//! How a client speaks HTTP to a target: the keys that Prometheus repeats under scrapes, remote write, remote read,
//! Alertmanagers and HTTP discovery.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Secret;

/// User and password, in place or in files that are read at each use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    pub username: Option<String>,
    pub username_file: Option<PathBuf>,
    pub username_ref: Option<String>,
    pub password: Option<Secret>,
    pub password_file: Option<PathBuf>,
    pub password_ref: Option<String>,
}

/// The `Authorization` header: `<type> <credentials>`; type `Bearer` by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub credentials: Option<Secret>,
    pub credentials_file: Option<PathBuf>,
    pub credentials_ref: Option<String>,
}

/// TLS of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<Secret>,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub ca_ref: Option<String>,
    pub cert_ref: Option<String>,
    pub key_ref: Option<String>,
    pub server_name: Option<String>,
    pub insecure_skip_verify: Option<bool>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
}

/// OAuth 2 client credentials. Read, so that files load; not built yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth2 {
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub client_secret_file: Option<PathBuf>,
    pub client_secret_ref: Option<String>,
    pub client_certificate_key_id: Option<String>,
    pub client_certificate_key: Option<Secret>,
    pub client_certificate_key_file: Option<PathBuf>,
    pub client_certificate_key_ref: Option<String>,
    pub grant_type: Option<String>,
    pub signature_algorithm: Option<String>,
    pub iss: Option<String>,
    pub audience: Option<String>,
    pub claims: Option<BTreeMap<String, String>>,
    pub scopes: Option<Vec<String>>,
    pub token_url: Option<String>,
    pub endpoint_params: Option<BTreeMap<String, String>>,
    pub tls_config: Option<TlsConfig>,
    pub proxy_url: Option<String>,
    pub no_proxy: Option<String>,
    pub proxy_from_environment: Option<bool>,
    pub proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
}

/// Values of one extra header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderValues {
    pub values: Option<Vec<String>>,
    pub secrets: Option<Vec<Secret>>,
    pub files: Option<Vec<PathBuf>>,
}

/// The checked settings of an HTTP client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpClientConfig {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub headers: BTreeMap<String, HeaderValues>,
    /// Files are complete paths.
    pub tls: Option<TlsConfig>,
    /// Default true.
    pub follow_redirects: bool,
    /// Keys that were given and have no effect yet.
    pub not_built: Vec<&'static str>,
}

/// Names that `headers` may not set: other keys or the client itself do.
const RESERVED_HEADERS: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "user-agent",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
    "connection",
];

/// Checks that no reserved header is set.
///
/// # Errors
/// A sentence that names the header.
pub fn check_headers<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), String> {
    for name in names {
        let lower = name.to_lowercase();
        if lower == "authorization" {
            return Err(
                "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, \
                        azuread or google_iam parameter"
                    .to_owned(),
            );
        }
        if RESERVED_HEADERS.contains(&lower.as_str()) {
            return Err(format!("{lower} is a reserved header. It must not be changed"));
        }
    }
    Ok(())
}

/// The keys as they are written; [`with_http_client!`](crate::with_http_client) gives them to a struct.
#[derive(Clone, Debug, Default)]
pub struct HttpClientKeys {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub oauth2: Option<OAuth2>,
    pub bearer_token: Option<Secret>,
    pub bearer_token_file: Option<PathBuf>,
    pub tls_config: Option<TlsConfig>,
    pub proxy_url: Option<String>,
    pub no_proxy: Option<String>,
    pub proxy_from_environment: Option<bool>,
    pub proxy_connect_header: Option<BTreeMap<String, Vec<Secret>>>,
    pub follow_redirects: Option<bool>,
    pub enable_http2: Option<bool>,
    pub http_headers: Option<BTreeMap<String, HeaderValues>>,
}

impl HttpClientKeys {
    /// Checks the keys against each other; relative files start at `base`.
    ///
    /// # Errors
    /// A sentence that names the keys that exclude each other, or what is missing.
    pub fn check(self, base: &Path) -> Result<HttpClientConfig, String> {
        let bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        if self.bearer_token.is_some() && self.bearer_token_file.is_some() {
            return Err("at most one of bearer_token & bearer_token_file must be configured".to_owned());
        }
        if bearer && (self.basic_auth.is_some() || self.oauth2.is_some()) {
            return Err(
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"
                    .to_owned(),
            );
        }
        if bearer && self.authorization.is_some() {
            return Err("authorization is not compatible with bearer_token & bearer_token_file".to_owned());
        }
        let ways = [self.basic_auth.is_some(), self.oauth2.is_some(), self.authorization.is_some()];
        if ways.into_iter().filter(|given| *given).count() > 1 {
            return Err("at most one of basic_auth, oauth2 & authorization must be configured".to_owned());
        }
        if let Some(basic_auth) = &self.basic_auth {
            check_basic_auth(basic_auth)?;
        }
        if let Some(authorization) = &self.authorization {
            check_authorization(authorization)?;
        }
        if let Some(oauth2) = &self.oauth2 {
            check_oauth2(oauth2)?;
        }
        if self.proxy_from_environment == Some(true) && (self.proxy_url.is_some() || self.no_proxy.is_some())
        {
            return Err(
                "if proxy_from_environment is configured, proxy_url and no_proxy must not be".to_owned()
            );
        }
        let not_built = [
            ("oauth2", self.oauth2.is_some()),
            ("proxy_url", self.proxy_url.is_some()),
            ("proxy_from_environment", self.proxy_from_environment == Some(true)),
            ("proxy_connect_header", self.proxy_connect_header.is_some()),
        ];
        let headers = self.http_headers.unwrap_or_default();
        check_headers(headers.keys())?;
        let bearer = bearer.then(|| Authorization {
            credentials: self.bearer_token,
            credentials_file: self.bearer_token_file,
            ..Authorization::default()
        });
        Ok(HttpClientConfig {
            basic_auth: self.basic_auth.map(|auth| BasicAuth {
                username_file: joined(base, auth.username_file),
                password_file: joined(base, auth.password_file),
                ..auth
            }),
            authorization: self
                .authorization
                .or(bearer)
                .map(|auth| Authorization { credentials_file: joined(base, auth.credentials_file), ..auth }),
            headers,
            tls: self.tls_config.map(|tls| TlsConfig {
                ca_file: joined(base, tls.ca_file),
                cert_file: joined(base, tls.cert_file),
                key_file: joined(base, tls.key_file),
                ..tls
            }),
            follow_redirects: self.follow_redirects.unwrap_or(true),
            not_built: not_built.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect(),
        })
    }
}

fn joined(base: &Path, file: Option<PathBuf>) -> Option<PathBuf> {
    file.map(|file| base.join(file))
}

fn check_basic_auth(auth: &BasicAuth) -> Result<(), String> {
    if auth.username.is_some() && auth.username_file.is_some() {
        return Err("at most one of basic_auth username & username_file must be configured".to_owned());
    }
    if auth.password.is_some() && auth.password_file.is_some() {
        return Err("at most one of basic_auth password & password_file must be configured".to_owned());
    }
    Ok(())
}

fn check_authorization(auth: &Authorization) -> Result<(), String> {
    if auth.credentials.is_some() && auth.credentials_file.is_some() {
        return Err(
            "at most one of authorization credentials & credentials_file must be configured".to_owned()
        );
    }
    if auth.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("basic")) {
        return Err(r#"authorization type cannot be set to "basic", use "basic_auth" instead"#.to_owned());
    }
    Ok(())
}

fn check_oauth2(oauth2: &OAuth2) -> Result<(), String> {
    if oauth2.client_id.as_deref().unwrap_or_default().is_empty() {
        return Err("oauth2 client_id must be configured".to_owned());
    }
    if oauth2.token_url.as_deref().unwrap_or_default().is_empty() {
        return Err("oauth2 token_url must be configured".to_owned());
    }
    if oauth2.client_secret.is_some() && oauth2.client_secret_file.is_some() {
        return Err("at most one of oauth2 client_secret & client_secret_file must be configured".to_owned());
    }
    Ok(())
}

impl HttpClientConfig {
    /// The value of the `Authorization` header, if one is configured. Reads the files that are named.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn authorization_header(&self, encode_base64: fn(&str) -> String) -> Result<Option<Secret>, String> {
        if let Some(auth) = &self.basic_auth {
            let username = match &auth.username_file {
                Some(file) => read_secret(file)?.expose().to_owned(),
                None => auth.username.clone().unwrap_or_default(),
            };
            let password = pick_secret(auth.password.as_ref(), auth.password_file.as_deref())?;
            let pair = format!("{username}:{}", password.expose());
            return Ok(Some(Secret::new(format!("Basic {}", encode_base64(&pair)))));
        }
        if let Some(auth) = &self.authorization {
            let credentials = pick_secret(auth.credentials.as_ref(), auth.credentials_file.as_deref())?;
            let kind = auth.kind.as_deref().unwrap_or("Bearer");
            return Ok(Some(Secret::new(format!("{kind} {}", credentials.expose()))));
        }
        Ok(None)
    }
}

fn pick_secret(inline: Option<&Secret>, file: Option<&Path>) -> Result<Secret, String> {
    match file {
        Some(file) => read_secret(file),
        None => Ok(inline.cloned().unwrap_or_default()),
    }
}

fn read_secret(file: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the secret in {}: {error}", file.display()))?;
    Ok(Secret::new(text.trim()))
}

/// Declares a settings struct with the keys of an HTTP client beside its own (`#[serde(flatten)]` would lose the line
/// numbers), and the method `http_client` that collects them.
#[macro_export]
macro_rules! with_http_client {
    ($(#[$attribute:meta])* $vis:vis struct $name:ident { $($(#[$field_attribute:meta])* $field_vis:vis $field:ident: $kind:ty,)* }) => {
        $(#[$attribute])*
        $vis struct $name {
            $($(#[$field_attribute])* $field_vis $field: $kind,)*
            $vis basic_auth: Option<$crate::BasicAuth>,
            $vis authorization: Option<$crate::Authorization>,
            $vis oauth2: Option<$crate::OAuth2>,
            $vis bearer_token: Option<$crate::Secret>,
            $vis bearer_token_file: Option<::std::path::PathBuf>,
            $vis tls_config: Option<$crate::TlsConfig>,
            $vis proxy_url: Option<String>,
            $vis no_proxy: Option<String>,
            $vis proxy_from_environment: Option<bool>,
            $vis proxy_connect_header: Option<::std::collections::BTreeMap<String, Vec<$crate::Secret>>>,
            $vis follow_redirects: Option<bool>,
            $vis enable_http2: Option<bool>,
            $vis http_headers: Option<::std::collections::BTreeMap<String, $crate::HeaderValues>>,
        }

        impl $name {
            /// The keys of the HTTP client; relative files start at `base`.
            ///
            /// # Errors
            /// A sentence that names the keys that exclude each other.
            $vis fn http_client(&self, base: &::std::path::Path) -> Result<$crate::HttpClientConfig, String> {
                $crate::HttpClientKeys {
                    basic_auth: self.basic_auth.clone(),
                    authorization: self.authorization.clone(),
                    oauth2: self.oauth2.clone(),
                    bearer_token: self.bearer_token.clone(),
                    bearer_token_file: self.bearer_token_file.clone(),
                    tls_config: self.tls_config.clone(),
                    proxy_url: self.proxy_url.clone(),
                    no_proxy: self.no_proxy.clone(),
                    proxy_from_environment: self.proxy_from_environment,
                    proxy_connect_header: self.proxy_connect_header.clone(),
                    follow_redirects: self.follow_redirects,
                    enable_http2: self.enable_http2,
                    http_headers: self.http_headers.clone(),
                }
                .check(base)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_yaml;

    with_http_client! {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Remote {
            pub url: Option<String>,
        }
    }

    fn header(yaml: &str) -> String {
        let remote: Remote = from_yaml(yaml).expect("well-formed");
        let config = match remote.http_client(Path::new("/base")) {
            Ok(config) => config,
            Err(error) => return error,
        };
        match config.authorization_header(|pair| format!("<{pair}>")) {
            Ok(header) => header.map_or_else(|| "none".to_owned(), |header| header.expose().to_owned()),
            Err(error) => error,
        }
    }

    #[test]
    fn ways_to_authorize() {
        for (yaml, want) in [
            ("url: x", "none"),
            ("basic_auth: {username: a, password: b}", "Basic <a:b>"),
            ("bearer_token: t", "Bearer t"),
            ("authorization: {type: Token, credentials: c}", "Token c"),
            (
                "{bearer_token: t, bearer_token_file: f}",
                "at most one of bearer_token & bearer_token_file must be configured",
            ),
            (
                "{bearer_token: t, basic_auth: {username: a}}",
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            ),
            ("http_headers: {Host: {values: [x]}}", "host is a reserved header. It must not be changed"),
        ] {
            assert_eq!(header(yaml), want, "{yaml}");
        }
        assert!(header("authorization: {credentials_file: missing}").contains("/base/missing"));
    }
}
