//! One multiplexed connection that comes back by itself, and what its errors mean.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use redis::{
    Client, Cmd, ErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{
    RedisError,
    keys::{Keys, LIBRARY, Library},
};

/// A server that says nothing for so long is away. The crate's default, half a second, is shorter than an
/// ordinary fork or fsync pause.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries to connect again, within one call.
const RECONNECTS: usize = 2;
/// Repeats of a call whose connection broke: each call may be repeated, whether it arrived or not.
const REPEATS: u32 = 2;

/// The manager of the connection; its number tells which of several that failed was replaced already.
struct Current {
    number: u64,
    manager: ConnectionManager,
}

/// The connection to one Redis, under one key prefix.
pub(super) struct Connection {
    /// The URL without user and password.
    pub(super) url: String,
    pub(super) keys: Keys,
    client: Client,
    current: RwLock<Current>,
}

fn config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(RECONNECTS)
        .set_max_delay(Duration::from_millis(500))
}

impl Connection {
    /// Connects, trying a few times.
    pub(super) async fn open(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let shown = without_secrets(url);
        let client = Client::open(url).map_err(|error| RedisError::Url {
            url: shown.clone(),
            reason: format!("{}; write redis://[user:password@]host[:port][/number]", url_fault(&error)),
        })?;
        let manager = ConnectionManager::new_with_config(client.clone(), config())
            .await
            .map_err(|error| explain(&shown, &error))?;
        let current = RwLock::new(Current { number: 0, manager });
        Ok(Self { url: shown, keys: Keys::new(prefix), client, current })
    }

    /// Sends a command that may be repeated.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        self.send(cmd).await.map_err(|error| explain(&self.url, &error))
    }

    /// Calls a function of the queue's library.
    pub(super) async fn transition(&self, call: &Cmd) -> Result<Value, RedisError> {
        self.function(&LIBRARY, call).await
    }

    /// Calls a function of a library, which is loaded when the server lacks it.
    pub(super) async fn function(&self, library: &Library, call: &Cmd) -> Result<Value, RedisError> {
        match self.send(call).await {
            Err(error) if error.detail().is_some_and(|text| text.contains("Function not found")) => {
                self.load(library).await?;
                self.call(call).await
            }
            other => other.map_err(|error| explain(&self.url, &error)),
        }
    }

    async fn load(&self, library: &Library) -> Result<(), RedisError> {
        // never REPLACE: that would empty the library's memory of boots, and all would wait for a lease
        let loaded = self.send(redis::cmd("FUNCTION").arg("LOAD").arg(&library.text)).await;
        match loaded {
            Err(error) if !error.detail().is_some_and(|text| text.contains("already exists")) => {
                Err(explain(&self.url, &error))
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, cmd: &Cmd) -> redis::RedisResult<Value> {
        let mut repeats = 0;
        loop {
            let (number, mut manager) = self.current();
            match cmd.query_async::<Value>(&mut manager).await {
                Err(error) if error.is_connection_dropped() && repeats < REPEATS => {
                    repeats += 1;
                    // apart, so that a fleet does not come back in step
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(50..250))).await;
                }
                Err(error) => {
                    if !comes_back_by_itself(&error) {
                        self.replace(number);
                    }
                    return Err(error);
                }
                Ok(value) => return Ok(value),
            }
        }
    }

    fn current(&self) -> (u64, ConnectionManager) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.number, current.manager.clone())
    }

    /// Gives up a connection that its manager would keep: a silent one, or one that was refused.
    fn replace(&self, failed: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == failed
            && let Ok(manager) = ConnectionManager::new_lazy_with_config(self.client.clone(), config())
        {
            *current = Current { number: failed + 1, manager };
        }
    }
}

/// The manager replaces broken connections. It keeps a silent one, whose peer may be gone for good, and for ever
/// one that failed for another reason than I/O.
fn comes_back_by_itself(error: &redis::RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io => !error.is_timeout(),
        ErrorKind::Server(_) | ErrorKind::Extension => true,
        _ => false,
    }
}

/// Errors of the server that pass when one waits: memory or disk full, loading, failing over.
const PASSING: [&str; 9] =
    ["OOM", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"];

fn explain(url: &str, error: &redis::RedisError) -> RedisError {
    let url = url.to_owned();
    let said = || error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let refused = |reason: String| RedisError::Refused { url: url.clone(), reason };
    match error.code() {
        Some("WRONGPASS") => refused("wrong user or password; correct them in the url".to_owned()),
        Some("NOAUTH") => {
            refused("it asks for a password; write redis://[user]:password@host[:port]".to_owned())
        }
        Some("NOPERM") => refused(format!("its user lacks a right: {}", said())),
        Some(code) if PASSING.contains(&code) => {
            RedisError::Unreachable { url, reason: format!("{code} {}", said()) }
        }
        Some(code) => RedisError::Protocol(format!("{code} {}", said())),
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            refused("wrong user or password; correct them in the url".to_owned())
        }
        None if error.is_timeout() => RedisError::Unreachable {
            url,
            reason: "no answer in time; is it overloaded or stopped".to_owned(),
        },
        None if error.is_io_error() => RedisError::Unreachable { url, reason: error.to_string() },
        None => RedisError::Protocol(error.to_string()),
    }
}

/// What the crate finds wrong with a URL: never the URL itself.
fn url_fault(error: &redis::RedisError) -> String {
    let text = error.to_string();
    text.split(" - ").next().unwrap_or_default().to_lowercase()
}

/// A URL as it may be shown: without user, password and query.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
    // a password that is not escaped may hold any of these signs: the last @ ends it
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_password() {
        for (url, shown) in [
            ("redis://localhost:6379/2", "redis://localhost:6379/2"),
            ("redis://:secret@localhost", "redis://localhost"),
            ("rediss://me:se/c@ret@localhost:1", "rediss://localhost:1"),
            ("unix:///run/redis.sock?pass=secret", "unix:///run/redis.sock"),
            ("me:secret@localhost", "redis://localhost"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[tokio::test]
    async fn a_bad_url_is_named_without_its_password() {
        for url in ["http://me:secret@localhost", "redis://:secret@localhost/x", "secret", ""] {
            let error = Connection::open(url, "test").await.map(|_| ()).unwrap_err();
            assert!(matches!(error, RedisError::Url { .. }), "{error:?}");
            assert!(url.len() < 7 || !error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_passes_and_what_does_not() {
        let error = |text: &str| {
            let bytes = format!("-{text}\r\n").into_bytes();
            let said = redis::parse_redis_value(&bytes).unwrap().extract_error().unwrap_err();
            explain("redis://localhost", &said)
        };
        assert!(matches!(error("WRONGPASS no"), RedisError::Refused { .. }));
        assert!(matches!(error("NOPERM no"), RedisError::Refused { .. }));
        assert!(error("OOM command not allowed").may_pass());
        assert!(error("LOADING dataset").may_pass());
        assert!(matches!(error("WRONGTYPE of key"), RedisError::Protocol(_)));
    }
}
