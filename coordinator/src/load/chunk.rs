//! One chunk, one transaction: append, its reload, and replace_range.

use std::time::Duration;

use nstore_shared::{
    chunk::{ChunkRange, UploadMode},
    contract::ColumnType,
    guard::Guard,
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Committed, Marker},
    },
};
use tokio_postgres::{
    Transaction,
    types::{ToSql, Type},
};

use super::{
    ChunkLoad, LoadCounts, LoadError, Loader,
    careful::{self, Origin},
    cascade, copy,
    enter::committed_of,
    fields,
    fit::keyless_append,
    rejects,
    spans::{self, Cover},
    stop::{COMMITS, Stop, Verdict},
};
use crate::db::{
    days,
    error::{Failure, text_of},
    failures,
    ident::{Ident, Target},
    ledger::{self, Entry, Settled},
    session,
};

/// Longer than a short statement of another loader, shorter than its COPY: there is other work to do.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a load is repeated at once because another one brought the same keys in meanwhile.
const RACES: u32 = 3;

/// How rows reach the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By COPY: fast, and one row that the table does not take refuses all.
    Straight,
    /// By way of staging, where each row is looked at.
    Careful,
}

impl Loader {
    /// Loads one committed chunk of an append or replace_range, unless the ledger has it.
    ///
    /// # Errors
    /// When Postgres or storage fails (see [`LoadError::may_pass`]), the table is gone or no longer fits, or
    /// the run holds no claim on it.
    pub async fn load_chunk(
        &self,
        manifest: &Manifest,
        plan: &SourcePlan,
        marker: &Marker,
    ) -> Result<ChunkLoad, LoadError> {
        let committed = committed_of(manifest, plan, marker)?;
        if plan.upload_mode == UploadMode::Replace {
            let reason = "its source replaces the whole table at once";
            return Err(LoadError::Marker { chunk: marker.chunk.to_string(), reason });
        }
        let target = self.target(&plan.contract.table)?;
        let entry = Entry { target: &target, plan, marker, rows: committed.rows };
        let reload = manifest.upload.reload && keyless_append(plan);
        let (mut how, mut commits, mut races) = (How::Straight, 0, 0);
        let mut refusal = None;
        let stop = loop {
            match self.attempt(&entry, committed, how, reload).await {
                Ok(done) => return Ok(done),
                Err(stop) if stop.is_refusal() && how == How::Straight => {
                    (how, refusal) = (How::Careful, Some(stop));
                }
                Err(Stop::Raced) if races < RACES => races += 1,
                Err(Stop::NoStaging) => break refusal.unwrap_or(Stop::NoStaging),
                // it may have happened: the ledger knows
                Err(Stop::Unknown(_)) if commits < COMMITS => commits += 1,
                Err(stop) => break stop,
            }
        };
        Ok(match self.judge(&target, marker, committed, stop).await? {
            Verdict::Busy => ChunkLoad::Busy,
            Verdict::Cancelled => ChunkLoad::Cancelled,
            Verdict::Void { reason, detail } => {
                ChunkLoad::Void { generation: marker.generation, reason, detail }
            }
            Verdict::Refused { error, row } => ChunkLoad::Refused { error, row },
        })
    }

    async fn attempt(
        &self,
        entry: &Entry<'_>,
        committed: &Committed,
        how: How,
        reload: bool,
    ) -> Result<ChunkLoad, Stop> {
        let (plan, chunk) = (entry.plan, &entry.marker.chunk);
        let mut client = self.db.client().await?;
        let tx = session::begin(&mut client, LOCK_TIMEOUT).await?;
        let alone = reload || plan.upload_mode == UploadMode::ReplaceRange;
        self.enter(&tx, &chunk.run, entry.target, alone).await?;
        if !entry.insert(&tx).await? && Guard::LedgerKey.stands() {
            return Ok(ChunkLoad::Already);
        }
        if keyless_append(plan) && Guard::ClaimedDays.stands() {
            check_claim(&tx, entry).await?;
        }
        fields::check(&tx, entry, committed).await?;
        if alone {
            if Guard::Supersede.stands() && is_superseded(&tx, entry).await? {
                entry.settle(&tx, "superseded", &Settled::default()).await?;
                tx.commit().await.map_err(Stop::at_commit)?;
                return Ok(ChunkLoad::Superseded);
            }
            cascade::check(&tx, entry.target, entry.plan).await?;
            delete_range(&tx, entry).await?;
        }
        if reload {
            take_over(&tx, entry).await?;
        }
        let counts = match how {
            How::Straight => {
                let table = entry.target.to_string();
                LoadCounts::plain(copy::into(&self.storage, &tx, &table, entry.marker, committed).await?)
            }
            How::Careful => {
                let (counts, settled) =
                    careful::load(&self.storage, &tx, entry, committed, Origin::ByLedger).await?;
                entry.settle(&tx, "loaded", &settled).await?;
                counts
            }
        };
        rejects::keep(&self.storage, &tx, entry.target, entry.marker, committed).await?;
        failures::clear(&tx, chunk).await?;
        fields::record(&tx, entry, committed).await?;
        tx.commit().await.map_err(Stop::at_commit)?;
        Ok(ChunkLoad::Loaded(counts))
    }
}

/// Without a key, only the claim on its days keeps a chunk from doubling rows.
async fn check_claim(tx: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), Stop> {
    let chunk = &entry.marker.chunk;
    let (first, end) = chunk.range.touched_days(entry.plan.zone());
    if days::owns(tx, entry.target, &chunk.run, &(first..end)).await? {
        return Ok(());
    }
    Err(LoadError::Unregistered { run: chunk.run.clone(), table: entry.target.name() }.into())
}

/// Older data never overwrites newer: covered as a whole it is set aside, covered in part extracted anew.
async fn is_superseded(tx: &Transaction<'_>, entry: &Entry<'_>) -> Result<bool, Stop> {
    let newer = entry.newer(tx).await?;
    match spans::cover(&entry.instants(), &newer) {
        Cover::None => Ok(false),
        Cover::Whole => Ok(true),
        Cover::Part => {
            let first = newer.first().map(|range| range.start.to_string()).unwrap_or_default();
            Err(Stop::Outdated(format!("newer extractions cover a part of it, from {first}")))
        }
    }
}

/// What other runs loaded into the days of a reload's chunk counts as replaced from here on.
async fn take_over(tx: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), Stop> {
    let chunk = &entry.marker.chunk;
    let (first, end) = chunk.range.touched_days(entry.plan.zone());
    days::keep_neighbours(tx, entry.target, &chunk.run, &(first..end)).await?;
    Ok(ledger::replace_days(tx, entry.target, &chunk.run, &(first..end)).await?)
}

/// Deletes the chunk's own half-open range.
async fn delete_range(tx: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), Stop> {
    let contract = &entry.plan.contract;
    let unfit =
        |problem: &str| LoadError::Target { table: entry.target.name(), problems: vec![problem.into()] };
    let column = contract.range_column.as_deref().and_then(|name| contract.column(name));
    let Some(column) = column else { return Err(unfit("replacing a range needs a range_column").into()) };
    let deleted = match (column.kind, entry.marker.chunk.range) {
        (ColumnType::Date, ChunkRange::Days { start, end }) => {
            delete_between(tx, entry.target, &column.name, Type::DATE, (&start, &end)).await
        }
        (ColumnType::Timestamptz, _) => {
            let instants = entry.instants();
            let bounds: (&Bound, &Bound) = (&instants.start, &instants.end);
            delete_between(tx, entry.target, &column.name, Type::TIMESTAMPTZ, bounds).await
        }
        _ => return Err(unfit("its range_column cannot hold the chunk's range").into()),
    };
    deleted?.map_err(|e| undeletable(entry.target, e))
}

type Bound = dyn ToSql + Sync;

/// Deletes rows whose value lies in `[start, end)`.
async fn delete_between(
    tx: &Transaction<'_>,
    target: &Target,
    column: &str,
    kind: Type,
    (start, end): (&Bound, &Bound),
) -> Result<Result<(), tokio_postgres::Error>, Stop> {
    let column = Ident::new(column)?;
    let delete = format!("DELETE FROM {target} WHERE {column} >= $1::{kind} AND {column} < $2::{kind}");
    Ok(tx.execute_typed(&delete, &[(start, kind.clone()), (end, kind)]).await.map(drop))
}

/// Old rows that cannot go (a foreign key of others points at them) are no fault of the chunk.
pub(super) fn undeletable(target: &Target, e: tokio_postgres::Error) -> Stop {
    if Failure::of(&e) != Failure::Data {
        return Stop::Pg(e);
    }
    let problem = format!(
        "its old rows cannot be deleted: {}; delete the rows of the other table that refer to them first, or load with \
         upload mode append",
        text_of(&e)
    );
    LoadError::Target { table: target.name(), problems: vec![problem] }.into()
}
