//! Certificates of a test, as files: an authority, and what servers and clients show.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::Scratch;

/// A private authority with the certificates that servers of a test show. The files go with the handle.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's own certificate: what a client is told to trust.
    pub ca: PathBuf,
    /// Of `localhost`, `127.0.0.1` and `::1`, by the authority.
    pub good: Pair,
    /// Of a host elsewhere, by the authority.
    pub wrong_name: Pair,
    /// Of the good one's names, by nobody but itself.
    pub self_signed: Pair,
    /// Of a client called `nstore`, by the authority.
    pub client: Pair,
    _scratch: Scratch,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Readable by all.
    pub cert: PathBuf,
    /// Readable by its owner alone, as servers ask for.
    pub key: PathBuf,
}

/// The names of a server on this machine.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes all of them anew.
pub fn certificates() -> Certificates {
    let scratch = Scratch::new("tls");
    let dir = scratch.path();
    let mut params = params("the tests' authority", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let ca = dir.join("ca.pem");
    fs::write(&ca, authority.pem()).expect("a file of ours");
    let signed = |name: &str, names: &[&str]| {
        let key = key();
        let cert = self::params(name, names).signed_by(&key, &authority).expect("a certificate");
        write(dir, name, &cert, &key)
    };
    let (good, client) = (signed("good", &HERE), signed("nstore", &["nstore"]));
    let wrong_name = signed("wrong-name", &["elsewhere.example"]);
    let key = key();
    let cert = self::params("self-signed", &HERE).self_signed(&key).expect("a certificate");
    let self_signed = write(dir, "self-signed", &cert, &key);
    Certificates { ca, good, wrong_name, self_signed, client, _scratch: scratch }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names of hosts");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn write(dir: &Path, name: &str, cert: &rcgen::Certificate, key: &KeyPair) -> Pair {
    let pair = Pair { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) };
    fs::write(&pair.cert, cert.pem()).expect("a file of ours");
    fs::write(&pair.key, key.serialize_pem()).expect("a file of ours");
    fs::set_permissions(&pair.key, PermissionsExt::from_mode(0o600)).expect("a file of ours");
    pair
}
