//! `nstore.rejects`: rows of loaded chunks that did not fit their mapping.

use nstore_shared::chunk::Chunk;
use tokio_postgres::{Error as PgError, GenericClient, types::Type};

use super::ident::Target;

/// Rejected rows, column by column; the columns are equally long.
#[derive(Debug, Default)]
pub(crate) struct RejectRows {
    /// Lines of the file, from 1.
    pub(crate) lines: Vec<i32>,
    pub(crate) reasons: Vec<String>,
    pub(crate) records: Vec<String>,
}

/// Puts a chunk's rows in; those that are there already stay.
pub(crate) async fn put(
    client: &impl GenericClient,
    target: &Target,
    chunk: &Chunk,
    rows: &RejectRows,
) -> Result<(), PgError> {
    let put = include_str!("sql/rejects_put.sql");
    client
        .execute_typed(
            put,
            &[
                (&target.name(), Type::TEXT),
                (&chunk.source.as_str(), Type::TEXT),
                (&chunk.run.as_str(), Type::TEXT),
                (&chunk.range.to_string(), Type::TEXT),
                (&rows.lines, Type::INT4_ARRAY),
                (&rows.reasons, Type::TEXT_ARRAY),
                (&rows.records, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map(drop)
}
