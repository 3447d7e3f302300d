//! The Redis house: the only user of the `redis` crate.
//!
//! - [`queue`]: chunks, leases, facts; its calls in `transitions` (what workers and submitters do) and `runs` (what
//!   a coordinator asks and ends)
//! - [`fleet`]: live workers
//! - [`vault`]: logins that workers share, encrypted by `seal`
//! - [`budget`]: how often a source may be asked
//! - [`fitness`]: whether the server's settings stay good
//! - `nstore.lua`: the function library that makes every transition one step; `vault.lua`: the vault's; `budget.lua`:
//!   that of budgets; `keys`: all key names
//! - `address`: what a URL says; `route`: the way there, to a server, a primary that moves, or a cluster
//! - `connection`, `wire`: how calls and answers travel; `explain`: what errors mean
//! - `unguarded`: the library without some of its guards, in test builds alone

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

mod address;
pub mod budget;
pub mod clock;
mod connection;
mod explain;
pub mod fitness;
pub mod fleet;
mod keys;
pub mod queue;
mod route;
mod runs;
mod seal;
mod transitions;
#[cfg(any(test, feature = "unguarded"))]
mod unguarded;
pub mod vault;
mod wire;

use connection::Connection;

/// What goes wrong with Redis. Texts hold no password.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It does not answer at all, or not in time.
    #[error("redis at {url} does not answer: {reason}")]
    Unreachable {
        /// The URL without its password.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// It answers, and refuses: wrong password, missing rights.
    #[error("redis at {url} refuses: {reason}")]
    Refused {
        /// The URL without its password.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The URL is none.
    #[error("`{url}` is no redis url: {reason}")]
    Url {
        /// The URL without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A server that nstore cannot work with.
    #[error("redis at {url} cannot be used: {reason}")]
    Unfit {
        /// The URL without its password.
        url: String,
        /// Its version or policy.
        reason: String,
    },
    /// A newer nstore has worked on the queue of a source since: this build would misread what it wrote.
    #[error(
        "the queue in redis at {url} has format {found}, and this nstore knows format {known}: \
         a newer nstore has worked on it; update nstore and nstore-worker here"
    )]
    Newer {
        /// The URL without its password.
        url: String,
        /// The format that stands there.
        found: u32,
        /// That of this build.
        known: u32,
    },
    /// An answer that makes no sense: other hands' keys.
    #[error("redis gave an answer that nstore does not understand: {0}")]
    Protocol(String),
}

impl RedisError {
    /// Whether waiting and asking again can help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version.
    pub version: String,
    /// The round trip of one PING.
    pub latency: Duration,
}

/// The oldest server that has functions.
const OLDEST_MAJOR: u32 = 7;

/// A connection to one Redis under one key prefix. Cheap to clone; reconnects by itself.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<Connection>,
}

impl Redis {
    /// Connects and checks the server: version 7 or newer, `maxmemory-policy noeviction`.
    ///
    /// # Errors
    /// When it is away, refuses or is unfit.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let redis = Self { connection: Arc::new(Connection::open(url, prefix).await?) };
        redis.check().await?;
        Ok(redis)
    }

    /// Asks the server who it is.
    ///
    /// # Errors
    /// When it is away, refuses or is unfit.
    pub async fn check(&self) -> Result<ServerFacts, RedisError> {
        let asked = Instant::now();
        self.connection.call(&redis::cmd("PING")).await?;
        let latency = asked.elapsed();
        let answer = self.connection.call(&redis::cmd("INFO")).await?;
        let unfit = |reason| RedisError::Unfit { url: self.connection.url.clone(), reason };
        let in_cluster = self.connection.is_cluster();
        let mut version = Err(unfit("it has no primary that answers".to_owned()));
        for info in wire::of_each(answer)? {
            version = Ok(fit_version(&info, in_cluster).map_err(unfit)?);
        }
        Ok(ServerFacts { version: version?, latency })
    }

    /// The door to chunks.
    pub fn queue(&self) -> queue::Queue {
        queue::Queue { redis: self.clone() }
    }

    /// The door to live workers.
    pub fn fleet(&self) -> fleet::Fleet {
        fleet::Fleet { redis: self.clone() }
    }

    /// The door to shared logins.
    pub fn vault(&self, key: vault::VaultKey) -> vault::Vault {
        vault::Vault::new(self.clone(), key)
    }

    /// The door to budgets.
    pub fn budgets(&self) -> budget::Budgets {
        budget::Budgets { redis: self.clone() }
    }
}

/// The version in the answer to INFO, or why the server cannot be used.
fn fit_version(info: &str, in_cluster: bool) -> Result<String, String> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let version = field("redis_version").ok_or("it does not tell its version; is it a redis server")?;
    let major: u32 = version.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    if major < OLDEST_MAJOR {
        return Err(format!("its version is {version}; install redis {OLDEST_MAJOR}.0 or newer"));
    }
    match field("redis_mode") {
        Some("sentinel") => {
            return Err("it is a sentinel; write redis+sentinel://host,host/primary".to_owned());
        }
        Some("cluster") if !in_cluster => {
            return Err("it is a node of a cluster; write redis+cluster://host,host".to_owned());
        }
        _ => {}
    }
    match field("maxmemory_policy") {
        None | Some("noeviction") => Ok(version.to_owned()),
        Some(policy) => Err(format!(
            "its maxmemory-policy is {policy}, which drops chunks when memory is full; \
             run `redis-cli config set maxmemory-policy noeviction` and write the same to redis.conf"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::fit_version;

    #[test]
    fn old_and_evicting_servers_are_refused() {
        let info = |version: &str, policy: &str| {
            let info = format!("# Server\r\nredis_version:{version}\r\nmaxmemory_policy:{policy}\r\n");
            fit_version(&info, false)
        };
        assert_eq!(info("7.0.15", "noeviction").unwrap(), "7.0.15");
        assert_eq!(info("10.1.0", "noeviction").unwrap(), "10.1.0");
        assert!(info("6.2.14", "noeviction").unwrap_err().contains("6.2.14"));
        assert!(info("7.2.1", "allkeys-lru").unwrap_err().contains("allkeys-lru"));
        assert!(fit_version("", false).is_err());
    }

    #[test]
    fn a_server_of_another_mode_says_how_to_write_it() {
        let info = |mode: &str| format!("redis_version:7.0.15\r\nredis_mode:{mode}\r\n");
        assert!(fit_version(&info("standalone"), false).is_ok());
        assert!(fit_version(&info("cluster"), true).is_ok());
        assert!(fit_version(&info("cluster"), false).unwrap_err().contains("redis+cluster://"));
        assert!(fit_version(&info("sentinel"), false).unwrap_err().contains("redis+sentinel://"));
    }
}
