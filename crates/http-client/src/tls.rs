//! TLS of a client: section `tls_config`.
//!
//! The roots of the system are trusted unless the settings name others. `insecure_skip_verify` trusts any certificate,
//! but signatures of the handshake are still checked.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion, version,
};
use settings::TlsConfig;

use crate::ClientError;

/// A connector for http and https.
pub(crate) fn connector(
    tcp: HttpConnector,
    tls: Option<&TlsConfig>,
) -> Result<HttpsConnector<HttpConnector>, ClientError> {
    let default = TlsConfig::default();
    let tls = tls.unwrap_or(&default);
    let builder = HttpsConnectorBuilder::new().with_tls_config(client_config(tls)?).https_or_http();
    let builder = match tls.server_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => {
            let name = ServerName::try_from(name.to_owned())
                .map_err(|error| wrong(format!("tls_config.server_name {name:?}: {error}")))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
        None => builder,
    };
    Ok(builder.enable_http1().wrap_connector(tcp))
}

fn wrong(message: String) -> ClientError {
    ClientError::Tls(message)
}

fn client_config(tls: &TlsConfig) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls)?)
        .map_err(|error| wrong(error.to_string()))?;
    let verifier: Arc<dyn ServerCertVerifier> = if tls.insecure_skip_verify == Some(true) {
        Arc::new(AnyCertificate(Arc::clone(&provider)))
    } else {
        let roots = Arc::new(roots(tls)?);
        WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| wrong(format!("no usable root certificate: {error}")))?
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match identity(tls)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong(format!("client certificate: {error}"))),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn versions(tls: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, ClientError> {
    let number = |text: &Option<String>, default: u8| match text.as_deref() {
        None | Some("") => Ok(default),
        // What is older is not spoken; asking for at least it is met by 1.2.
        Some("TLS10" | "TLS11" | "TLS12") => Ok(12),
        Some("TLS13") => Ok(13),
        Some(other) => Err(wrong(format!("unknown TLS version {other:?} (TLS12 or TLS13)"))),
    };
    let (min, max) = (number(&tls.min_version, 12)?, number(&tls.max_version, 13)?);
    let known = [(12, &version::TLS12), (13, &version::TLS13)];
    let wanted: Vec<_> = known
        .into_iter()
        .filter(|(number, _)| (min..=max).contains(number))
        .map(|(_, version)| version)
        .collect();
    if wanted.is_empty() {
        return Err(wrong("tls_config: min_version is above max_version".to_owned()));
    }
    Ok(wanted)
}

fn roots(tls: &TlsConfig) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = pem(tls.ca.as_deref(), tls.ca_file.as_deref())? else {
        let (added, _ignored) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        // A machine without any root can still speak plain HTTP: a verifier needs one, so ours trusts nobody.
        if added == 0 {
            return Ok(RootCertStore { roots: vec![nobody()] });
        }
        return Ok(roots);
    };
    let certificates = certificates(&pem)?;
    if certificates.is_empty() {
        return Err(wrong("tls_config: the CA has no certificate".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|error| wrong(format!("tls_config: the CA: {error}")))?;
    }
    Ok(roots)
}

/// An anchor that no certificate chain ends at.
fn nobody() -> rustls::pki_types::TrustAnchor<'static> {
    rustls::pki_types::TrustAnchor {
        subject: Vec::new().into(),
        subject_public_key_info: Vec::new().into(),
        name_constraints: None,
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(tls: &TlsConfig) -> Result<Option<Identity>, ClientError> {
    let chain = pem(tls.cert.as_deref(), tls.cert_file.as_deref())?;
    let key = pem(tls.key.as_ref().map(settings::Secret::expose), tls.key_file.as_deref())?;
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|error| wrong(format!("tls_config: the client key: {error}")))?;
            Ok(Some((certificates(&chain)?, key)))
        }
        (Some(_), None) => Err(wrong("tls_config has a client certificate without a key".to_owned())),
        (None, Some(_)) => Err(wrong("tls_config has a client key without a certificate".to_owned())),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read: Result<_, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.map_err(|error| wrong(format!("tls_config: a certificate: {error}")))
}

fn pem(inline: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<u8>>, ClientError> {
    match (inline.filter(|text| !text.is_empty()), file) {
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(file)) => {
            let read = std::fs::read(file);
            read.map(Some).map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))
        }
        (None, None) => Ok(None),
    }
}

/// Trusts whoever holds the key of the certificate it shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
