//! `nstore.ledger`: which chunk's rows are where. Its primary key is what makes a load happen once.

use std::ops::Range;

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{RunId, SourceId},
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Committed, Evidence, Marker},
    },
};
use tokio_postgres::{Error as PgError, GenericClient, Row, types::Type};

use super::ident::Target;

/// A chunk that is about to be loaded, as the ledger keeps it.
pub(crate) struct Entry<'a> {
    pub(crate) target: &'a Target,
    pub(crate) plan: &'a SourcePlan,
    pub(crate) marker: &'a Marker,
    pub(crate) rows: u64,
}

/// What became of a chunk, for [`Entry::settle`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Rows that went in.
    pub(crate) rows: u64,
    /// Rows that were present with equal values.
    pub(crate) skipped: u64,
    /// Rows that were present with other values, from an earlier run.
    pub(crate) changed: u64,
    /// Rows that the table refused.
    pub(crate) rejected: u64,
    /// Rows that took a default of the table.
    pub(crate) defaulted: u64,
    /// Transaction ids that the inserted rows carry besides that of the transaction itself.
    pub(crate) xids: Vec<i64>,
}

impl Entry<'_> {
    /// The chunk's resolved instants.
    pub(crate) fn instants(&self) -> Range<DateTime<Utc>> {
        let (start, end) = self.marker.chunk.range.instants(self.plan.zone());
        start..end
    }

    /// Inserts the row; false when one stands already.
    pub(crate) async fn insert(&self, client: &impl GenericClient) -> Result<bool, PgError> {
        let insert = include_str!("sql/ledger_insert.sql");
        let chunk = &self.marker.chunk;
        let (first_day, end_day) = chunk.range.touched_days(self.plan.zone());
        let instants = self.instants();
        let evidence = self.marker.committed().and_then(Committed::proof).map(Evidence::name);
        let inserted = client
            .execute_typed(
                insert,
                &[
                    (&self.target.name(), Type::TEXT),
                    (&chunk.source.as_str(), Type::TEXT),
                    (&chunk.run.as_str(), Type::TEXT),
                    (&chunk.range.to_string(), Type::TEXT),
                    (&self.plan.upload_mode.to_string(), Type::TEXT),
                    (&i32::try_from(self.marker.generation).unwrap_or(i32::MAX), Type::INT4),
                    (&count(self.rows), Type::INT8),
                    (&instants.start, Type::TIMESTAMPTZ),
                    (&instants.end, Type::TIMESTAMPTZ),
                    (&first_day, Type::DATE),
                    (&end_day, Type::DATE),
                    (&self.marker.started_at, Type::TIMESTAMPTZ),
                    (&evidence, Type::TEXT),
                ],
            )
            .await?;
        Ok(inserted == 1)
    }

    /// Corrects the row that [`Entry::insert`] made in this transaction.
    pub(crate) async fn settle(
        &self,
        client: &impl GenericClient,
        state: &str,
        settled: &Settled,
    ) -> Result<(), PgError> {
        let chunk = &self.marker.chunk;
        let key = (chunk.source.as_str(), chunk.run.as_str(), chunk.range.to_string());
        let settle = include_str!("sql/ledger_settle.sql");
        client
            .execute_typed(
                settle,
                &[
                    (&self.target.name(), Type::TEXT),
                    (&key.0, Type::TEXT),
                    (&key.1, Type::TEXT),
                    (&key.2, Type::TEXT),
                    (&state, Type::TEXT),
                    (&count(settled.rows), Type::INT8),
                    (&count(settled.skipped), Type::INT8),
                    (&count(settled.changed), Type::INT8),
                    (&count(settled.rejected), Type::INT8),
                    (&count(settled.defaulted), Type::INT8),
                    (&settled.xids, Type::INT8_ARRAY),
                ],
            )
            .await
            .map(drop)
    }

    /// Loaded ranges of newer extractions that overlap the chunk, by start.
    pub(crate) async fn newer(
        &self,
        client: &impl GenericClient,
    ) -> Result<Vec<Range<DateTime<Utc>>>, PgError> {
        let newer = include_str!("sql/ledger_newer.sql");
        let instants = self.instants();
        let rows = client
            .query_typed(
                newer,
                &[
                    (&self.target.name(), Type::TEXT),
                    (&self.marker.chunk.source.as_str(), Type::TEXT),
                    (&instants.start, Type::TIMESTAMPTZ),
                    (&instants.end, Type::TIMESTAMPTZ),
                    (&self.marker.started_at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)..row.get(1)).collect())
    }

    /// Another run that has loaded newer extractions of the chunk's range, by any mode but replace.
    pub(crate) async fn newer_of_others(
        &self,
        client: &impl GenericClient,
    ) -> Result<Option<String>, PgError> {
        let newer = include_str!("sql/ledger_newer_others.sql");
        let (run, instants) = (self.marker.chunk.run.as_str(), self.instants());
        let row = client
            .query_typed_opt(
                newer,
                &[
                    (&self.target.name(), Type::TEXT),
                    (&run, Type::TEXT),
                    (&instants.start, Type::TIMESTAMPTZ),
                    (&instants.end, Type::TIMESTAMPTZ),
                    (&self.marker.started_at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        Ok(row.map(|row| row.get(0)))
    }
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The transaction ids that rows carry which a run has loaded into a target.
pub(crate) async fn xids(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<Vec<i64>, PgError> {
    let sql = include_str!("sql/ledger_xids.sql");
    let rows = client.query_typed(sql, &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A run that was asked for later and has replaced the whole table already.
pub(crate) async fn newer_replace(
    client: &impl GenericClient,
    target: &Target,
    manifest: &Manifest,
) -> Result<Option<String>, PgError> {
    let sql = include_str!("sql/ledger_newer_replace.sql");
    let row = client
        .query_typed_opt(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&manifest.created_at, Type::TIMESTAMPTZ),
                (&manifest.run.as_str(), Type::TEXT),
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Marks all loads of a target as replaced but those of one run and source.
pub(crate) async fn replace_others(
    client: &impl GenericClient,
    target: &Target,
    keep: (&RunId, &SourceId),
) -> Result<(), PgError> {
    let sql = include_str!("sql/ledger_replace_others.sql");
    client
        .execute_typed(
            sql,
            &[(&target.name(), Type::TEXT), (&keep.0.as_str(), Type::TEXT), (&keep.1.as_str(), Type::TEXT)],
        )
        .await
        .map(drop)
}

/// Marks the loads of other runs that touch some days as replaced.
pub(crate) async fn replace_days(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<chrono::NaiveDate>,
) -> Result<(), PgError> {
    let sql = include_str!("sql/ledger_replace_days.sql");
    client
        .execute_typed(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&run.as_str(), Type::TEXT),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await
        .map(drop)
}

/// All rows of a run: source, chunk, state, rows, skipped, generation, loaded at, evidence, and the rows that were
/// changed, rejected and defaulted.
pub(crate) async fn of_run(client: &impl GenericClient, run: &RunId) -> Result<Vec<Row>, PgError> {
    client.query_typed(include_str!("sql/ledger_of_run.sql"), &[(&run.as_str(), Type::TEXT)]).await
}
