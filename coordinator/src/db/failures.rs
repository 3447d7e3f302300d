//! `nstore.load_failures`: chunks whose rows a table refused.

use deadpool_postgres::GenericClient;
use nstore_shared::chunk::{Chunk, RunId};
use tokio_postgres::{Error as PgError, Row};

/// Records a refusal; a later one of the same chunk takes its place.
pub(crate) async fn put(
    client: &impl GenericClient,
    chunk: &Chunk,
    target: &str,
    error: &str,
    line: Option<&str>,
) -> Result<(), PgError> {
    let (run, source, range) = (chunk.run.as_str(), chunk.source.as_str(), chunk.range.to_string());
    let put = include_str!("sql/failure_put.sql");
    client.execute(put, &[&run, &source, &range, &target, &error, &line]).await.map(drop)
}

/// Forgets the refusal of a chunk that is loaded now.
pub(crate) async fn clear(client: &impl GenericClient, chunk: &Chunk) -> Result<(), PgError> {
    let (run, source, range) = (chunk.run.as_str(), chunk.source.as_str(), chunk.range.to_string());
    let clear = client.prepare_cached(include_str!("sql/failure_clear.sql")).await?;
    client.execute(&clear, &[&run, &source, &range]).await.map(drop)
}

/// Forgets the refusals of a run, so that it is tried again.
pub(crate) async fn clear_run(client: &impl GenericClient, run: &RunId) -> Result<(), PgError> {
    client.execute(include_str!("sql/failures_clear_run.sql"), &[&run.as_str()]).await.map(drop)
}

/// The refusals of a run: source, chunk, error, line.
pub(crate) async fn of_run(client: &impl GenericClient, run: &RunId) -> Result<Vec<Row>, PgError> {
    client.query(include_str!("sql/failures_of_run.sql"), &[&run.as_str()]).await
}
