//! Private servers, databases, folders and processes of a test; tests run in parallel and never meet.
//!
//! The servers are those that `testbed` started once for all tests (`NSTORE_TEST_REDIS_URL`,
//! `NSTORE_TEST_POSTGRES_URL`); without them the first test of a process starts its own. A test that harms a server
//! takes one that is its alone: [`own_redis`], [`own_postgres`], and always [`own_s3`]; a [`Proxy`] harms what is on its
//! way to one.

mod careless;
mod clock;
pub mod hosts;
mod pgbouncer;
mod postgres;
pub mod process;
pub mod proxy;
mod redis;
mod redis_group;
mod room;
pub mod s3;
mod scratch;
mod shared;
mod site;
mod tls;

use std::path::PathBuf;

pub use careless::careless_store;
pub use clock::Clock;
pub use pgbouncer::{PgBouncer, pgbouncer};
pub use postgres::{OwnPostgres, Postgres, own_postgres, postgres};
pub use process::{Exit, Process, Running};
pub use proxy::{Fault, Proxy};
pub use redis::{
    COORDINATOR, OwnRedis, Redis, WORKER, add_users, as_user, own_redis, own_redis_with_clock, redis, say,
    try_to_say, users_file,
};
pub use redis_group::{RedisCluster, RedisNode, RedisPair};
pub use room::Room;
pub use s3::{S3, own_s3};
pub use scratch::Scratch;
pub use shared::{POSTGRES_URL, REDIS_URL, Servers};
pub use site::{browsers, copy_config, edit};
pub use tls::{Certificates, Pair, certificates};

/// A name that no other test has: of this process, of another one, of an earlier one.
pub fn unique(word: &str) -> String {
    let millis = chrono::Utc::now().timestamp_millis();
    format!("{word}_{millis:x}_{:x}_{:08x}", std::process::id(), fastrand::u32(..))
}

/// An empty storage of its own.
#[derive(Debug)]
pub struct Storage {
    /// The folder.
    pub dir: PathBuf,
    /// `file:` and the folder, as `NSTORE_STORAGE_URL` takes it.
    pub url: String,
    _scratch: Scratch,
}

/// An empty storage, gone with the handle.
pub fn storage() -> Storage {
    let scratch = Scratch::new("storage");
    let dir = scratch.path().join("storage");
    std::fs::create_dir(&dir).expect("a fresh folder");
    Storage { url: format!("file:{}", dir.display()), dir, _scratch: scratch }
}

/// All that a whole run needs.
#[derive(Debug)]
pub struct TestContext {
    /// A key prefix of its own on a shared Redis.
    pub redis: Redis,
    /// A database of its own on a shared PostgreSQL.
    pub postgres: Postgres,
    /// A storage of its own.
    pub storage: Storage,
    /// Working directory of the processes, for configuration and the like.
    pub dir: PathBuf,
    _scratch: Scratch,
}

impl TestContext {
    /// On the shared servers.
    pub async fn new() -> Self {
        let scratch = Scratch::new("context");
        let dir = scratch.path().to_owned();
        Self { redis: redis(), postgres: postgres().await, storage: storage(), dir, _scratch: scratch }
    }

    /// Where this context's processes look for their configuration; the test makes it.
    pub fn config_dir(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// A binary of this workspace, in this context's environment and directory: `nstore`, `nstore-worker`.
    pub fn process(&self, binary: &str) -> Process {
        let worker = binary.starts_with("nstore-worker");
        let redis_url = if worker { &self.redis.worker_url } else { &self.redis.url };
        Process::new(binary)
            .dir(&self.dir)
            .env("NSTORE_CONFIG", self.config_dir())
            .env("NSTORE_REDIS_URL", redis_url)
            .env("NSTORE_REDIS_PREFIX", &self.redis.prefix)
            .env("NSTORE_POSTGRES_URL", &self.postgres.url)
            .env("NSTORE_STORAGE_URL", &self.storage.url)
    }
}
