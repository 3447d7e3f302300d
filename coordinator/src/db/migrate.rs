//! The schema `nstore`: made and brought up to date at each connect, by one process at a time.

use refinery_core::{
    AsyncMigrate, Migration, Runner,
    error::Kind,
    traits::r#async::{AsyncQuery, AsyncTransaction},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_postgres::{Client, Error as PgError, Row, Transaction};

use super::{CONNECT_TIMEOUT, DbError, GREETING_TIMEOUT, address::Address};

/// Where refinery keeps what it has applied.
const HISTORY: &str = "nstore.migrations";

/// What is being done when a statement fails.
const DOING: &str = "preparing the schema nstore";

/// The SQLSTATE of a lock that was not got in time.
const LOCK_NOT_GOT: &str = "55P03";

/// All migrations, in order; each is applied once and never changed after.
const MIGRATIONS: [(&str, &str); 4] = [
    ("V1__ledger", include_str!("migrations/V1__ledger.sql")),
    ("V2__rejects", include_str!("migrations/V2__rejects.sql")),
    ("V3__evidence", include_str!("migrations/V3__evidence.sql")),
    ("V4__spans", include_str!("migrations/V4__spans.sql")),
];

/// Connects outside the pool and applies what is missing.
pub(super) async fn run(address: &Address) -> Result<(), DbError> {
    let config = address.config(CONNECT_TIMEOUT);
    let (mut client, connection) = tokio::time::timeout(GREETING_TIMEOUT, address.open(&config))
        .await
        .map_err(|_| address.silent(GREETING_TIMEOUT))?
        .map_err(|e| address.refused(&e))?;
    let migrated = migrate(&mut client).await;
    drop(client);
    let _ = connection.await;
    migrated
}

/// Under a lock, in one transaction: all of it or nothing. A lock of the session would stay behind on the
/// server's side of a pooler.
async fn migrate(client: &mut Client) -> Result<(), DbError> {
    let tx = client.transaction().await.map_err(failed)?;
    tx.batch_execute(include_str!("sql/migrations_begin.sql")).await.map_err(|e| match failed(e) {
        DbError::Query { doing, code, may_pass, .. } if code.as_deref() == Some(LOCK_NOT_GOT) => {
            let reason = "another nstore is migrating it and does not come to an end; try again".to_owned();
            DbError::Query { doing, reason, code, may_pass }
        }
        other => other,
    })?;
    let exists = tx.query_typed_one(include_str!("sql/schema_exists.sql"), &[]).await.map_err(failed)?;
    if !exists.get::<_, bool>(0) {
        tx.batch_execute(include_str!("sql/schema_make.sql")).await.map_err(failed)?;
    }
    let migrations: Result<Vec<Migration>, refinery_core::Error> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations.map_err(refused)?).set_abort_divergent(true);
    runner.set_migration_table_name(HISTORY);
    runner.run_async(&mut Step(&tx)).await.map_err(refused)?;
    tx.commit().await.map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn failed(e: PgError) -> DbError {
    DbError::query(DOING, &e)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn refused(e: refinery_core::Error) -> DbError {
    if let Kind::Connection(step, cause) = e.kind()
        && let Some(DbError::Query { reason, code, may_pass, .. }) = cause.downcast_ref()
    {
        let reason = format!("{step}: {reason}");
        return DbError::Query { doing: DOING.into(), reason, code: code.clone(), may_pass: *may_pass };
    }
    odd(e.to_string())
}

fn odd(reason: String) -> DbError {
    DbError::Query { doing: DOING.into(), reason, code: None, may_pass: false }
}

/// Applies migrations within a transaction that is open already.
struct Step<'a>(&'a Transaction<'a>);

impl AsyncTransaction for Step<'_> {
    type Error = DbError;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        statements: T,
    ) -> Result<usize, DbError> {
        let mut count = 0;
        for statement in statements {
            self.0.batch_execute(statement).await.map_err(failed)?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Step<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, DbError> {
        let rows = self.0.query_typed(query, &[]).await.map_err(failed)?;
        rows.iter().map(applied).collect()
    }
}

impl AsyncMigrate for Step<'_> {}

/// A row of the history: version, name, time, checksum.
fn applied(row: &Row) -> Result<Migration, DbError> {
    let strange = |e: &dyn std::fmt::Display| odd(format!("{HISTORY} holds a row that cannot be read: {e}"));
    let (time, checksum): (&str, &str) = (row.get(2), row.get(3));
    let time = OffsetDateTime::parse(time, &Rfc3339).map_err(|e| strange(&e))?;
    let checksum = checksum.parse().map_err(|e| strange(&e))?;
    Ok(Migration::applied(row.get(0), row.get(1), time, checksum))
}
