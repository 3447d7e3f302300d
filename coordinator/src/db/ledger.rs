//! `nstore.ledger`: which chunk's rows are where. Its primary key is what makes a load happen once.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

use chrono::{DateTime, NaiveDate, Utc};
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
#[derive(Clone, Copy)]
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

    /// Corrects the row that [`insert`] made in this transaction.
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
}

/// Chunks of one source's part of a run, for one target, column by column as the statements take them.
struct Columns<'a> {
    target: String,
    first: &'a Entry<'a>,
    chunks: Vec<String>,
    starts: Vec<DateTime<Utc>>,
    ends: Vec<DateTime<Utc>>,
    extracted: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    /// `None` when there is no entry.
    fn of(entries: &'a [Entry<'a>]) -> Option<Self> {
        let first = entries.first()?;
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for entry in entries {
            let instants = entry.instants();
            starts.push(instants.start);
            ends.push(instants.end);
        }
        Some(Self {
            target: first.target.name(),
            first,
            chunks: entries.iter().map(|entry| entry.marker.chunk.range.to_string()).collect(),
            starts,
            ends,
            extracted: entries.iter().map(|entry| entry.marker.started_at).collect(),
        })
    }

    fn source(&self) -> &'a str {
        self.first.marker.chunk.source.as_str()
    }

    fn run(&self) -> &'a str {
        self.first.marker.chunk.run.as_str()
    }
}

/// Inserts the rows of chunks that are of one run, source and target: as loaded, or as superseded for places that
/// `is_superseded` names. Returns the ranges, as texts, of those that had no row and overlap no loaded one of a table
/// without a key.
pub(crate) async fn insert(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
    is_superseded: impl Fn(usize) -> bool,
) -> Result<HashSet<String>, PgError> {
    let Some(columns) = Columns::of(entries) else { return Ok(HashSet::new()) };
    let plan = columns.first.plan;
    let generations: Vec<i32> =
        entries.iter().map(|entry| i32::try_from(entry.marker.generation).unwrap_or(i32::MAX)).collect();
    let superseded: Vec<bool> = (0..entries.len()).map(is_superseded).collect();
    let states: Vec<&str> =
        superseded.iter().map(|superseded| if *superseded { "superseded" } else { "loaded" }).collect();
    let rows: Vec<i64> = entries
        .iter()
        .zip(&superseded)
        .map(|(entry, superseded)| if *superseded { 0 } else { count(entry.rows) })
        .collect();
    let days = entries.iter().map(|entry| entry.marker.chunk.range.touched_days(plan.zone()));
    let (first_days, end_days): (Vec<NaiveDate>, Vec<NaiveDate>) = days.unzip();
    let proof = |entry: &Entry<'_>| entry.marker.committed().and_then(Committed::proof).map(Evidence::name);
    let evidence: Vec<Option<&str>> = entries.iter().map(proof).collect();
    let rows = client
        .query_typed(
            include_str!("sql/ledger_insert.sql"),
            &[
                (&columns.target, Type::TEXT),
                (&columns.source(), Type::TEXT),
                (&columns.run(), Type::TEXT),
                (&plan.upload_mode.to_string(), Type::TEXT),
                (&plan.is_keyless_append(), Type::BOOL),
                (&columns.chunks, Type::TEXT_ARRAY),
                (&generations, Type::INT4_ARRAY),
                (&rows, Type::INT8_ARRAY),
                (&columns.starts, Type::TIMESTAMPTZ_ARRAY),
                (&columns.ends, Type::TIMESTAMPTZ_ARRAY),
                (&first_days, Type::DATE_ARRAY),
                (&end_days, Type::DATE_ARRAY),
                (&columns.extracted, Type::TIMESTAMPTZ_ARRAY),
                (&evidence, Type::TEXT_ARRAY),
                (&states, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The ranges, as texts, of chunks that have a row.
pub(crate) async fn present(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
) -> Result<HashSet<String>, PgError> {
    let Some(first) = entries.first() else { return Ok(HashSet::new()) };
    let ranges: Vec<String> = entries.iter().map(|entry| entry.marker.chunk.range.to_string()).collect();
    let chunk = &first.marker.chunk;
    let rows = of_chunks(client, &chunk.run, &chunk.source, &ranges).await?;
    Ok(rows.iter().map(|row| row.get(1)).collect())
}

/// Which loads count in [`newer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    /// All of the same source.
    OfSource,
    /// Those that delete rows, of any source.
    Deleting,
}

/// Loaded ranges of newer extractions that overlap chunks: by the chunk's place, in order of their starts.
pub(crate) async fn newer(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
    which: Newer,
) -> Result<BTreeMap<usize, Vec<Range<DateTime<Utc>>>>, PgError> {
    let mut found: BTreeMap<usize, Vec<Range<DateTime<Utc>>>> = BTreeMap::new();
    let Some(columns) = Columns::of(entries) else { return Ok(found) };
    let rows = client
        .query_typed(
            include_str!("sql/ledger_newer.sql"),
            &[
                (&columns.target, Type::TEXT),
                (&columns.source(), Type::TEXT),
                (&columns.starts, Type::TIMESTAMPTZ_ARRAY),
                (&columns.ends, Type::TIMESTAMPTZ_ARRAY),
                (&columns.extracted, Type::TIMESTAMPTZ_ARRAY),
                (&(which == Newer::Deleting), Type::BOOL),
            ],
        )
        .await?;
    for row in &rows {
        found.entry(place(row)).or_default().push(row.get(1)..row.get(2));
    }
    Ok(found)
}

/// Other runs that have loaded newer extractions of chunks' ranges, by any mode but replace: by the chunk's place.
pub(crate) async fn newer_of_others(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
) -> Result<BTreeMap<usize, String>, PgError> {
    let Some(columns) = Columns::of(entries) else { return Ok(BTreeMap::new()) };
    let rows = client
        .query_typed(
            include_str!("sql/ledger_newer_others.sql"),
            &[
                (&columns.target, Type::TEXT),
                (&columns.run(), Type::TEXT),
                (&columns.starts, Type::TIMESTAMPTZ_ARRAY),
                (&columns.ends, Type::TIMESTAMPTZ_ARRAY),
                (&columns.extracted, Type::TIMESTAMPTZ_ARRAY),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (place(row), row.get(1))).collect())
}

/// A loaded range that overlaps a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlapping {
    pub(crate) instants: Range<DateTime<Utc>>,
    pub(crate) run: String,
    /// It is of the chunk's own run and source.
    pub(crate) own: bool,
}

/// Loaded ranges that overlap chunks, whatever their mode, but for the chunks' own: by the chunk's place, in order of
/// their starts.
pub(crate) async fn overlapping(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
) -> Result<BTreeMap<usize, Vec<Overlapping>>, PgError> {
    let mut found: BTreeMap<usize, Vec<Overlapping>> = BTreeMap::new();
    let Some(columns) = Columns::of(entries) else { return Ok(found) };
    let rows = client
        .query_typed(
            include_str!("sql/ledger_overlaps.sql"),
            &[
                (&columns.target, Type::TEXT),
                (&columns.source(), Type::TEXT),
                (&columns.run(), Type::TEXT),
                (&columns.chunks, Type::TEXT_ARRAY),
                (&columns.starts, Type::TIMESTAMPTZ_ARRAY),
                (&columns.ends, Type::TIMESTAMPTZ_ARRAY),
            ],
        )
        .await?;
    for row in &rows {
        let overlapping = Overlapping { instants: row.get(1)..row.get(2), run: row.get(3), own: row.get(4) };
        found.entry(place(row)).or_default().push(overlapping);
    }
    Ok(found)
}

/// The place of a chunk among those asked for; `WITH ORDINALITY` counts from 1.
fn place(row: &Row) -> usize {
    usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX)
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

/// The newest extraction that is loaded into some targets.
pub(crate) async fn newest(
    client: &impl GenericClient,
    targets: &[String],
) -> Result<Option<DateTime<Utc>>, PgError> {
    let sql = include_str!("sql/ledger_newest.sql");
    Ok(client.query_typed_one(sql, &[(&targets, Type::TEXT_ARRAY)]).await?.get(0))
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

/// Marks the loads of other runs that touch some days as replaced; `keyless`: only appends without a key.
pub(crate) async fn replace_days(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<NaiveDate>,
    keyless: bool,
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
                (&keyless, Type::BOOL),
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

/// The rows of some chunks of a run, as [`of_run`] has them.
pub(crate) async fn of_chunks(
    client: &impl GenericClient,
    run: &RunId,
    source: &SourceId,
    chunks: &[String],
) -> Result<Vec<Row>, PgError> {
    let (run, source) = (run.as_str(), source.as_str());
    client
        .query_typed(
            include_str!("sql/ledger_of_chunks.sql"),
            &[(&run, Type::TEXT), (&source, Type::TEXT), (&chunks, Type::TEXT_ARRAY)],
        )
        .await
}
