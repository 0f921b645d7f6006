use std::sync::Arc;

use http::Request;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use settings::TlsConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// The PEM of a certificate authority and a server's address whose certificate it signed for `localhost`.
async fn tls_server() -> (String, u16) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &ca).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let said = String::from_utf8_lossy(&request[..read]).to_lowercase();
            let body = if said.contains("authorization: bearer hunter2") { "welcome" } else { "who?" };
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("the client listens");
            stream.shutdown().await.unwrap_or_default();
        }
    });
    (pem_of(ca.der()), port)
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

async fn get(config: &HttpClientConfig, port: u16) -> Result<String, String> {
    let client = HttpClient::new(config).map_err(|error| error.to_string())?;
    let request = Request::get(format!("https://localhost:{port}/")).body(Bytes::new()).expect("a request");
    let response = client.send(request).await.map_err(|error| format!("{}: {error}", error.reason()))?;
    let body = read_body(response.into_body(), 100).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn with_tls(tls: TlsConfig) -> HttpClientConfig {
    HttpClientConfig { tls: Some(tls), ..HttpClientConfig::default() }
}

#[tokio::test]
async fn certificates_are_checked_unless_settings_say_otherwise() {
    let (ca, port) = tls_server().await;
    let trusting = TlsConfig { ca: Some(ca.clone()), ..TlsConfig::default() };
    assert_eq!(get(&with_tls(trusting.clone()), port).await, Ok("who?".to_owned()));
    let refused = get(&HttpClientConfig::default(), port).await.expect_err("the CA is not known");
    assert!(refused.starts_with("connect: ") && refused.contains("certificate"), "{refused}");
    let other_name = TlsConfig { server_name: Some("example.org".to_owned()), ..trusting.clone() };
    let refused = get(&with_tls(other_name), port).await.expect_err("another name");
    assert!(refused.contains("certificate"), "{refused}");
    let careless = TlsConfig { insecure_skip_verify: Some(true), ..TlsConfig::default() };
    assert_eq!(get(&with_tls(careless), port).await, Ok("who?".to_owned()));
    for version in ["TLS12", "TLS13"] {
        let version = Some(version.to_owned());
        let only = TlsConfig { min_version: version.clone(), max_version: version, ..trusting.clone() };
        assert_eq!(get(&with_tls(only), port).await, Ok("who?".to_owned()));
    }
}

#[tokio::test]
async fn credentials_go_along() {
    let (ca, port) = tls_server().await;
    let authorization = settings::Authorization {
        credentials: Some(settings::Secret::new("hunter2")),
        ..settings::Authorization::default()
    };
    let config = HttpClientConfig {
        authorization: Some(authorization),
        ..with_tls(TlsConfig { ca: Some(ca), ..TlsConfig::default() })
    };
    assert_eq!(get(&config, port).await, Ok("welcome".to_owned()));
}

#[test]
fn what_is_wrong_with_certificates_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("ca.pem");
    let cases = [
        (TlsConfig { ca_file: Some(missing), ..TlsConfig::default() }, "cannot read "),
        (TlsConfig { ca: Some("no pem".into()), ..TlsConfig::default() }, "the CA has no certificate"),
        (TlsConfig { cert: Some("x".into()), ..TlsConfig::default() }, "a client certificate without a key"),
        (
            TlsConfig { min_version: Some("SSL3".into()), ..TlsConfig::default() },
            "unknown TLS version \"SSL3\"",
        ),
        (
            TlsConfig {
                max_version: Some("TLS11".into()),
                min_version: Some("TLS13".into()),
                ..TlsConfig::default()
            },
            "min_version is above",
        ),
    ];
    for (tls, want) in cases {
        let error = HttpClient::new(&with_tls(tls)).expect_err("not usable").to_string();
        assert!(error.contains(want), "{error}");
    }
}
