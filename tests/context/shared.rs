//! One Redis and one PostgreSQL for all tests.

use std::{env, sync::OnceLock};

use nstore::local::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, ServerError};

use super::{Scratch, redis::add_users};

/// Where tests find the Redis that `testbed` started.
pub const REDIS_URL: &str = "NSTORE_TEST_REDIS_URL";
/// Where tests find the PostgreSQL that `testbed` started.
pub const POSTGRES_URL: &str = "NSTORE_TEST_POSTGRES_URL";

/// Both servers, in a scratch directory.
#[derive(Debug)]
pub struct Servers {
    // dropped in this order: the directory last
    redis: RedisServer,
    postgres: PostgresServer,
    _scratch: Scratch,
}

impl Servers {
    /// Starts both, fast rather than durable.
    pub fn start() -> Result<Self, ServerError> {
        nstore::local::binaries::Binaries::find()?;
        let scratch = Scratch::new("servers");
        let redis = RedisServer::start(&RedisOptions {
            dir: scratch.path().join("redis"),
            appendonly: false,
            port: None,
            password: false,
            env: vec![],
        })?;
        add_users(&redis.url());
        let dir = scratch.path().join("postgres");
        let postgres = PostgresServer::start(&PostgresOptions { fsync: false, ..PostgresOptions::new(dir) })?;
        Ok(Self { redis, postgres, _scratch: scratch })
    }

    /// The shared Redis, as one who may do everything.
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The shared PostgreSQL, its default database.
    pub fn postgres_url(&self) -> String {
        self.postgres.url()
    }
}

/// Those of this process, when nobody started any before it.
fn of_process() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| Servers::start().expect("private servers for the tests"))
}

pub(super) fn redis_url() -> String {
    env::var(REDIS_URL).unwrap_or_else(|_| of_process().redis_url())
}

pub(super) fn postgres_url() -> String {
    env::var(POSTGRES_URL).unwrap_or_else(|_| of_process().postgres_url())
}
