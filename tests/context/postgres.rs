//! A test's part of a PostgreSQL.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    time::Duration,
};

use nstore::local::{PostgresOptions, PostgresServer};
use tokio_postgres::{Client, NoTls};

use super::{Pair, Scratch, shared, unique};

/// The shipped roles, which tests work under.
const ROLES: &str = include_str!("../../deploy/postgres/roles.sql");

/// A database of its own.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// `postgres://user:password@host:port/database`, as the shipped role of the loader.
    pub url: String,
    /// As the shipped role of those who only read.
    pub analyst_url: String,
    admin_url: String,
}

impl Postgres {
    /// A connection to it, as the loader.
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }

    /// A connection to it, as the server's superuser.
    pub async fn admin(&self) -> Client {
        connect(&self.admin_url).await
    }

    /// A connection to it, as one who only reads.
    pub async fn analyst(&self) -> Client {
        connect(&self.analyst_url).await
    }
}

/// A fresh, empty database on the shared PostgreSQL; it goes with the server.
pub async fn postgres() -> Postgres {
    fresh_database(&shared::postgres_url()).await
}

async fn fresh_database(server: &str) -> Postgres {
    let name = unique("test");
    let (_, address) = server.split_once('@').expect("a URL with a user");
    let (address, _) = address.rsplit_once('/').expect("a URL with a database");
    let (before, _) = server.rsplit_once('/').expect("a URL with a database");
    let url = |role: &str| format!("postgres://nstore_{role}:{role}@{address}/{name}");
    let fresh =
        Postgres { url: url("loader"), analyst_url: url("analyst"), admin_url: format!("{before}/{name}") };
    let whole = connect(server).await;
    whole.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a fresh database");
    // roles belong to the whole server: one test at a time makes them, up to the end of this connection
    whole.batch_execute("SELECT pg_advisory_lock(0)").await.expect("a lock");
    let passwords = ["loader", "analyst"].map(|role| format!("ALTER ROLE nstore_{role} PASSWORD '{role}';"));
    fresh.admin().await.batch_execute(&(ROLES.to_owned() + &passwords.concat())).await.expect("roles");
    fresh
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

    /// From now on it shows this certificate to those who ask for TLS.
    pub async fn speak_tls(&self, pair: &Pair) {
        self.keep(&pair.cert, "server.crt");
        self.keep(&pair.key, "server.key");
        self.set("ssl = on").await;
    }

    /// Takes connections over TCP only with TLS and with a certificate that this authority signed.
    pub async fn ask_for_certificates(&self, authority: &Path) {
        self.keep(authority, "ca.crt");
        // before: a server that is just reading its settings reads the rules after them, and they let this one in no more
        let client = self.client().await;
        let file = self.server.dir().join("data/pg_hba.conf");
        fs::write(file, "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n")
            .expect("its rules");
        set(&client, "ssl_ca_file = 'ca.crt'").await;
    }

    /// Changes a setting of the running server.
    pub async fn set(&self, setting: &str) {
        set(&self.client().await, setting).await;
    }

    /// Copies a file into its data directory, as its own.
    fn keep(&self, file: &Path, name: &str) {
        let data = self.server.dir().join("data");
        let owner = fs::metadata(&data).expect("its data directory");
        let path = data.join(name);
        fs::copy(file, &path).expect("a file of ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        chown(path, Some(owner.uid()), Some(owner.gid())).expect("the right to give it away");
    }
}

async fn set(client: &Client, setting: &str) {
    let loaded = "SELECT pg_conf_load_time()::text";
    let before: String = client.query_one(loaded, &[]).await.expect("a time").get(0);
    client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.expect("a setting");
    client.batch_execute("SELECT pg_reload_conf()").await.expect("a superuser");
    // each session reads it by itself; the server has once this one has
    while client.query_one(loaded, &[]).await.expect("a time").get::<_, String>(0) == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
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
