//! One line to Redis that comes back by itself, and calls that may be repeated.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use redis::{Arg, Cmd, Value};
use tokio::sync::Mutex;

use super::{
    RedisError,
    address::Address,
    explain::{explain, explain_first},
    keys::{Keys, LIBRARY, Library},
    route::{Line, Route, is_no_primary},
};

/// Repeats of a call whose connection broke: each call may be repeated, whether it arrived or not.
const REPEATS: u32 = 2;
/// Where the key stands in a call of a function: after the command, the function and the number of keys.
const KEY_AT: usize = 3;

/// The line of the connection; its number tells which of several that failed was replaced already.
struct Current {
    number: u64,
    line: Line,
}

/// The connection to one Redis, under one key prefix.
pub(super) struct Connection {
    /// The URL without user and password.
    pub(super) url: String,
    pub(super) keys: Keys,
    route: Route,
    current: RwLock<Current>,
    /// One at a time looks for another line; when the last one found none.
    sought: Mutex<Option<Instant>>,
}

impl Connection {
    /// Connects, trying a few times.
    pub(super) async fn open(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let address = Address::read(url)?;
        let shown = address.shown.clone();
        let route = Route::to(address)
            .map_err(|error| RedisError::Url { url: shown.clone(), reason: error.to_string() })?;
        // boxed here and below, as a way to sentinels or a cluster makes a large future
        let line = Box::pin(route.line()).await.map_err(|error| explain_first(&shown, &error))?;
        let current = RwLock::new(Current { number: 0, line });
        Ok(Self { url: shown, keys: Keys::new(prefix), route, current, sought: Mutex::default() })
    }

    /// Whether several servers answer a command that has no key.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.route, Route::Cluster(..))
    }

    /// Sends a command that may be repeated.
    pub(super) async fn call(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        self.send(cmd, None).await.map_err(|error| explain(&self.url, &error))
    }

    /// Calls a function of the queue's library.
    pub(super) async fn transition(&self, call: &Cmd) -> Result<Value, RedisError> {
        self.function(&LIBRARY, call).await
    }

    /// Calls a function of a library, which is loaded when the server lacks it.
    pub(super) async fn function(&self, library: &Library, call: &Cmd) -> Result<Value, RedisError> {
        match self.send(call, None).await {
            Err(error) if error.detail().is_some_and(|text| text.contains("Function not found")) => {
                self.load(library, call).await?;
                self.call(call).await
            }
            other => other.map_err(|error| explain(&self.url, &error)),
        }
    }

    /// Loads a library into the server that a call goes to. In a cluster each primary is taught when it is first
    /// found not to know it, so one that joined or lost everything later is taught as well.
    async fn load(&self, library: &Library, call: &Cmd) -> Result<(), RedisError> {
        let key = match call.args_iter().nth(KEY_AT) {
            Some(Arg::Simple(key)) => key,
            _ => &[],
        };
        let mut load = redis::cmd("FUNCTION");
        // never REPLACE: that would empty the library's memory of boots, and all would wait for a lease
        load.arg("LOAD").arg(&library.text);
        match self.send(&load, Some(key)).await {
            Err(error) if !error.detail().is_some_and(|text| text.contains("already exists")) => {
                Err(explain(&self.url, &error))
            }
            _ => Ok(()),
        }
    }

    /// `owner` is a key whose server is meant, where the command has none.
    async fn send(&self, cmd: &Cmd, owner: Option<&[u8]>) -> redis::RedisResult<Value> {
        let mut repeats = 0;
        loop {
            let (number, mut line) = self.current();
            let answer = match owner {
                Some(key) => Box::pin(line.send_to(key, cmd)).await,
                None => line.send(cmd).await,
            };
            let Err(error) = answer else { return answer };
            if line.is_spent(&error) {
                Box::pin(self.replace(number)).await;
            }
            if repeats == REPEATS || !(error.is_connection_dropped() || is_no_primary(&error)) {
                return Err(error);
            }
            repeats += 1;
            // apart, so that a fleet does not come back in step
            tokio::time::sleep(Duration::from_millis(fastrand::u64(50..250))).await;
        }
    }

    fn current(&self) -> (u64, Line) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.number, current.line.clone())
    }

    /// Puts another line in the place of one that failed. Where none is found the old one stays: it fails again at
    /// once, and another one is looked for then.
    async fn replace(&self, failed: u64) {
        let since = Instant::now();
        let mut sought = self.sought.lock().await;
        // what another call found, or did not find, while this one waited for its turn, is as new
        if self.current().0 != failed || sought.is_some_and(|last| last > since) {
            return;
        }
        match self.route.another().await {
            Some(line) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Current { number: failed + 1, line };
            }
            None => *sought = Some(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bad_url_is_named_without_its_password() {
        for url in ["http://me:secret@localhost", "redis://:secret@localhost/x", "secret", ""] {
            let error = Connection::open(url, "test").await.map(|_| ()).unwrap_err();
            assert!(matches!(error, RedisError::Url { .. }), "{error:?}");
            assert!(url.len() < 7 || !error.to_string().contains("secret"), "{error}");
        }
    }
}
