//! A chunk that COPY alone cannot bring in: its rows wait in a table beside the target, are compared with those that
//! are present, get the table's defaults, and are put in; those that the table refuses are found one by one.

use nstore_shared::storage::{
    Storage,
    marker::{Committed, Marker},
};
use tokio_postgres::Transaction;

use super::{
    LoadCounts, copy, keep,
    sift::{self, Limit, RefusedRow},
    stage::{Stage, drop_stage},
    stop::Stop,
    unique::{self, Present},
};
use crate::db::{
    ledger::{Entry, Settled},
    rejects::{self, RejectRows},
    tables,
};

/// What a row of the target with the key of a chunk's row is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The ledger tells which rows are of this run.
    ByLedger,
    /// All rows of the table are of this run.
    ThisRun,
    /// As before; of the chunk at this place, rows that the table has were found and stay, see [`keep`].
    Kept(usize),
}

/// Brings a chunk's rows in by way of staging.
///
/// In the transaction of the load: what is done here is undone with it.
pub(super) async fn load(
    storage: &Storage,
    tx: &Transaction<'_>,
    entry: &Entry<'_>,
    committed: &Committed,
    origin: Origin,
) -> Result<(LoadCounts, Settled), Stop> {
    if tables::no_temp(tx).await?.is_some() {
        return Err(Stop::NoStaging);
    }
    let Some(table) = tables::table(tx, entry.target).await? else {
        return Err(super::stop::recreated(entry.target).into());
    };
    // a constraint that waits for COMMIT could not be told from row to row
    tx.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let stage = Stage::describe(entry, &table, committed)?;
    let limit = Limit::of(entry, committed);
    let (mut refused, mut counts) = (Vec::new(), LoadCounts::default());
    stage.fill(storage, tx, entry.marker, committed, &limit, &mut refused).await?;
    if limit.exceeded(refused.len()) {
        return Err(Samples::read(storage, entry.marker, committed, &refused, &[])
            .await?
            .too_many(&refused, &limit));
    }
    if let Origin::Kept(place) = origin {
        counts.skipped += keep::leave_out(tx, &stage, place).await?;
    }
    let mut xids = Vec::new();
    if stage.keyed() {
        let twice = unique::within(tx, &stage).await;
        counts.skipped += said(storage, entry.marker, committed, twice).await?;
        let present = unique::present(tx, &stage, entry, origin).await;
        let present: Present = said(storage, entry.marker, committed, present).await?;
        counts.skipped += present.equal;
        counts.changed = present.changed;
    }
    let (defaulted, all_defaulted) = stage.defaulted(tx).await?;
    let waiting = stage.waiting(tx).await?;
    let before = refused.len();
    let inserted = sift::insert(tx, &stage.insert(), stage.lines(tx).await?, &limit, &mut refused).await?;
    let newly = (refused.len() - before) as u64;
    let rows = Samples::read(storage, entry.marker, committed, &refused, &defaulted).await?;
    if limit.exceeded(refused.len()) {
        return Err(rows.too_many(&refused, &limit));
    }
    if inserted + newly != waiting {
        return Err(unique::lost(tx, &stage, waiting - newly, inserted).await?);
    }
    if stage.keyed() && origin == Origin::ByLedger {
        xids = unique::xids(tx, &stage).await?;
    }
    (counts.rows, counts.rejected) = (inserted, refused.len() as u64);
    counts.defaulted = all_defaulted;
    rows.note(&refused, &defaulted, &mut counts);
    keep(tx, entry, committed, &refused, &rows).await?;
    drop_stage(tx).await?;
    let settled = Settled {
        rows: counts.rows,
        skipped: counts.skipped,
        changed: counts.changed,
        rejected: counts.rejected,
        defaulted: counts.defaulted,
        xids,
    };
    Ok((counts, settled))
}

/// A comparison's result; a key that is not unique ends the load, with the rows as the artifact has them.
async fn said<T>(
    storage: &Storage,
    marker: &Marker,
    committed: &Committed,
    found: Result<T, unique::Found>,
) -> Result<T, Stop> {
    match found {
        Ok(value) => Ok(value),
        Err(unique::Found::Stop(stop)) => Err(stop),
        Err(unique::Found::Conflict { text, lines }) => {
            let rows = copy::records(storage, marker, committed, &lines).await?;
            let shown: Vec<String> = rows.values().map(|row| format!("`{row}`")).collect();
            Err(Stop::Refused { error: format!("{text}: {}", shown.join(" and ")), row: None })
        }
    }
}

/// How many rows took the default of a column, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defaulted {
    pub(super) column: String,
    pub(super) default: String,
    pub(super) rows: u64,
    pub(super) first: u64,
}

/// Rows as the artifact has them, by their number.
struct Samples(std::collections::BTreeMap<u64, String>);

impl Samples {
    async fn read(
        storage: &Storage,
        marker: &Marker,
        committed: &Committed,
        refused: &[RefusedRow],
        defaulted: &[Defaulted],
    ) -> Result<Self, Stop> {
        let lines: Vec<u64> = refused
            .iter()
            .map(|row| row.line)
            .chain(defaulted.iter().map(|column| column.first))
            .take(KEPT_ROWS)
            .collect();
        Ok(Self(copy::records(storage, marker, committed, &lines).await?))
    }

    fn row(&self, line: u64) -> Option<&str> {
        self.0.get(&line).map(String::as_str)
    }

    /// More rows are refused than the mapping allows.
    fn too_many(&self, refused: &[RefusedRow], limit: &Limit) -> Stop {
        let Some(first) = refused.first() else {
            return Stop::Refused { error: "the table refuses rows".into(), row: None };
        };
        let error = format!(
            "{}; {limit}: correct the table or the source, or raise `rejects.allow` in the mapping",
            first.reason
        );
        Stop::Refused { error, row: self.row(first.line).map(str::to_owned) }
    }

    /// What people should know of a load that went well.
    fn note(&self, refused: &[RefusedRow], defaulted: &[Defaulted], counts: &mut LoadCounts) {
        let sample = |line| self.row(line).map_or_else(String::new, |row| format!(", such as: {row}"));
        for column in defaulted {
            let (Defaulted { column, default, rows, .. }, sample) = (column, sample(column.first));
            counts.notes.push(format!(
                "column `{column}`: {} without a value took the table's default {default}{sample}",
                counted(*rows)
            ));
        }
        if let Some(first) = refused.first() {
            let (rows, sample) = (counted(refused.len() as u64), sample(first.line));
            counts
                .notes
                .push(format!("the table refused {rows}, see nstore.rejects: {}{sample}", first.reason));
        }
    }
}

/// `1 row`, `2 rows`.
fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".into() } else { format!("{rows} rows") }
}

/// Refused rows of one chunk that go into `nstore.rejects`.
const KEPT_ROWS: usize = 1_000;

/// Puts the refused rows beside the ledger; their lines follow those that the worker rejected.
async fn keep(
    tx: &Transaction<'_>,
    entry: &Entry<'_>,
    committed: &Committed,
    refused: &[RefusedRow],
    samples: &Samples,
) -> Result<(), Stop> {
    let mut rows = RejectRows::default();
    for (place, row) in refused.iter().take(KEPT_ROWS).enumerate() {
        let line = committed.quality.rejected + place as u64 + 1;
        rows.lines.push(i32::try_from(line).unwrap_or(i32::MAX));
        rows.reasons.push(format!("refused by the table: {}", row.reason));
        rows.records.push(samples.row(row.line).unwrap_or_default().to_owned());
    }
    if rows.lines.is_empty() {
        return Ok(());
    }
    Ok(rejects::put(tx, entry.target, &entry.marker.chunk, &rows).await?)
}
