//! Rows with the same key: twice in a chunk, or in the chunk and in the table. Equal ones are counted; others are
//! either rows that changed since an earlier run, or show that the key is not unique.

use nstore_shared::chunk::UploadMode;
use tokio_postgres::{Error as PgError, Row, Transaction};

use super::{
    careful::Origin,
    stage::{LINE, Stage},
    stop::Stop,
};
use crate::db::ledger::{self, Entry};

/// What ends a comparison early.
pub(super) enum Found {
    /// A statement failed.
    Stop(Stop),
    /// Two rows with one key and different values.
    Conflict {
        /// What was found.
        text: String,
        /// The chunk's rows that show it, by number.
        lines: Vec<u64>,
    },
}

impl From<PgError> for Found {
    fn from(e: PgError) -> Self {
        Self::Stop(e.into())
    }
}

/// Rows of the chunk whose key the table has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// With equal values.
    pub(super) equal: u64,
    /// With other values, from an earlier run.
    pub(super) changed: u64,
}

/// Removes rows that the chunk has twice with equal values; answers how many.
pub(super) async fn within(tx: &Transaction<'_>, stage: &Stage) -> Result<u64, Found> {
    let (table, key) = (stage.table(), stage.key().join(", "));
    let first = format!(
        "(SELECT {key}, min({LINE}) AS first_line FROM {table} GROUP BY {key} HAVING count(*) > 1) AS k \
         JOIN {table} AS f ON f.{LINE} = k.first_line JOIN {table} AS s ON {} AND s.{LINE} <> f.{LINE}",
        stage.same_key("s", "f")
    );
    let differs = format!(
        "SELECT f.{LINE}, s.{LINE}, {}, count(*) OVER () FROM {first} WHERE {} ORDER BY s.{LINE} LIMIT 1",
        key_text(stage, "s"),
        stage.differs("s", "f", true)
    );
    if let Some(row) = tx.query_typed_opt(&differs, &[]).await? {
        let (key, rows): (String, i64) = (row.get(2), row.get(3));
        let text = format!(
            "the key is not unique in the source: {rows} rows of this chunk have the key of another row and other \
             values; correct `key` in the mapping. Two rows with {key}"
        );
        return Err(Found::Conflict { text, lines: vec![line(&row, 0), line(&row, 1)] });
    }
    let delete = format!(
        "DELETE FROM {table} AS d USING (SELECT s.{LINE} FROM {first}) AS x WHERE d.{LINE} = x.{LINE}"
    );
    Ok(tx.execute_typed(&delete, &[]).await?)
}

/// Removes rows whose key the table has, and counts them.
pub(super) async fn present(
    tx: &Transaction<'_>,
    stage: &Stage,
    entry: &Entry<'_>,
    origin: Origin,
) -> Result<Present, Found> {
    let this_run = match origin {
        Origin::ThisRun | Origin::Kept(_) => "true".to_owned(),
        Origin::ByLedger => {
            let xids = ledger::xids(tx, entry.target, &entry.marker.chunk.run).await?;
            let xids: Vec<String> = xids.iter().map(ToString::to_string).collect();
            format!("t.xmin::text::bigint = ANY (ARRAY[{}]::bigint[])", xids.join(","))
        }
    };
    let (table, target) = (stage.table(), stage.target());
    tx.batch_execute(&format!(
        "DROP TABLE IF EXISTS pg_temp.nstore_present;
         CREATE TEMP TABLE nstore_present ON COMMIT DROP AS
         SELECT s.{LINE}, {} AS differs, {this_run} AS this_run, {} AS key, left(t::text, 500) AS present
         FROM {table} AS s JOIN {target} AS t ON {}",
        stage.differs("s", "t", false),
        key_text(stage, "s"),
        stage.same_key("s", "t"),
    ))
    .await?;
    conflict(tx, entry.plan.upload_mode).await?;
    let counts =
        "SELECT count(*) FILTER (WHERE NOT differs), count(*) FILTER (WHERE differs) FROM nstore_present";
    let row = tx.query_typed_one(counts, &[]).await?;
    let found = Present { equal: count(&row, 0), changed: count(&row, 1) };
    tx.batch_execute(&format!(
        "DELETE FROM {table} AS s USING nstore_present AS p WHERE s.{LINE} = p.{LINE}; DROP TABLE nstore_present"
    ))
    .await?;
    Ok(found)
}

/// Ends the comparison where a row that is present contradicts one of the chunk.
async fn conflict(tx: &Transaction<'_>, mode: UploadMode) -> Result<(), Found> {
    // an append keeps what an earlier run loaded; a mode that deletes has deleted what it may
    let allowed = if mode == UploadMode::Append { "NOT this_run" } else { "false" };
    let sql = format!(
        "SELECT {LINE}, this_run, key, present, count(*) OVER () FROM nstore_present
         WHERE differs AND NOT ({allowed}) ORDER BY {LINE} LIMIT 1"
    );
    let Some(row) = tx.query_typed_opt(&sql, &[]).await? else { return Ok(()) };
    let (this_run, key, present, rows): (bool, String, String, i64) =
        (row.get(1), row.get(2), row.get(3), row.get(4));
    let text = if this_run {
        format!(
            "the key is not unique in the source: {rows} rows of this chunk have the key of a row that another chunk \
             of this run has loaded, and other values; correct `key` in the mapping. With {key} the table holds \
             {present}, the chunk"
        )
    } else {
        format!(
            "{rows} rows of this chunk have the key of a row that the table holds outside the chunk's range, with \
             other values: load the days of both rows with upload mode replace, or correct `range_column` in the \
             mapping. With {key} the table holds {present}, the chunk"
        )
    };
    Err(Found::Conflict { text, lines: vec![line(&row, 0)] })
}

/// Why fewer rows went in than waited: another loader was faster, or something in the table takes rows away.
pub(super) async fn lost(
    tx: &Transaction<'_>,
    stage: &Stage,
    expected: u64,
    inserted: u64,
) -> Result<Stop, Stop> {
    let dropped = if stage.keyed() {
        let sql = format!(
            "SELECT count(*) FROM {} AS s WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})",
            stage.table(),
            stage.target(),
            stage.same_key("s", "t")
        );
        tx.query_typed_one(&sql, &[]).await?.get::<_, i64>(0) > 0
    } else {
        true
    };
    if dropped {
        let error = format!("the table took {inserted} of {expected} rows; a trigger of it may drop rows");
        return Ok(Stop::Refused { error, row: None });
    }
    Ok(Stop::Raced)
}

/// The transaction ids that the rows carry which have just gone in.
pub(super) async fn xids(tx: &Transaction<'_>, stage: &Stage) -> Result<Vec<i64>, Stop> {
    let sql = format!(
        "SELECT DISTINCT t.xmin::text::bigint FROM {} AS s JOIN {} AS t ON {}",
        stage.table(),
        stage.target(),
        stage.same_key("s", "t")
    );
    Ok(tx.query_typed(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// `order_id = 7, line = 2`, as an expression.
fn key_text(stage: &Stage, of: &str) -> String {
    let parts: Vec<String> = stage
        .key()
        .iter()
        .map(|name| {
            let shown = name.trim_matches('"').replace("\"\"", "\"").replace('\'', "''");
            format!("left('{shown} = ' || {of}.{name}::text, 200)")
        })
        .collect();
    format!("concat_ws(', ', {})", parts.join(", "))
}

fn line(row: &Row, at: usize) -> u64 {
    count(row, at)
}

fn count(row: &Row, at: usize) -> u64 {
    row.get::<_, i64>(at).unsigned_abs()
}
