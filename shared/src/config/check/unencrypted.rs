//! Secrets that would travel unencrypted. Pure.

use url::{Host, Url};

use super::source::NamedSecret;
use crate::config::{
    document::Document,
    raw::{browser::Login, source::SourceFile},
};

/// Refuses addresses of other hosts over plain http where a source sends secrets, or a session that they opened,
/// unless the source allows it.
pub(super) fn refuse(doc: &mut Document, raw: &SourceFile, secrets: &[NamedSecret]) {
    if secrets.is_empty() || raw.common().allow_insecure {
        return;
    }
    for (path, address) in addresses(raw) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(host) = doc.clean(&path).then(|| unencrypted(address)).flatten() else { continue };
        let key = path.last().copied().unwrap_or_default();
        let message =
            format!("`{key}` is http://, so the secrets of this source would reach {host} unencrypted");
        let hint = "write https://; where nobody else can listen on the way, add `allow_insecure: true` to the source";
        doc.fault(&path, message, Some(hint.to_owned()));
    }
}

/// The addresses of a source, and their places.
fn addresses(raw: &SourceFile) -> Vec<(Vec<String>, &str)> {
    let path = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect();
    match raw {
        SourceFile::Api(file) => vec![(path(&["base_url"]), &file.base_url)],
        SourceFile::Browser(file) => {
            let login = file.login.as_ref().map(|login| match login {
                Login::Microsoft { url, .. } | Login::Form { url, .. } => url,
            });
            let login = login.map(|url| (path(&["login", "url"]), url.as_str()));
            let pages = file.steps.iter().enumerate().filter_map(|(index, step)| {
                Some((path(&["steps", &index.to_string(), "goto"]), step.goto.as_deref()?))
            });
            login.into_iter().chain(pages).collect()
        }
    }
}

/// The other host that an address of plain http names.
fn unencrypted(address: &str) -> Option<String> {
    let url = Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
    let own = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (!own).then(|| url.host_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_another_host_is_unencrypted() {
        for own in [
            "http://127.0.0.1:8080/v1",
            "http://127.9.9.9",
            "http://localhost/{start:%Y-%m-%d}",
            "http://app.localhost",
            "http://[::1]:80",
            "https://api.example.org",
        ] {
            assert_eq!(unencrypted(own), None, "{own}");
        }
        for (other, host) in [
            ("http://api.example.org/v1", "api.example.org"),
            ("http://10.0.0.7:8080", "10.0.0.7"),
            ("HTTP://simulator:8080", "simulator"),
            ("http://localhost.example.org", "localhost.example.org"),
            ("http://[fd00::1]/x", "[fd00::1]"),
            ("http://0.0.0.0", "0.0.0.0"),
        ] {
            assert_eq!(unencrypted(other).as_deref(), Some(host), "{other}");
        }
    }
}
