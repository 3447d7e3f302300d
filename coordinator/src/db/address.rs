//! A libpq URL, checked: where it points, how the way there is protected, and how a connection comes about.

use std::{
    error::Error as _,
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Error as PgError, Socket,
    config::{Host, SslMode},
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{DbError, text_of},
    params,
    tls::{self, Mode, Tls},
};

/// Before a dead peer is noticed on an idle connection, and on one that waits for an answer.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Where a database is and who asks. May hold a password: its `Debug` shows none.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    host: String,
    port: u16,
    database: Option<String>,
    /// Whether all of its hosts are this machine.
    near: bool,
    tls: Tls,
    seen: Arc<Seen>,
}

/// What connecting has shown.
#[derive(Default)]
struct Seen {
    /// The last server that had to speak TLS does not.
    no_tls: AtomicBool,
    /// It was said how weak the protection is.
    told: AtomicBool,
}

impl Address {
    /// Reads `postgresql://user:password@host:port/database` or `host=… dbname=…`.
    pub(super) fn parse(url: &str) -> Result<Self, DbError> {
        let unusable = |reason: &str| DbError::Url { reason: reason.to_owned() };
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") && !url.contains('=') {
            return Err(unusable("it must start with postgresql://, as in postgresql://user@localhost/db"));
        }
        let (rest, protection) = params::take(url, &tls::PARAMETERS);
        let mut config: Config = rest.parse().map_err(|e: PgError| unusable(&text_of(&e)))?;
        let host = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
            (Some(Host::Tcp(host)), _) => host.clone(),
            #[cfg(unix)]
            (Some(Host::Unix(folder)), _) => folder.display().to_string(),
            (None, Some(addr)) => addr.to_string(),
            (None, None) => return Err(unusable("it names no host")),
        };
        if host.contains('@') {
            // what stands before the last `@` is a part of the password: it must not be shown
            return Err(unusable("an `@` in the user name or password must be written as %40"));
        }
        let near = is_near(&config);
        let roots = std::env::var("PGSSLROOTCERT").ok();
        let tls = Tls::new(&protection, near, roots).map_err(|reason| unusable(&reason))?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().map(str::to_owned);
        // PostgreSQL speaks no TLS over a socket file
        let asked = if sockets_alone(&config) { SslMode::Disable } else { tls.mode.asked() };
        config.application_name("nstore").ssl_mode(asked);
        Ok(Self { config, host, port, database, near, tls, seen: Arc::default() })
    }

    /// What to connect with.
    pub(super) fn config(&self, connect_timeout: Duration) -> Config {
        let mut config = self.config.clone();
        config
            .connect_timeout(connect_timeout)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(UNACKNOWLEDGED);
        config
    }

    /// Connects; says once how little a connection elsewhere is protected.
    pub(super) async fn open(&self, config: &Config) -> Result<(Client, JoinHandle<()>), PgError> {
        let encrypted = Arc::new(AtomicBool::new(false));
        let connector = Connector { rustls: self.tls.connector.clone(), encrypted: encrypted.clone() };
        let opened = config.connect(connector).await;
        let encrypted = encrypted.load(Ordering::Relaxed);
        let (client, connection) = opened.inspect_err(|e| {
            let refused = config.get_ssl_mode() == SslMode::Require && !encrypted && is_of_tls(e);
            self.seen.no_tls.store(refused, Ordering::Relaxed);
        })?;
        self.tell_weakness(encrypted);
        let task = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("a connection to postgres ended: {}", text_of(&e));
            }
        });
        Ok((client, task))
    }

    fn tell_weakness(&self, encrypted: bool) {
        let weakness = match (encrypted, self.tls.checked) {
            _ if self.near => return,
            (true, true) => return,
            (true, false) => "is not asked who it is: anybody on the way can answer in its place",
            (false, _) if self.tls.mode == Mode::Disable => {
                "is spoken to in the clear, as sslmode=disable says"
            }
            (false, _) => "is spoken to in the clear: it offers no TLS, and sslmode does not ask for it",
        };
        if !self.seen.told.swap(true, Ordering::Relaxed) {
            let Self { host, port, .. } = self;
            tracing::warn!("postgres at {host}:{port} {weakness}; write sslmode=verify-full (the default)");
        }
    }

    /// Why a connection did not come about.
    pub(super) fn refused(&self, e: &PgError) -> DbError {
        let (host, port) = (self.host.clone(), self.port);
        let Some(said) = e.as_db_error() else {
            if let Some((reason, hint)) = self.unprotected(e) {
                return DbError::Refused { host, port, reason, hint: hint.map(str::to_owned) };
            }
            let reason = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            return DbError::Unreachable { host, port, reason };
        };
        let hint = match said.code().code() {
            "28P01" => Some("check user name and password in NSTORE_POSTGRES_URL".to_owned()),
            "28000" => Some(
                "check the role's name, pg_hba.conf on the server, and whether it takes connections with TLS \
                 alone (sslmode)"
                    .to_owned(),
            ),
            "3D000" => self.database.as_ref().map(|name| {
                let port = if self.port == 5432 { String::new() } else { format!(" -p {}", self.port) };
                format!("make it: createdb -h {}{port} {name}", self.host)
            }),
            _ => None,
        };
        // starting up, shutting down, all places taken: another try may find it otherwise
        let passes = ["57P03", "57P01", "57P02", "53300"].contains(&said.code().code());
        let reason = said.message().to_owned();
        if passes {
            DbError::Unreachable { host, port, reason }
        } else {
            DbError::Refused { host, port, reason, hint }
        }
    }

    /// Why the connection could not be protected as it must be, and what to do.
    fn unprotected(&self, e: &PgError) -> Option<(String, Option<&'static str>)> {
        if self.seen.no_tls.load(Ordering::Relaxed) && is_of_tls(e) {
            let hint = "turn TLS on there (ssl = on); only where nobody can listen on the way, write \
                        sslmode=disable in NSTORE_POSTGRES_URL";
            return Some(("it does not speak TLS, which is asked for".to_owned(), Some(hint)));
        }
        let failed =
            e.source()?.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some((failed.to_string(), tls::hint(failed)))
    }

    /// It took the connection and said nothing.
    pub(super) fn silent(&self, waited: Duration) -> DbError {
        let reason = format!("no answer within {} s", waited.as_secs());
        DbError::Unreachable { host: self.host.clone(), port: self.port, reason }
    }
}

impl deadpool_postgres::Connect for Address {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), PgError>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move { self.open(&config).await })
    }
}

/// A failure between the connection and the server's first word: neither the network's nor the server's own.
fn is_of_tls(e: &PgError) -> bool {
    e.as_db_error().is_none() && e.source().is_some_and(|cause| !cause.is::<std::io::Error>())
}

/// Whether what is sent stays on this machine. A name counts before its `hostaddr`, which may be a tunnel's end.
fn is_near(config: &Config) -> bool {
    let loopback =
        |name: &str| name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let hosts = config.get_hosts();
    if hosts.is_empty() {
        return config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    }
    hosts.iter().all(|host| match host {
        Host::Tcp(name) => loopback(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn sockets_alone(config: &Config) -> bool {
    let tcp = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
    !tcp && config.get_hostaddrs().is_empty()
}

/// Makes TLS connections, and notes that one was asked for: the server has agreed to speak it then.
#[derive(Clone)]
struct Connector {
    rustls: MakeRustlsConnect,
    encrypted: Arc<AtomicBool>,
}

type Made = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// One connection's part of a [`Connector`].
struct Noted {
    made: Made,
    encrypted: Arc<AtomicBool>,
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = Noted;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Noted, Self::Error> {
        let made = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.rustls, domain)?;
        Ok(Noted { made, encrypted: self.encrypted.clone() })
    }
}

impl TlsConnect<Socket> for Noted {
    type Stream = <Made as TlsConnect<Socket>>::Stream;
    type Error = <Made as TlsConnect<Socket>>::Error;
    type Future = <Made as TlsConnect<Socket>>::Future;

    fn connect(self, stream: Socket) -> Self::Future {
        self.encrypted.store(true, Ordering::Relaxed);
        self.made.connect(stream)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Address::parse(url).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn urls_of_libpq_are_read() {
        for url in [
            "postgresql://me:pw@db.example:5433/shop",
            "postgres://me@localhost/shop?sslmode=prefer",
            "host=/run/postgresql user=me dbname=shop sslmode=disable",
            "postgresql:///shop?host=/run/postgresql&port=5433",
            "postgresql://me@db.example/shop?sslmode=allow",
            "postgresql://me@db.example/shop?sslmode=require&target_session_attrs=read-write",
            "host=db.example user=me sslmode='prefer'",
            "hostaddr=192.0.2.7 user=me sslmode=require",
        ] {
            assert!(Address::parse(url).is_ok(), "{url}: {}", refusal(url));
        }
        let shown = format!("{:?}", Address::parse("postgresql://me:pw@db.example:5433/shop").unwrap());
        assert_eq!(shown, "db.example:5433/shop");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        assert!(refusal("mysql://me:hunter2@db/shop").contains("postgresql://"));
        assert!(refusal("postgresql://me:hunter2@db/shop?sslmode=always").contains("verify-full"));
        assert!(refusal("postgresql://me:hunter2@db/shop?sslrootcert=/nowhere").contains("/nowhere"));
        assert!(refusal("postgresql://me:hun@ter2@db/shop").contains("%40"));
        for url in [
            "mysql://me:hunter2@db",
            "postgresql://me:hunter2@db/shop?sslmode=always",
            "host=db password=hunter2 sslmode=always",
            "postgresql://me:x@hunter2@db/shop",
            "postgresql://me:hunter2@db:port/shop",
            "postgresql://me:hunter2@/shop",
            "password=hunter2 port=x",
        ] {
            let said = refusal(url);
            assert!(!said.is_empty() && !said.contains("hunter2"), "{url}: {said}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_near() {
        for (url, near) in [
            ("postgresql://me@localhost/shop", true),
            ("postgresql://me@127.0.0.2/shop", true),
            ("postgresql://me@[::1]/shop", true),
            ("postgresql:///shop?host=/run/postgresql", true),
            ("hostaddr=127.0.0.1", true),
            ("hostaddr=192.0.2.7", false),
            ("postgresql://me@db.example/shop?hostaddr=127.0.0.1", false),
            ("postgresql://me@localhost,db.example/shop", false),
            ("postgresql://me@192.0.2.7/shop", false),
        ] {
            assert_eq!(is_near(&url.parse().unwrap()), near, "{url}");
        }
    }

    #[test]
    fn a_socket_file_needs_no_tls() {
        let asked = |url: &str| Address::parse(url).unwrap().config.get_ssl_mode();
        assert_eq!(asked("postgresql:///shop?host=/run/postgresql&sslmode=require"), SslMode::Disable);
        assert_eq!(asked("postgresql://me@localhost/shop"), SslMode::Prefer);
        assert_eq!(asked("postgresql://me@db.example/shop?sslmode=require"), SslMode::Require);
    }
}
