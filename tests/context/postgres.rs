//! A test's part of a PostgreSQL.

use nstore::local::{PostgresOptions, PostgresServer};
use tokio_postgres::{Client, NoTls};

use super::{Scratch, shared, unique};

/// A database of its own.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
}

impl Postgres {
    /// A connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

/// A fresh, empty database on the shared PostgreSQL; it goes with the server.
pub async fn postgres() -> Postgres {
    fresh_database(&shared::postgres_url()).await
}

async fn fresh_database(server: &str) -> Postgres {
    let name = unique("test");
    connect(server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a fresh database");
    let (host, _) = server.rsplit_once('/').expect("a URL with a database");
    Postgres { url: format!("{host}/{name}") }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a running postgres");
    // ends with an error when its server is killed, which is what the test wants to see from the client
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// A PostgreSQL that belongs to one test.
#[derive(Debug)]
pub struct OwnPostgres {
    /// To kill and restart.
    pub server: PostgresServer,
    _scratch: Scratch,
}

impl OwnPostgres {
    /// Its database; stays the same over restarts.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.url()).await
    }
}

/// Starts a PostgreSQL for one test alone, which keeps what was committed when it is killed.
pub fn own_postgres() -> OwnPostgres {
    let scratch = Scratch::new("postgres");
    let dir = scratch.path().join("postgres");
    // a killed process loses nothing that the kernel has, so the disk need not be waited for
    let server = PostgresServer::start(&PostgresOptions { fsync: false, ..PostgresOptions::new(dir) })
        .expect("a private postgres");
    OwnPostgres { server, _scratch: scratch }
}
