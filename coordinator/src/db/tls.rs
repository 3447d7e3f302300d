//! TLS as libpq's `sslmode` and its fellows say: whom a connection trusts, by rustls.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::params::Values;

/// The parameters that say how a connection is protected.
pub(super) const PARAMETERS: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// What `sslrootcert` says for the authorities that the system trusts.
const SYSTEM: &str = "system";

/// libpq's modes, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// In the clear.
    Disable,
    /// TLS where the server has it, with whoever it is. `allow` is read as this.
    Prefer,
    /// TLS, with whoever it is.
    Require,
    /// TLS, with a server that an authority vouches for, whatever its name.
    VerifyCa,
    /// TLS, with the server of that name.
    VerifyFull,
}

impl Mode {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            other => {
                return Err(format!(
                    "`{other}` is no sslmode: write disable, allow, prefer, require, verify-ca or verify-full"
                ));
            }
        })
    }

    /// What the client asks the server for.
    pub(super) fn asked(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// How the connections to one server are protected.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    /// Whether a server must show a certificate that an authority vouches for.
    pub(super) checked: bool,
    pub(super) connector: MakeRustlsConnect,
}

impl Tls {
    /// From the parameters of a connection string. `near` says that all its hosts are this machine; `roots` is
    /// the file that stands for `sslrootcert` where it is not given.
    ///
    /// Without `sslmode` a server elsewhere must prove its name, and one on this machine need not.
    pub(super) fn new(values: &Values, near: bool, roots: Option<String>) -> Result<Self, String> {
        let given = values.get("sslrootcert").filter(|file| !file.is_empty());
        let system = given.is_some_and(|file| file == SYSTEM);
        let mode = match values.get("sslmode").filter(|word| !word.is_empty()) {
            Some(word) => Mode::parse(word)?,
            None if near && !system => Mode::Prefer,
            None => Mode::VerifyFull,
        };
        if system && mode < Mode::VerifyFull {
            return Err(
                "sslrootcert=system needs sslmode=verify-full: anybody can get a certificate from an \
                        authority that all systems trust"
                    .into(),
            );
        }
        let file = given.cloned().or(roots).filter(|file| !file.is_empty() && file != SYSTEM);
        let roots = match &file {
            _ if mode == Mode::Disable => None,
            Some(file) => Some(roots_of(Path::new(file))?),
            None if mode >= Mode::VerifyCa => Some(system_roots()?),
            None => None,
        };
        let checked = roots.is_some();
        Ok(Self { mode, checked, connector: connector(mode, roots, values)? })
    }
}

fn connector(mode: Mode, roots: Option<RootCertStore>, values: &Values) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let odd = |e: &dyn std::fmt::Display| format!("TLS cannot be set up: {e}");
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| odd(&e))?;
    let builder = match roots {
        Some(roots) if mode == Mode::VerifyFull => builder.with_root_certificates(roots),
        roots => {
            let authorities = roots.map(|roots| {
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()
            });
            let authorities = authorities.transpose().map_err(|e| odd(&e))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName { authorities, provider }))
        }
    };
    let path = |name: &str| values.get(name).filter(|file| !file.is_empty() && mode != Mode::Disable);
    let config = match (path("sslcert"), path("sslkey")) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let (certs, key) = (certificates(Path::new(cert))?, private_key(Path::new(key))?);
            let odd = |e| format!("sslcert and sslkey cannot be used: {e}");
            builder.with_client_auth_cert(certs, key).map_err(odd)?
        }
        _ => return Err("sslcert and sslkey belong together: write both".into()),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn unreadable(file: &Path, e: &pem::Error) -> String {
    let reason = match e {
        pem::Error::Io(e) => e.to_string(),
        pem::Error::NoItemsFound => "it holds none".to_owned(),
        other => other.to_string(),
    };
    format!("what it needs for TLS cannot be read from {}: {reason}", file.display())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let certs = certs.map_err(|e| unreadable(file, &e))?;
    if certs.is_empty() { Err(unreadable(file, &pem::Error::NoItemsFound)) } else { Ok(certs) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    if fs::metadata(file).is_ok_and(|found| found.mode() & 0o077 != 0) {
        return Err(format!("others can read the key {0}: chmod 600 {0}", file.display()));
    }
    PrivateKeyDer::from_pem_file(file).map_err(|e| unreadable(file, &e))
}

fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(file)? {
        roots.add(cert).map_err(|e| format!("{} holds no usable certificate: {e}", file.display()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // a system's list may hold certificates that nobody can read any more
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(roots);
    }
    let reason = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
    Err(format!(
        "the server's certificate cannot be checked, for this system trusts no authority{reason}: install \
         ca-certificates, or name the authority's certificate with sslrootcert=FILE"
    ))
}

/// Takes a server of any name: one that the authorities vouch for, or anyone where there are none.
#[derive(Debug)]
struct AnyName {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(server, between, name, ocsp, now) {
            // the name is looked at last
            Err(TlsError::InvalidCertificate(e)) if is_wrong_name(&e) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_wrong_name(e: &CertificateError) -> bool {
    matches!(e, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
}

/// What to do about a handshake that failed, where that is known.
pub(super) fn hint(e: &TlsError) -> Option<&'static str> {
    match e {
        TlsError::InvalidCertificate(e) if is_wrong_name(e) => Some(
            "connect by a name that its certificate carries, or have one made for this name; sslmode=verify-ca \
             checks who signed it and no name",
        ),
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "name the certificate of the authority that signed it with sslrootcert=FILE in NSTORE_POSTGRES_URL; \
             sslmode=require encrypts without knowing with whom",
        ),
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some("renew the server's certificate")
        }
        TlsError::InvalidCertificate(CertificateError::Other(_)) => {
            Some("it may be an authority's own certificate: have the authority sign one for the server")
        }
        TlsError::AlertReceived(_) => Some(
            "the server ended it; if it asks for a certificate, name yours with sslcert=FILE and sslkey=FILE",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn mode(pairs: &[(&str, &str)], near: bool) -> Result<Mode, String> {
        Tls::new(&values(pairs), near, None).map(|tls| tls.mode)
    }

    #[test]
    fn a_server_elsewhere_must_prove_its_name_unless_told_otherwise() {
        assert_eq!(mode(&[], false), Ok(Mode::VerifyFull));
        assert_eq!(mode(&[("sslmode", "")], false), Ok(Mode::VerifyFull));
        assert_eq!(mode(&[], true), Ok(Mode::Prefer));
        assert_eq!(mode(&[("sslrootcert", "system")], true), Ok(Mode::VerifyFull));
        for (word, wanted) in [
            ("disable", Mode::Disable),
            ("allow", Mode::Prefer),
            ("prefer", Mode::Prefer),
            ("require", Mode::Require),
            ("verify-ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
        ] {
            assert_eq!(mode(&[("sslmode", word)], false), Ok(wanted));
            assert_eq!(mode(&[("sslmode", word)], true), Ok(wanted));
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (pairs, word) in [
            (vec![("sslmode", "Require")], "verify-full"),
            (vec![("sslmode", "require"), ("sslrootcert", "system")], "sslmode=verify-full"),
            (vec![("sslrootcert", "/nowhere/ca.pem")], "/nowhere/ca.pem: No such file"),
            (vec![("sslmode", "require"), ("sslcert", "/nowhere/me.pem")], "write both"),
        ] {
            let said = mode(&pairs, false).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
        let (empty, open) =
            (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let said = mode(&[("sslrootcert", empty.path().to_str().unwrap())], false).unwrap_err();
        assert!(said.contains("holds none"), "{said}");
        fs::set_permissions(open.path(), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(private_key(open.path()).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn no_file_is_read_for_a_connection_in_the_clear() {
        let nowhere = [("sslmode", "disable"), ("sslrootcert", "/nowhere"), ("sslcert", "/nowhere")];
        assert_eq!(mode(&nowhere, false), Ok(Mode::Disable));
    }
}
