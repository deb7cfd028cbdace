//! A certificate authority of one server.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Writes `ca.pem`, `server.pem` and `server.key` into `folder`.
///
/// The server's certificate is signed by the authority rather than by itself: clients built on
/// rustls refuse an authority's certificate as a server's.
pub(super) fn write_certificates(folder: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "paceline test authority");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();

    let server_key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names).unwrap();
    let server_pem = server
        .signed_by(&server_key, &Issuer::new(ca, ca_key))
        .unwrap()
        .pem();

    fs::write(folder.join("ca.pem"), ca_pem).unwrap();
    fs::write(folder.join("server.pem"), server_pem).unwrap();
    fs::write(folder.join("server.key"), server_key.serialize_pem()).unwrap();
}
