//! The schema `nstore`: made and brought up to date at each connect, by one process at a time.

use refinery::{Migration, Runner};
use tokio_postgres::{Client, NoTls};

use super::{CONNECT_TIMEOUT, DbError, GREETING_TIMEOUT, address::Address};

/// Where refinery keeps what it has applied.
const HISTORY: &str = "nstore.migrations";

/// The SQLSTATE of a lock that was not got in time.
const LOCK_NOT_GOT: &str = "55P03";

/// All migrations, in order; each is applied once and never changed after.
const MIGRATIONS: [(&str, &str); 1] = [("V1__ledger", include_str!("migrations/V1__ledger.sql"))];

/// Connects outside the pool, takes the lock, applies what is missing.
pub(super) async fn run(address: &Address) -> Result<(), DbError> {
    let config = address.config(CONNECT_TIMEOUT);
    let (mut client, connection) = tokio::time::timeout(GREETING_TIMEOUT, config.connect(NoTls))
        .await
        .map_err(|_| address.silent(GREETING_TIMEOUT))?
        .map_err(|e| address.refused(&e))?;
    let connection = tokio::spawn(connection);
    let migrated = migrate(&mut client).await;
    // ends the session, and with it the lock
    drop(client);
    let _ = connection.await;
    migrated
}

async fn migrate(client: &mut Client) -> Result<(), DbError> {
    let failed = |e: tokio_postgres::Error| DbError::query("preparing the schema nstore", &e);
    client.batch_execute(include_str!("sql/migrations_begin.sql")).await.map_err(|e| match failed(e) {
        DbError::Query { doing, code, may_pass, .. } if code.as_deref() == Some(LOCK_NOT_GOT) => {
            let reason = "another nstore is migrating it and does not come to an end; try again".to_owned();
            DbError::Query { doing, reason, code, may_pass }
        }
        other => other,
    })?;
    let exists =
        client.query_one(include_str!("sql/schema_exists.sql"), &[&"nstore"]).await.map_err(failed)?;
    if !exists.get::<_, bool>(0) {
        client.batch_execute(include_str!("sql/schema_make.sql")).await.map_err(failed)?;
    }
    let refused = |e: refinery::Error| DbError::Query {
        doing: "a migration of the schema nstore".into(),
        reason: e.to_string(),
        code: None,
        may_pass: false,
    };
    let migrations: Result<Vec<Migration>, refinery::Error> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations.map_err(refused)?).set_abort_divergent(true);
    runner.set_migration_table_name(HISTORY);
    runner.run_async(client).await.map(drop).map_err(refused)
}
