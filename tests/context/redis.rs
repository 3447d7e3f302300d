//! A test's part of a Redis.

use nstore::local::{RedisOptions, RedisServer};

use super::{Scratch, shared, unique};

/// A key prefix of its own on the shared Redis.
#[derive(Debug, Clone)]
pub struct Redis {
    /// `redis://host:port`.
    pub url: String,
    /// What all keys of the test start with.
    pub prefix: String,
}

/// A prefix on the shared Redis. Not for tests that flush, restart or stop it.
pub fn redis() -> Redis {
    Redis { url: shared::redis_url(), prefix: unique("test") }
}

/// A Redis that belongs to one test.
#[derive(Debug)]
pub struct OwnRedis {
    /// To kill, pause and restart.
    pub server: RedisServer,
    _scratch: Scratch,
}

impl OwnRedis {
    /// `redis://host:port`; stays the same over restarts.
    pub fn url(&self) -> String {
        self.server.url()
    }
}

/// Starts a Redis for one test alone; with `appendonly` its data outlives a restart.
pub fn own_redis(appendonly: bool) -> OwnRedis {
    let scratch = Scratch::new("redis");
    let options = RedisOptions { dir: scratch.path().join("redis"), appendonly, port: None };
    let server = RedisServer::start(&options).expect("a private redis");
    OwnRedis { server, _scratch: scratch }
}
