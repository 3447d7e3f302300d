//! The whole table, one transaction: readers see the old rows until COMMIT, views and grants stay.

use std::time::Duration;

use nstore_shared::{
    chunk::ChunkRange,
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Committed, Marker, Outcome, VoidReason},
    },
};
use tokio_postgres::Transaction;

use super::{
    LoadCounts, LoadError, Loader, ReplaceLoad,
    careful::{self, Origin},
    cascade, claims, copy,
    delete::undeletable,
    enter::committed_of,
    fields,
    keep::{self, Kept},
    rejects, spans,
    stop::{COMMITS, Stop, Verdict},
};
use crate::db::{
    days, failures,
    ident::Target,
    ledger::{self, Entry, Settled},
    session,
};

/// A replace has nothing else to do meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// One whole-table load.
struct Job<'a> {
    manifest: &'a Manifest,
    plan: &'a SourcePlan,
    target: Target,
    chunks: Vec<(&'a Marker, &'a Committed)>,
}

impl Job<'_> {
    fn entry(&self, at: usize) -> Entry<'_> {
        let (marker, committed) = self.chunks[at];
        Entry { target: &self.target, plan: self.plan, marker, rows: committed.rows }
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        (0..self.chunks.len()).map(|at| self.entry(at)).collect()
    }

    fn chunks(&self) -> Vec<(Entry<'_>, &Committed)> {
        self.entries().into_iter().zip(self.chunks.iter().map(|(_, committed)| *committed)).collect()
    }

    fn rows(&self) -> u64 {
        self.chunks.iter().map(|(_, committed)| committed.rows).sum()
    }
}

impl Loader {
    /// Replaces the whole table by the committed chunks of one source, once they are all there.
    ///
    /// # Errors
    /// When chunks are missing, the replace would erase days that the run lacks, Postgres or storage fails
    /// (see [`LoadError::may_pass`]), or the table is gone or no longer fits. The table is as it was.
    pub async fn replace(
        &self,
        manifest: &Manifest,
        plan: &SourcePlan,
        markers: &[Marker],
    ) -> Result<ReplaceLoad, LoadError> {
        let target = self.target(&plan.contract.table)?;
        let incomplete = |missing| LoadError::Incomplete { table: target.name(), missing };
        let whole = markers.iter().filter(|marker| !matches!(marker.outcome, Outcome::Split { .. }));
        let mut chunks = Vec::new();
        for marker in whole {
            if let Outcome::Discarded { error, .. } = &marker.outcome {
                return Err(incomplete(format!("chunk {} failed: {error}", marker.chunk)));
            }
            chunks.push((marker, committed_of(manifest, plan, marker)?));
        }
        chunks.sort_by_key(|(marker, _)| marker.chunk.range.order());
        let ranges: Vec<ChunkRange> = chunks.iter().map(|(marker, _)| marker.chunk.range).collect();
        if let Some(missing) = spans::mismatch(plan, &ranges) {
            return Err(incomplete(missing));
        }
        if chunks.is_empty() {
            return Err(incomplete("its plan has no chunk".into()));
        }
        self.run_job(&Job { manifest, plan, target, chunks }).await
    }

    async fn run_job(&self, job: &Job<'_>) -> Result<ReplaceLoad, LoadError> {
        let (mut at, mut commits) = (0, 0);
        let stop = loop {
            match self.replace_once(job, &mut at).await {
                Ok(done) => return Ok(done),
                Err(Stop::Unknown(_)) if commits < COMMITS => commits += 1,
                Err(stop) => break stop,
            }
        };
        let (marker, committed) = job.chunks[at];
        let range = marker.chunk.range;
        Ok(match self.judge(&job.target, marker, committed, stop).await? {
            Verdict::Busy => ReplaceLoad::Busy,
            Verdict::Cancelled => ReplaceLoad::Cancelled,
            Verdict::Void { reason, detail } => {
                ReplaceLoad::Void { range, generation: marker.generation, reason, detail }
            }
            Verdict::Refused { error, row } => ReplaceLoad::Refused { range, error, row },
        })
    }

    /// `at` tells which chunk was being loaded when it stopped.
    async fn replace_once(&self, job: &Job<'_>, at: &mut usize) -> Result<ReplaceLoad, Stop> {
        let (run, target) = (&job.manifest.run, &job.target);
        let mut client = self.db.client().await?;
        let tx = session::begin(&mut client, LOCK_TIMEOUT).await?;
        self.enter(&tx, job.manifest, job.plan, target, true).await?;
        let is_superseded = ledger::newer_replace(&tx, target, job.manifest).await?.is_some();
        if ledger::insert(&tx, &job.entries(), |_| is_superseded).await?.is_empty() {
            return Ok(ReplaceLoad::Already);
        }
        if is_superseded {
            tx.commit().await.map_err(Stop::at_commit)?;
            return Ok(ReplaceLoad::Superseded);
        }
        if let Some(shrink) = claims::shrink(&tx, job.manifest, job.plan, target).await? {
            return Err(shrink.into());
        }
        if let Some(claimed) = claims::claimed_by_appends(&tx, job.plan, target, run).await? {
            return Err(claimed.into());
        }
        let mut outdated = outdated(&tx, job).await?.into_iter();
        if let Some((first, detail)) = outdated.next() {
            // all at once: voided one by one, each would cost another round of extraction
            for (place, detail) in outdated {
                self.void(job.chunks[place].0, VoidReason::Outdated, detail).await?;
            }
            *at = first;
            return Err(Stop::Outdated(detail));
        }
        let cascades = cascade::check(&tx, target, job.plan).await?;
        for place in 0..job.chunks.len() {
            *at = place;
            fields::check(&tx, &job.entry(place), job.chunks[place].1).await?;
        }
        let kept = if keep::is_worth_it(&tx, target, &cascades, job.rows()).await? {
            Some(keep::delete_others(&self.storage, &tx, target, &job.chunks(), at).await?)
        } else {
            empty(&tx, target).await?;
            None
        };
        let mut counts = LoadCounts::default();
        for (place, (marker, committed)) in job.chunks.iter().enumerate() {
            *at = place;
            let entry = job.entry(place);
            counts.add(match &kept {
                Some(kept) => self.load_rest(&tx, &entry, committed, (place, kept)).await?,
                None => self.load_one(&tx, &entry, committed).await?,
            });
            rejects::keep(&self.storage, &tx, target, marker, committed).await?;
        }
        let ranges: Vec<String> =
            job.chunks.iter().map(|(marker, _)| marker.chunk.range.to_string()).collect();
        failures::clear(&tx, run, &job.plan.source, &ranges).await?;
        fields::record(&tx, &job.chunks()).await?;
        days::release_loaded(&tx, target, run).await?;
        ledger::replace_others(&tx, target, (run, &job.plan.source)).await?;
        tx.commit().await.map_err(Stop::at_commit)?;
        Ok(ReplaceLoad::Loaded(counts))
    }

    /// One chunk of a whole-table load. What COPY alone cannot bring in is undone and brought in by way of staging.
    async fn load_one(
        &self,
        tx: &Transaction<'_>,
        entry: &Entry<'_>,
        committed: &Committed,
    ) -> Result<LoadCounts, Stop> {
        tx.batch_execute("SAVEPOINT nstore_chunk").await?;
        let table = entry.target.to_string();
        let copied = copy::into(&self.storage, tx, &table, entry.marker, committed).await;
        let refusal = match copied {
            Ok(rows) => {
                tx.batch_execute("RELEASE SAVEPOINT nstore_chunk").await?;
                return Ok(LoadCounts::plain(rows));
            }
            Err(stop) if stop.is_refusal() => stop,
            Err(stop) => return Err(stop),
        };
        tx.batch_execute("ROLLBACK TO SAVEPOINT nstore_chunk; RELEASE SAVEPOINT nstore_chunk").await?;
        let (counts, settled) =
            match careful::load(&self.storage, tx, entry, committed, Origin::ThisRun).await {
                Err(Stop::NoStaging) => return Err(refusal),
                done => done?,
            };
        entry.settle(tx, "loaded", &settled).await?;
        Ok(counts)
    }

    /// What the table lacks of one chunk, after rows were found that stay.
    async fn load_rest(
        &self,
        tx: &Transaction<'_>,
        entry: &Entry<'_>,
        committed: &Committed,
        (place, kept): (usize, &Kept),
    ) -> Result<LoadCounts, Stop> {
        let skipped = kept.of(place);
        let (counts, settled) = if skipped == committed.rows {
            let settled = Settled { skipped, ..Settled::default() };
            (LoadCounts { skipped, ..LoadCounts::default() }, settled)
        } else {
            careful::load(&self.storage, tx, entry, committed, Origin::Kept(place)).await?
        };
        entry.settle(tx, "loaded", &settled).await?;
        Ok(counts)
    }
}

/// The chunks whose rows are older than what other runs have loaded of their ranges since, each with the reason.
async fn outdated(tx: &Transaction<'_>, job: &Job<'_>) -> Result<Vec<(usize, String)>, Stop> {
    let newer = ledger::newer_of_others(tx, &job.entries()).await?;
    let reason = |run: String| format!("run {run} has loaded newer extractions of it");
    Ok(newer.into_iter().map(|(place, run)| (place, reason(run))).collect())
}

/// Deletes all rows. An empty table is left alone: a DELETE would still scan what dead rows it has.
async fn empty(tx: &Transaction<'_>, target: &Target) -> Result<(), Stop> {
    let any = tx.query_typed_one(&format!("SELECT EXISTS (SELECT FROM {target})"), &[]).await?;
    if any.get(0) {
        tx.execute_typed(&format!("DELETE FROM {target}"), &[]).await.map_err(|e| undeletable(target, e))?;
    }
    Ok(())
}
