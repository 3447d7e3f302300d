//! Cancel and forget, and what ledger and failures say.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, IdError, RunId, SourceId},
    storage::manifest::{Manifest, SourcePlan},
};
use tokio_postgres::{Error as PgError, Row};

use super::{ForgetReport, LedgerRow, LedgerState, LoadError, LoadFailure, Loader};
use crate::db::{DbError, days, error::Failure, failures, ledger, locks::Lock, session, targets};

/// Between two looks at who holds a run's lock.
const CANCEL_STEP: Duration = Duration::from_secs(2);
/// How many looks before cancel gives up.
const CANCEL_STEPS: u32 = 30;
/// Forgetting waits for loads in progress.
const FORGET_WAIT: Duration = Duration::from_secs(30);

impl Loader {
    /// Ends a run's loads, for good: after this returns, no row of it comes in. Its cancel mark must stand in
    /// storage before. Gives back claimed days that led to no load.
    ///
    /// # Errors
    /// When Postgres fails, or another role's load does not end within a minute.
    pub async fn cancel(&self, run: &RunId) -> Result<(), LoadError> {
        let failed = |e: PgError| DbError::query(format!("ending the loads of run {run}"), &e);
        for _ in 0..CANCEL_STEPS {
            let mut client = self.db.client().await?;
            let ended = Lock::Run(run).end_holders(&**client).await.map_err(failed)?;
            if ended > 0 {
                tracing::info!(%run, ended, "ended loads");
            }
            let tx = session::begin(&mut client, CANCEL_STEP).await.map_err(failed)?;
            match Lock::Run(run).exclusive(&tx).await {
                Ok(()) => {
                    days::give_back(&tx, run).await.map_err(failed)?;
                    targets::record_cancel(&tx, run).await.map_err(failed)?;
                    return tx.commit().await.map_err(|e| failed(e).into());
                }
                Err(e) if Failure::of(&e) == Failure::Busy => {}
                Err(e) => return Err(failed(e).into()),
            }
        }
        Err(LoadError::Busy { what: format!("run {run}") })
    }

    /// Forgets what was loaded into a table: its identity, ledger rows, claimed days, load failures. The table
    /// and its rows stay.
    ///
    /// # Errors
    /// When Postgres fails, or a load into it does not end in time.
    pub async fn forget(&self, table: &str) -> Result<ForgetReport, LoadError> {
        let target = self.target(table)?;
        let failed = |e: PgError| match Failure::of(&e) {
            Failure::Busy => LoadError::Busy { what: format!("table {}", target.name()) },
            _ => DbError::query(format!("forgetting table {}", target.name()), &e).into(),
        };
        let mut client = self.db.client().await?;
        let tx = session::begin(&mut client, FORGET_WAIT).await.map_err(failed)?;
        Lock::Register(&target).exclusive(&tx).await.map_err(failed)?;
        Lock::Target(&target).exclusive(&tx).await.map_err(failed)?;
        let (known, ledger_rows, days) = targets::forget(&tx, &target).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(ForgetReport { known, ledger_rows: unsigned(ledger_rows), days: unsigned(days) })
    }

    /// The newest extraction that is loaded into the tables of a run; `None` when nothing is.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn newest_extraction(&self, manifest: &Manifest) -> Result<Option<DateTime<Utc>>, LoadError> {
        let mut targets = Vec::new();
        for plan in &manifest.sources {
            targets.push(self.target(&plan.contract.table)?.name());
        }
        let client = self.db.client().await?;
        let newest = ledger::newest(&**client, &targets).await;
        Ok(newest.map_err(|e| DbError::query("looking for the newest extraction", &e))?)
    }

    /// What was decided about a run's chunks.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn ledger(&self, run: &RunId) -> Result<Vec<LedgerRow>, LoadError> {
        let client = self.db.client().await?;
        let rows = ledger::of_run(&**client, run).await;
        let rows = rows.map_err(|e| DbError::query(format!("reading the ledger of run {run}"), &e))?;
        rows.iter().map(ledger_row).collect()
    }

    /// What was decided about some chunks of a run.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn ledger_of(
        &self,
        run: &RunId,
        source: &SourceId,
        ranges: &[ChunkRange],
    ) -> Result<Vec<LedgerRow>, LoadError> {
        let client = self.db.client().await?;
        let rows = ledger::of_chunks(&**client, run, source, &texts(ranges)).await;
        let rows = rows.map_err(|e| DbError::query(format!("reading the ledger of run {run}"), &e))?;
        rows.iter().map(ledger_row).collect()
    }

    /// The refusals of some chunks of a run.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn failures_of(
        &self,
        run: &RunId,
        source: &SourceId,
        ranges: &[ChunkRange],
    ) -> Result<Vec<LoadFailure>, LoadError> {
        let client = self.db.client().await?;
        let rows = failures::of_chunks(&**client, run, source, &texts(ranges)).await;
        let rows = rows.map_err(|e| DbError::query(format!("reading the load failures of run {run}"), &e))?;
        rows.iter().map(load_failure).collect()
    }

    /// The chunks of a run whose rows were refused.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn failures(&self, run: &RunId) -> Result<Vec<LoadFailure>, LoadError> {
        let client = self.db.client().await?;
        let rows = failures::of_run(&**client, run).await;
        let rows = rows.map_err(|e| DbError::query(format!("reading the load failures of run {run}"), &e))?;
        rows.iter().map(load_failure).collect()
    }

    /// Records that chunks of a source are not loaded, and why: they are not tried again before
    /// [`Loader::clear_failures`].
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn record_refusal(
        &self,
        plan: &SourcePlan,
        chunks: &[Chunk],
        error: &str,
    ) -> Result<(), LoadError> {
        let target = self.target(&plan.contract.table)?.name();
        let client = self.db.client().await?;
        for chunk in chunks {
            failures::put(&**client, chunk, &target, error, None)
                .await
                .map_err(|e| DbError::query("recording a load failure", &e))?;
        }
        Ok(())
    }

    /// Forgets a run's refusals, so that its chunks are tried again.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn clear_failures(&self, run: &RunId) -> Result<(), LoadError> {
        let client = self.db.client().await?;
        let cleared = failures::clear_run(&**client, run).await;
        Ok(cleared.map_err(|e| DbError::query(format!("clearing the load failures of run {run}"), &e))?)
    }
}

fn texts(ranges: &[ChunkRange]) -> Vec<String> {
    ranges.iter().map(ToString::to_string).collect()
}

fn load_failure(row: &Row) -> Result<LoadFailure, LoadError> {
    let (source, range) = chunk_of(row)?;
    Ok(LoadFailure { source, range, error: row.get(2), row: row.get(3) })
}

fn ledger_row(row: &Row) -> Result<LedgerRow, LoadError> {
    let (source, range) = chunk_of(row)?;
    let state = match row.get(2) {
        "loaded" => LedgerState::Loaded,
        "superseded" => LedgerState::Superseded,
        _ => LedgerState::Replaced,
    };
    Ok(LedgerRow {
        source,
        range,
        state,
        rows: unsigned(row.get(3)),
        skipped: unsigned(row.get(4)),
        generation: row.get::<_, i32>(5).unsigned_abs(),
        loaded_at: row.get(6),
        evidence: row.get(7),
        changed: unsigned(row.get(8)),
        rejected: unsigned(row.get(9)),
        defaulted: unsigned(row.get(10)),
    })
}

/// Source and range of a row; other hands may have written what is neither.
fn chunk_of(row: &Row) -> Result<(SourceId, ChunkRange), LoadError> {
    let (source, range): (&str, &str) = (row.get(0), row.get(1));
    let odd = |e: IdError| DbError::Query {
        doing: "reading a row of the schema nstore".into(),
        reason: e.to_string(),
        code: None,
        may_pass: false,
    };
    Ok((source.parse().map_err(odd)?, range.parse().map_err(odd)?))
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
