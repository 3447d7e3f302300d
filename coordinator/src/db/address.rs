//! A libpq URL, checked: what this build can use, and where errors say that it points.

use std::{error::Error as _, fmt, time::Duration};

use tokio_postgres::config::{Host, SslMode};

use super::error::{DbError, text_of};

/// Before a dead peer is noticed on an idle connection, and on one that waits for an answer.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Where a database is and who asks. May hold a password: its `Debug` shows none.
#[derive(Clone)]
pub(super) struct Address {
    config: tokio_postgres::Config,
    host: String,
    port: u16,
    database: Option<String>,
}

impl Address {
    /// Reads `postgresql://user:password@host:port/database` or `host=… dbname=…`.
    pub(super) fn parse(url: &str) -> Result<Self, DbError> {
        let unusable = |reason: &str| DbError::Url { reason: reason.to_owned() };
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") && !url.contains('=') {
            return Err(unusable("it must start with postgresql://, as in postgresql://user@localhost/db"));
        }
        check_sslmode(url)?;
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|e: tokio_postgres::Error| unusable(&text_of(&e)))?;
        config.ssl_mode(SslMode::Disable);
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => return Err(unusable("it names no host")),
        };
        if host.contains('@') {
            // what stands before the last `@` is a part of the password: it must not be shown
            return Err(unusable("an `@` in the user name or password must be written as %40"));
        }
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().map(str::to_owned);
        config.application_name("nstore");
        Ok(Self { config, host, port, database })
    }

    /// What to connect with.
    pub(super) fn config(&self, connect_timeout: Duration) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        config
            .connect_timeout(connect_timeout)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(UNACKNOWLEDGED);
        config
    }

    /// Why a connection did not come about.
    pub(super) fn refused(&self, e: &tokio_postgres::Error) -> DbError {
        let Some(said) = e.as_db_error() else {
            let reason = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            return DbError::Unreachable { host: self.host.clone(), port: self.port, reason };
        };
        let hint = match said.code().code() {
            "28P01" => Some("check user name and password in NSTORE_POSTGRES_URL".to_owned()),
            "28000" => Some("check the role's name, and pg_hba.conf on the server".to_owned()),
            "3D000" => self.database.as_ref().map(|name| {
                let port = if self.port == 5432 { String::new() } else { format!(" -p {}", self.port) };
                format!("make it: createdb -h {}{port} {name}", self.host)
            }),
            _ => None,
        };
        // starting up, shutting down, all places taken: another try may find it otherwise
        let passes = ["57P03", "57P01", "57P02", "53300"].contains(&said.code().code());
        let (host, port, reason) = (self.host.clone(), self.port, said.message().to_owned());
        if passes {
            DbError::Unreachable { host, port, reason }
        } else {
            DbError::Refused { host, port, reason, hint }
        }
    }

    /// It took the connection and said nothing.
    pub(super) fn silent(&self, waited: Duration) -> DbError {
        let reason = format!("no answer within {} s", waited.as_secs());
        DbError::Unreachable { host: self.host.clone(), port: self.port, reason }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database.as_deref().unwrap_or_default())
    }
}

/// This build speaks without TLS, so it says so rather than fall back in silence.
fn check_sslmode(url: &str) -> Result<(), DbError> {
    let Some((_, after)) = url.split_once("sslmode=") else { return Ok(()) };
    let mode: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
    match mode.as_str() {
        "disable" | "prefer" => Ok(()),
        _ => Err(DbError::Url {
            reason: "its sslmode asks for TLS, which this nstore does not speak to Postgres: write \
                     sslmode=disable or sslmode=prefer"
                .into(),
        }),
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
        ] {
            assert!(Address::parse(url).is_ok(), "{url}: {}", refusal(url));
        }
        let shown = format!("{:?}", Address::parse("postgresql://me:pw@db.example:5433/shop").unwrap());
        assert_eq!(shown, "db.example:5433/shop");
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        assert!(refusal("mysql://me:hunter2@db/shop").contains("postgresql://"));
        assert!(refusal("postgresql://me:hunter2@db/shop?sslmode=verify-full").contains("sslmode=disable"));
        assert!(refusal("postgresql://me:hunter2@db/shop?sslmode=require").contains("sslmode=disable"));
        assert!(refusal("postgresql://me:hun@ter2@db/shop").contains("%40"));
        for url in [
            "mysql://me:hunter2@db",
            "postgresql://me:hunter2@db/shop?sslmode=require",
            "postgresql://me:x@hunter2@db/shop",
            "postgresql://me:hunter2@db:port/shop",
            "postgresql://me:hunter2@/shop",
            "password=hunter2 port=x",
        ] {
            let said = refusal(url);
            assert!(!said.is_empty() && !said.contains("hunter2"), "{url}: {said}");
        }
    }
}
