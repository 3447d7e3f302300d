//! `nstore.fields`: columns whose field was in some record that was loaded.

use nstore_shared::chunk::Chunk;
use tokio_postgres::{Error as PgError, GenericClient, types::Type};

use super::ident::Target;

/// A column whose field was seen, and where first.
pub(crate) struct KnownField {
    pub(crate) column: String,
    pub(crate) run: String,
    pub(crate) chunk: String,
}

/// The columns of a source and target whose field was seen.
pub(crate) async fn known(
    client: &impl GenericClient,
    target: &Target,
    source: &str,
) -> Result<Vec<KnownField>, PgError> {
    let known = include_str!("sql/fields_known.sql");
    let rows = client.query_typed(known, &[(&target.name(), Type::TEXT), (&source, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| KnownField { column: row.get(0), run: row.get(1), chunk: row.get(2) }).collect())
}

/// Records columns whose field some record of a chunk has; those that are known stay as they are.
pub(crate) async fn put(
    client: &impl GenericClient,
    target: &Target,
    chunk: &Chunk,
    columns: &[&str],
) -> Result<(), PgError> {
    client
        .execute_typed(
            include_str!("sql/fields_put.sql"),
            &[
                (&target.name(), Type::TEXT),
                (&chunk.source.as_str(), Type::TEXT),
                (&chunk.run.as_str(), Type::TEXT),
                (&chunk.range.to_string(), Type::TEXT),
                (&columns, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map(drop)
}
