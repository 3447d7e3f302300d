//! Where Redis is, as a URL says it: one server, a primary that sentinels name, or a cluster; in the clear or by TLS.

use std::{fs, path::Path};

use redis::{ClientTlsConfig, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};

use super::RedisError;

/// Where sentinels listen unless the URL says otherwise.
const SENTINEL_PORT: u16 = 26379;
const SERVER_PORT: u16 = 6379;

const FORMS: &str = "write redis://[user:password@]host[:port][/number], rediss:// for TLS, \
                     redis+sentinel://host,host/primary or redis+cluster://host,host";

/// What a URL may say after its `?`.
const PARAMETERS: [&str; 9] =
    ["ca", "cert", "key", "sentinel_user", "sentinel_password", "protocol", "db", "user", "pass"];

/// A URL, read.
pub(super) struct Address {
    /// The URL as it may be shown: without user, password and parameters.
    pub(super) shown: String,
    pub(super) place: Place,
    /// What TLS trusts and shows besides the system's roots; `None` without TLS.
    pub(super) tls: Option<Tls>,
}

/// What stands there.
pub(super) enum Place {
    /// One server.
    Server(ConnectionInfo),
    /// Sentinels that know where the primary of that name is.
    Sentinels {
        /// Where they are, and how one signs in to the primary.
        sentinels: Vec<ConnectionInfo>,
        /// What they call it.
        primary: String,
        /// How one signs in to the sentinels themselves.
        login: [Option<String>; 2],
    },
    /// Some nodes of a cluster; they know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// How a TLS connection is checked.
pub(super) struct Tls {
    pub(super) certificates: TlsCertificates,
    /// Nothing is checked.
    pub(super) insecure: bool,
}

impl Address {
    /// Reads a URL and the files that it names.
    pub(super) fn read(url: &str) -> Result<Self, RedisError> {
        let shown = without_secrets(url);
        let parts = Parts::of(url);
        // the end of it first: the crate's words on a wrong one say less
        let read = parts.and_then(|parts| parts.insecure().and_then(|_| Ok((parts.place()?, parts.tls()?))));
        match read {
            Ok((place, tls)) => Ok(Self { shown, place, tls }),
            Err(reason) => Err(RedisError::Url { url: shown, reason }),
        }
    }
}

/// A URL, cut in pieces.
struct Parts<'a> {
    whole: &'a str,
    scheme: &'a str,
    login: Option<&'a str>,
    hosts: Vec<&'a str>,
    path: &'a str,
    parameters: Vec<(String, String)>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(whole: &'a str) -> Result<Self, String> {
        let (scheme, rest) = whole.split_once("://").ok_or(FORMS)?;
        let (rest, fragment) = match rest.rsplit_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let (rest, known) = query_at(rest).map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (rest, unknown) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let query = unknown.or(known).unwrap_or_default();
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { whole, scheme, login, hosts: hosts.split(',').collect(), path, parameters, fragment })
    }

    fn place(&self) -> Result<Place, String> {
        match self.scheme {
            "unix" | "redis+unix" => {
                self.know(&["db", "user", "pass", "protocol"])?;
                Ok(Place::Server(info(self.whole)?))
            }
            "redis" | "rediss" if self.hosts.len() == 1 => {
                self.know(&["ca", "cert", "key", "protocol"])?;
                Ok(Place::Server(self.host(self.hosts[0], SERVER_PORT, self.path)?))
            }
            "redis+cluster" | "rediss+cluster" => {
                self.know(&["ca", "cert", "key", "protocol"])?;
                if !matches!(self.path, "" | "0") {
                    return Err("a cluster has no numbered databases: end it after the last host".to_owned());
                }
                Ok(Place::Cluster(self.each_host(SERVER_PORT, "")?))
            }
            "redis+sentinel" | "rediss+sentinel" => self.sentinels(),
            _ => Err(FORMS.to_owned()),
        }
    }

    fn sentinels(&self) -> Result<Place, String> {
        self.know(&["ca", "cert", "key", "protocol", "sentinel_user", "sentinel_password"])?;
        let (primary, number) = self.path.split_once('/').unwrap_or((self.path, ""));
        if primary.is_empty() {
            let form = "redis+sentinel://host,host/primary";
            return Err(format!("it does not say what the sentinels call the primary; write {form}"));
        }
        Ok(Place::Sentinels {
            sentinels: self.each_host(SENTINEL_PORT, number)?,
            primary: primary.to_owned(),
            login: ["sentinel_user", "sentinel_password"].map(|name| self.parameter(name).map(str::to_owned)),
        })
    }

    fn encrypted(&self) -> bool {
        self.scheme.starts_with("rediss")
    }

    fn insecure(&self) -> Result<bool, String> {
        match self.fragment {
            None => Ok(false),
            Some("insecure") if self.encrypted() => Ok(true),
            Some(_) => Err("only rediss://… may end with a `#`, and only with #insecure".to_owned()),
        }
    }

    fn tls(&self) -> Result<Option<Tls>, String> {
        let insecure = self.insecure()?;
        let files = ["ca", "cert", "key"].map(|name| self.parameter(name));
        if !self.encrypted() {
            let given = files.iter().any(Option::is_some);
            return if given { Err("`ca`, `cert` and `key` ask for rediss://".to_owned()) } else { Ok(None) };
        }
        let [ca, cert, key] = files;
        if insecure && ca.is_some() {
            return Err(
                "#insecure checks nothing, so a `ca` is of no use beside it: leave one out".to_owned()
            );
        }
        let client_tls = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                Some(ClientTlsConfig { client_cert: pem("cert", cert)?, client_key: pem("key", key)? })
            }
            _ => return Err("a client's certificate takes both `cert` and `key`".to_owned()),
        };
        let root_cert = ca.map(|file| pem("ca", file)).transpose()?;
        Ok(Some(Tls { certificates: TlsCertificates { client_tls, root_cert }, insecure }))
    }

    /// An unknown parameter is an error: a mistyped `ca` must not mean the system's roots.
    fn know(&self, known: &[&str]) -> Result<(), String> {
        match self.parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(format!("`?{name}=` means nothing here; there are {}", known.join(", "))),
            None => Ok(()),
        }
    }

    fn parameter(&self, wanted: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    fn each_host(&self, port: u16, path: &str) -> Result<Vec<ConnectionInfo>, String> {
        self.hosts.iter().map(|host| self.host(host, port, path)).collect()
    }

    /// One host as the crate reads it from a URL of its own.
    fn host(&self, host: &str, port: u16, path: &str) -> Result<ConnectionInfo, String> {
        let scheme = self.scheme.split('+').next().unwrap_or_default();
        let login = self.login.map(|login| format!("{login}@")).unwrap_or_default();
        let has_port = host.rsplit_once(']').map_or(host, |(_, after)| after).contains(':');
        let port = if has_port || host.is_empty() { String::new() } else { format!(":{port}") };
        let protocol = self.parameter("protocol").map(|name| format!("?protocol={name}")).unwrap_or_default();
        let fragment = self.fragment.map(|name| format!("#{name}")).unwrap_or_default();
        info(&format!("{scheme}://{login}{host}{port}/{path}{protocol}{fragment}"))
    }
}

/// What the crate finds wrong with a URL: never the URL itself.
fn info(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| {
        let text = error.to_string();
        format!("{}; {FORMS}", text.split(" - ").next().unwrap_or_default().to_lowercase())
    })
}

fn pem(what: &str, file: &str) -> Result<Vec<u8>, String> {
    let bytes = fs::read(Path::new(file)).map_err(|error| format!("its `{what}`, {file}: {error}"))?;
    if bytes.windows(10).any(|window| window == b"-----BEGIN") {
        return Ok(bytes);
    }
    Err(format!("its `{what}`, {file}, is no PEM file"))
}

/// Where the parameters of a URL start. A password that is not escaped may hold a `?` too.
fn query_at(rest: &str) -> Option<usize> {
    let names = |text: &str, name: &str| text.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    let known = |text: &str| PARAMETERS.iter().any(|name| names(text, name));
    rest.match_indices('?').map(|(at, _)| at).find(|at| known(&rest[at + 1..]))
}

/// A URL as it may be shown: without user, password, parameters and what follows a `#`.
pub(super) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
    let rest = query_at(rest).map_or(rest, |at| &rest[..at]);
    // a password that is not escaped may hold any of these signs: the last @ ends it
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;

    #[test]
    fn a_shown_url_has_no_password() {
        for (url, shown) in [
            ("redis://localhost:6379/2", "redis://localhost:6379/2"),
            ("redis://:secret@localhost", "redis://localhost"),
            ("rediss://me:se/c@ret@localhost:1", "rediss://localhost:1"),
            ("rediss://me:s?cret@localhost:1?ca=/a@secret#insecure", "rediss://localhost:1"),
            ("unix:///run/redis.sock?pass=secret", "unix:///run/redis.sock"),
            ("me:secret@localhost", "redis://localhost"),
            (
                "redis+sentinel://me:secret@a:1,b/main?sentinel_password=x@secret",
                "redis+sentinel://a:1,b/main",
            ),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    fn refusal(url: &str) -> String {
        Address::read(url).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn places(infos: &[ConnectionInfo]) -> Vec<String> {
        infos.iter().map(|info| info.addr().to_string()).collect()
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes() {
        let address = Address::read("rediss+cluster://me:p%40ss@a:7000,[::1]").unwrap();
        let Place::Cluster(nodes) = address.place else { panic!("no cluster") };
        assert_eq!(places(&nodes), ["a:7000", "::1:6379"]);
        for node in nodes {
            assert_eq!(node.redis_settings().password(), Some("p@ss"));
            assert!(matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
        }
        assert!(refusal("redis+cluster://a/2").contains("no numbered databases"));
    }

    #[test]
    fn sentinels_know_a_primary_by_its_name() {
        let url = "redis+sentinel://me:secret@a,b:7/main/3?sentinel_password=p%26w";
        let Place::Sentinels { sentinels, primary, login } = Address::read(url).unwrap().place else {
            panic!("no sentinels")
        };
        assert_eq!(places(&sentinels), ["a:26379", "b:7"]);
        assert_eq!((primary.as_str(), sentinels[0].redis_settings().db()), ("main", 3));
        assert_eq!(login, [None, Some("p&w".to_owned())]);
        assert!(refusal("redis+sentinel://a,b").contains("what the sentinels call the primary"));
    }

    #[test]
    fn tls_is_checked_unless_it_is_said_that_it_is_not() {
        let insecure = |url: &str| Address::read(url).unwrap().tls.map(|tls| tls.insecure);
        assert_eq!(insecure("redis://a"), None);
        assert_eq!(insecure("rediss://a"), Some(false));
        assert_eq!(insecure("rediss://a/2#insecure"), Some(true));
        assert_eq!(insecure("rediss+sentinel://a/main#insecure"), Some(true));
        for (url, said) in [
            ("redis://a#insecure", "only rediss://"),
            ("rediss://a#lax", "only with #insecure"),
            ("redis://a?ca=/x", "ask for rediss://"),
            ("rediss://a?CA=/x", "`?CA=` means nothing here"),
            ("rediss://me:x@a?CA=/x&ca=/y", "`?CA=` means nothing here"),
            ("rediss://a?ca=/no/such/file", "its `ca`, /no/such/file: No such file"),
            ("rediss://a?ca=/proc/self/comm", "is no PEM file"),
            ("rediss://a?cert=/x", "both `cert` and `key`"),
            ("rediss://a?ca=/x#insecure", "leave one out"),
            ("redis://a,b", "redis+cluster://"),
            ("http://a", "write redis://"),
        ] {
            assert!(refusal(url).contains(said), "{url}: {}", refusal(url));
        }
    }
}
