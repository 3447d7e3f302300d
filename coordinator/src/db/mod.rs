//! The Postgres room: connections, migrations, and what stands in the schema `nstore`.
//!
//! - [`error`]: what goes wrong, and whether it may pass
//! - `address`: a libpq URL, checked; `params`: what it says beside the address; `tls`: whom to trust
//! - `ident`: the one place where a name becomes part of a statement
//! - `migrate`: the schema `nstore` itself
//! - `locks`, `session`: how a transaction of ours begins
//! - `ledger`, `targets`, `days`, `failures`, `fields`, `rejects`, `tables`, `partitions`: rows in and out, by statements in `sql/`

use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};

mod address;
pub(crate) mod days;
pub mod error;
pub(crate) mod failures;
pub(crate) mod fields;
pub(crate) mod ident;
pub(crate) mod ledger;
pub(crate) mod locks;
mod migrate;
mod params;
pub(crate) mod partitions;
pub(crate) mod rejects;
pub(crate) mod session;
pub(crate) mod tables;
pub(crate) mod targets;
mod tls;

pub use error::DbError;

use address::Address;
use ident::{Ident, Target};

/// Connections that one process may hold.
const POOL_SIZE: usize = 8;
/// Until a server that takes no connection counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until a server that takes the connection and says nothing counts as away.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// One Postgres database with the schema `nstore` in it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    address: Address,
    schema: Ident,
}

/// What a look at the server tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// `15.14 (Debian 15.14-0+deb12u1)`.
    pub version: String,
    /// How long one question took.
    pub latency: Duration,
}

impl Db {
    /// Connects, and brings the schema `nstore` up to date. `schema` is that of the target tables.
    ///
    /// # Errors
    /// When the URL cannot be used, nobody answers there, the server refuses, or a migration fails.
    pub async fn connect(url: &str, schema: &str) -> Result<Self, DbError> {
        let db = Self::look(url, schema)?;
        migrate::run(&db.address).await?;
        Ok(db)
    }

    /// Like [`Db::connect`], but changes nothing, and connects when it is first asked: for a look at the server.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn look(url: &str, schema: &str) -> Result<Self, DbError> {
        let schema = Ident::new(schema)?;
        let address = Address::parse(url)?;
        // a server that became a standby keeps its connections, and would refuse every load on them
        let again = RecyclingMethod::Custom(include_str!("sql/still_writable.sql").to_owned());
        let manager = Manager::from_connect(
            address.config(CONNECT_TIMEOUT),
            address.clone(),
            ManagerConfig { recycling_method: again },
        );
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(GREETING_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .build()
            .map_err(|e| DbError::Url { reason: e.to_string() })?;
        Ok(Self { pool, address, schema })
    }

    /// Asks the server for its version.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn check(&self) -> Result<ServerFacts, DbError> {
        let client = self.client().await?;
        let started = Instant::now();
        let row = client
            .query_typed_one(include_str!("sql/server_facts.sql"), &[])
            .await
            .map_err(|e| DbError::query("the question for the server's version", &e))?;
        Ok(ServerFacts { version: row.get(0), latency: started.elapsed() })
    }

    /// A connection; it goes back by itself.
    pub(crate) async fn client(&self) -> Result<Object, DbError> {
        self.pool.get().await.map_err(|e| match e {
            PoolError::Backend(e) => self.address.refused(&e),
            PoolError::Timeout(_) => self.address.silent(GREETING_TIMEOUT),
            other => DbError::Query {
                doing: "taking a connection".into(),
                reason: other.to_string(),
                code: None,
                may_pass: true,
            },
        })
    }

    /// A target table in the schema.
    pub(crate) fn target(&self, table: &str) -> Result<Target, DbError> {
        Ok(Target::new(self.schema.clone(), Ident::new(table)?))
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("address", &self.address).field("schema", &self.schema).finish()
    }
}
