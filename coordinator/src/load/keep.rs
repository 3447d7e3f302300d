//! Rows of a replaced table that stay where they are, since the run brings them with equal values: a row that is
//! not deleted sets nothing off in other tables, and costs its indexes nothing.

use std::collections::BTreeMap;

use nstore_shared::storage::{Storage, marker::Committed};
use tokio_postgres::Transaction;

use super::{
    delete::undeletable,
    sift::Limit,
    stage::{LINE, Stage},
    stop::{Stop, recreated},
};
use crate::db::{
    ident::Target,
    ledger::Entry,
    tables::{self, Cascades},
};

/// One row per staged row: its chunk's place, its number in the artifact, a hash of its values.
const BROUGHT: &str = "pg_temp.nstore_brought";
/// One row per staged row that the table has: its chunk's place and number, and where the table has it.
const KEPT: &str = "pg_temp.nstore_kept";

/// How many rows of each chunk the table has already, by the chunk's place; places without any are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept(BTreeMap<usize, u64>);

impl Kept {
    /// Rows of one chunk that stay.
    pub(super) fn of(&self, place: usize) -> u64 {
        self.0.get(&place).copied().unwrap_or_default()
    }
}

/// Whether the rows are worth a comparison: deleting them may do more than delete them, or be refused, or there are as
/// many as the run brings, so that they may be the same.
pub(super) async fn is_worth_it(
    tx: &Transaction<'_>,
    target: &Target,
    cascades: &Cascades,
    rows: u64,
) -> Result<bool, Stop> {
    if tables::no_temp(tx).await?.is_some() {
        return Ok(false);
    }
    // one row more than are brought is enough to tell
    let count = format!("SELECT count(*) FROM (SELECT FROM {target} LIMIT {}) AS t", rows.saturating_add(1));
    let present = tx.query_typed_one(&count, &[]).await?.get::<_, i64>(0).unsigned_abs();
    let consequences = !cascades.changes.is_empty() || !cascades.restricts.is_empty();
    if present == 0 || (!consequences && present != rows) {
        return Ok(false);
    }
    // a row that goes would take rows along that are to stay
    let itself = tables::cascades(tx, target, true).await?;
    Ok(itself.changes.len() == cascades.changes.len())
}

/// Finds the rows that the table has with equal values, and deletes all others. Rows that occur several times are
/// matched one to one.
///
/// Nobody else writes to the table until the transaction ends. `at` tells which chunk is being read.
pub(super) async fn delete_others(
    storage: &Storage,
    tx: &Transaction<'_>,
    target: &Target,
    chunks: &[(Entry<'_>, &Committed)],
    at: &mut usize,
) -> Result<Kept, Stop> {
    tx.batch_execute(&format!(
        "LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE;
         CREATE TEMP TABLE nstore_brought (place int, line bigint, hash bytea) ON COMMIT DROP"
    ))
    .await?;
    let Some(table) = tables::table(tx, target).await? else { return Err(recreated(target).into()) };
    let mut hash = None;
    for (place, (entry, committed)) in chunks.iter().enumerate() {
        *at = place;
        let stage = Stage::describe(entry, &table, committed)?;
        bring(storage, tx, &stage, place, (entry, committed)).await?;
        hash = Some(stage.hash("t", false));
    }
    let Some(hash) = hash else { return Ok(Kept::default()) };
    // `ctid` is unique within a partition only
    tx.batch_execute(&format!(
        "ANALYZE {BROUGHT};
         CREATE TEMP TABLE nstore_kept ON COMMIT DROP AS
         SELECT b.place, b.line, t.part, t.at
         FROM (SELECT place, line, hash, row_number() OVER (PARTITION BY hash ORDER BY place, line) AS nth
               FROM {BROUGHT}) AS b
         JOIN (SELECT t.tableoid AS part, t.ctid AS at, {hash} AS hash,
                      row_number() OVER (PARTITION BY {hash} ORDER BY t.tableoid, t.ctid) AS nth
               FROM {target} AS t) AS t USING (hash, nth);
         DROP TABLE {BROUGHT};
         ANALYZE {KEPT}"
    ))
    .await?;
    let delete = format!(
        "DELETE FROM {target} AS t
         WHERE NOT EXISTS (SELECT FROM {KEPT} AS k WHERE k.part = t.tableoid AND k.at = t.ctid)"
    );
    tx.execute_typed(&delete, &[]).await.map_err(|e| undeletable(target, e))?;
    let counts = tx.query_typed(&format!("SELECT place, count(*) FROM {KEPT} GROUP BY place"), &[]).await?;
    let count = |row: &tokio_postgres::Row| {
        let place = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
        (place, row.get::<_, i64>(1).unsigned_abs())
    };
    Ok(Kept(counts.iter().map(count).collect()))
}

/// Stages a chunk and notes its rows. Those of a wrong form equal none of the table.
async fn bring(
    storage: &Storage,
    tx: &Transaction<'_>,
    stage: &Stage,
    place: usize,
    (entry, committed): (&Entry<'_>, &Committed),
) -> Result<(), Stop> {
    // whether they are too many is for the chunk's own load to say
    stage.fill(storage, tx, entry.marker, committed, &Limit::of(entry, committed), &mut Vec::new()).await?;
    let hash = stage.hash("s", true);
    let note = format!("INSERT INTO {BROUGHT} SELECT {place}, s.{LINE}, {hash} FROM {} AS s", stage.table());
    Ok(tx.execute_typed(&note, &[]).await.map(drop)?)
}

/// Takes the rows of a staged chunk away that the table has.
pub(super) async fn leave_out(tx: &Transaction<'_>, stage: &Stage, place: usize) -> Result<u64, Stop> {
    let delete = format!(
        "DELETE FROM {} AS s USING {KEPT} AS k WHERE k.place = {place} AND k.line = s.{LINE}",
        stage.table()
    );
    Ok(tx.execute_typed(&delete, &[]).await?)
}
