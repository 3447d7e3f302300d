//! `nstore.load_failures`: chunks whose rows a table refused.

use nstore_shared::chunk::{Chunk, RunId, SourceId};
use tokio_postgres::{
    Error as PgError, GenericClient, Row,
    types::{ToSql, Type},
};

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
    let values: [&(dyn ToSql + Sync); 6] = [&run, &source, &range, &target, &error, &line];
    client.execute_typed(put, &values.map(|value| (value, Type::TEXT))).await.map(drop)
}

/// Forgets the refusals of chunks that are loaded now.
pub(crate) async fn clear(
    client: &impl GenericClient,
    run: &RunId,
    source: &SourceId,
    chunks: &[String],
) -> Result<(), PgError> {
    let clear = include_str!("sql/failure_clear.sql");
    let (run, source) = (run.as_str(), source.as_str());
    client
        .execute_typed(clear, &[(&run, Type::TEXT), (&source, Type::TEXT), (&chunks, Type::TEXT_ARRAY)])
        .await
        .map(drop)
}

/// The refusals of some chunks of a run, as [`of_run`] has them.
pub(crate) async fn of_chunks(
    client: &impl GenericClient,
    run: &RunId,
    source: &SourceId,
    chunks: &[String],
) -> Result<Vec<Row>, PgError> {
    let (run, source) = (run.as_str(), source.as_str());
    client
        .query_typed(
            include_str!("sql/failures_of_chunks.sql"),
            &[(&run, Type::TEXT), (&source, Type::TEXT), (&chunks, Type::TEXT_ARRAY)],
        )
        .await
}

/// Forgets the refusals of a run, so that it is tried again.
pub(crate) async fn clear_run(client: &impl GenericClient, run: &RunId) -> Result<(), PgError> {
    let clear = include_str!("sql/failures_clear_run.sql");
    client.execute_typed(clear, &[(&run.as_str(), Type::TEXT)]).await.map(drop)
}

/// The refusals of a run: source, chunk, error, line.
pub(crate) async fn of_run(client: &impl GenericClient, run: &RunId) -> Result<Vec<Row>, PgError> {
    client.query_typed(include_str!("sql/failures_of_run.sql"), &[(&run.as_str(), Type::TEXT)]).await
}
