//! How a transaction of ours begins.

use std::time::Duration;

use tokio_postgres::{Client, Error as PgError, Transaction};

/// Begins a transaction that waits at most so long for each lock.
///
/// What a load's correctness depends on is set here, whatever the server, the database or the role has as a default.
pub(crate) async fn begin(client: &mut Client, lock_timeout: Duration) -> Result<Transaction<'_>, PgError> {
    let tx = client.transaction().await?;
    let limit = format!("SET LOCAL lock_timeout = {};", lock_timeout.as_millis());
    tx.batch_execute(&(limit + include_str!("sql/session.sql"))).await?;
    Ok(tx)
}
