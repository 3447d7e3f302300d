//! The Redis house: the only user of `redis` and `deadpool_redis`.
//!
//! - [`queue`]: chunks, leases, facts
//! - [`fleet`]: live workers

use std::time::Duration;

pub mod fleet;
pub mod queue;

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
    /// An answer that makes no sense: another version's entry, or other hands' keys.
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

/// A connection to one Redis under one key prefix. Cheap to clone; reconnects by itself.
#[derive(Clone)]
pub struct Redis {
    _private: (),
}

impl Redis {
    /// Connects and checks the server: version 7 or newer, `maxmemory-policy noeviction`.
    ///
    /// # Errors
    /// When it is away, refuses or is unfit.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let _ = (url, prefix);
        unimplemented!()
    }

    /// Asks the server who it is.
    ///
    /// # Errors
    /// When it is away, refuses or is unfit.
    pub async fn check(&self) -> Result<ServerFacts, RedisError> {
        unimplemented!()
    }

    /// The door to chunks.
    pub fn queue(&self) -> queue::Queue {
        queue::Queue { redis: self.clone() }
    }

    /// The door to live workers.
    pub fn fleet(&self) -> fleet::Fleet {
        fleet::Fleet { redis: self.clone() }
    }
}
