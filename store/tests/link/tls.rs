//! Encrypted connections, with certificates made for the occasion.

use std::path::Path;

use paceline_store::StoreError;
use paceline_store::link::ConnectError;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::count;
use super::port::PortLease;
use super::support::{Server, connect, options, try_connect};

/// An authority, and a certificate that it gave to 127.0.0.1, for server and client alike.
fn certificates(folder: &Path) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the name of the leaf, OpenSSL would take the leaf for one that signed itself.
    authority
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let authority_pem = authority.self_signed(&authority_key).expect("signed").pem();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
    let issuer = Issuer::new(authority, authority_key);
    let leaf_pem = leaf.signed_by(&key, &issuer).expect("signed").pem();
    for (name, text) in [
        ("ca.pem", authority_pem),
        ("leaf.pem", leaf_pem),
        ("leaf.key", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
}

#[tokio::test]
async fn an_encrypted_connection_checks_both_sides() {
    let folder = std::env::temp_dir().join(format!("paceline-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    certificates(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("leaf.pem"), file("leaf.key"));
    let lease = PortLease::take();
    let port = lease.addr().port().to_string();
    let _server = Server::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ]);

    let url = format!("rediss://127.0.0.1:{port}/0?ca={ca}&cert={cert}&key={key}");
    let link = connect(&url).await;
    link.call(&count("a")).await.expect("runs");

    for (url, advice) in [
        (
            format!("rediss://127.0.0.1:{port}?cert={cert}&key={key}"),
            "with ca=",
        ),
        (
            format!("rediss://127.0.0.1:{port}?ca={ca}"),
            "add cert= and key=",
        ),
        (
            format!("rediss://localhost:{port}?ca={ca}"),
            "use a host name",
        ),
    ] {
        let error = try_connect(&url).await.expect_err(&url);
        assert!(
            matches!(error, StoreError::Mismatch { .. }),
            "{url}: {error}"
        );
        assert!(error.to_string().contains(advice), "{url}: {error}");
    }

    for (parameters, named) in [
        (format!("ca={}", file("none.pem")), "none.pem"),
        (format!("ca={key}"), "leaf.key"),
        (format!("ca={ca}&cert={key}&key={key}"), "leaf.key"),
    ] {
        let url = format!("rediss://127.0.0.1:{port}?{parameters}");
        let url = url.parse().expect("a good URL");
        let error = paceline_store::link::Link::connect(&url, options()).await;
        let error = error.expect_err("unusable files");
        assert!(matches!(error, ConnectError::Certificate { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}
