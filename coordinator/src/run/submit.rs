//! From a manifest to chunks in the queue.

use std::collections::BTreeMap;

use nstore_shared::{
    chunk::{ChunkRange, RunId, SourceId},
    proven,
    redis::queue::ChunkEntry,
    storage::{Created, Storage, manifest::Manifest, paused::PauseOf},
};

use super::{House, RunError, board::Board, change, paused, reconcile, status::LoadedChunk};
use crate::load::Loader;

/// Another run that still works on some of the days asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The other run.
    pub run: RunId,
    /// The source that both extract.
    pub source: SourceId,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The run's manifest: the one that stands, if the same was submitted before.
    pub manifest: Manifest,
    /// It stood already (same idempotency key, same plan).
    pub again: bool,
    /// Runs that work on some of the same days.
    pub overlaps: Vec<Overlap>,
    /// What the loads will meet, of the sources that are extracted.
    pub notes: Vec<String>,
}

/// Submits a run: checks the tables, writes the manifest, claims days, enqueues. Repeating it is safe.
///
/// `fresh_fleet` says that no worker can hold a lease: the caller has just started all there are.
///
/// # Errors
/// When no table fits, days are held by another run, the key is taken, or a service is away. A source whose table does
/// not fit is left out while others can be loaded, see [`Manifest::refused`].
pub async fn submit(house: &House, mut manifest: Manifest, fresh_fleet: bool) -> Result<Submitted, RunError> {
    let mut notes = Vec::new();
    if manifest.upload.enabled {
        let report = house.loader_of(&manifest)?.preflight(&manifest).await?;
        if report.ready.is_empty() {
            report.into_result()?;
        } else {
            notes = report.notes();
            manifest.refuse(&report.reasons());
        }
        manifest.extracted_after = house.loader_of(&manifest)?.newest_extraction(&manifest).await?;
    }
    let others = open_runs(house).await?;
    let (manifest, again) = match house.storage.create_manifest(&manifest).await? {
        Created::Mine => (manifest, false),
        Created::Other(stands) if stands.fingerprint() == manifest.fingerprint() => (stands, true),
        Created::Other(stands) => return Err(RunError::KeyTaken(stands.run)),
    };
    refuse_cancelled(house, &manifest.run).await?;
    if !again {
        // what Redis may still hold of an older run of this name is of no concern to the new one
        let queue = house.redis.queue();
        for plan in &manifest.sources {
            // asking first: any other call makes the source known
            if !queue.is_fresh(&plan.source).await? {
                queue.forget(&plan.source, &manifest.run).await?;
            }
        }
    }
    start(house, &manifest, &others, !again, fresh_fleet).await?;
    let overlaps = overlaps(&manifest, &others);
    Ok(Submitted { manifest, again, overlaps, notes })
}

/// Takes up a run that stands, wherever who submitted it came to: claims its days, enqueues what has no outcome yet.
/// What Redis knows of it stays as it is. Repeating it is safe.
///
/// # Errors
/// When the run is cancelled, days are held by another run, or a service is away. A table that does not fit any more
/// refuses the rows when they are loaded, and that is recorded.
pub async fn take_up(house: &House, manifest: &Manifest, fresh_fleet: bool) -> Result<(), RunError> {
    let others = open_runs(house).await?;
    refuse_cancelled(house, &manifest.run).await?;
    start(house, manifest, &others, true, fresh_fleet).await
}

/// Claims days and enqueues. A run that is refused is cancelled, unless it is somebody else's to say so.
async fn start(
    house: &House,
    manifest: &Manifest,
    others: &[Manifest],
    ours: bool,
    fresh_fleet: bool,
) -> Result<(), RunError> {
    if manifest.upload.enabled
        && let Err(refused) = house.loader_of(manifest)?.register(manifest).await
    {
        // the run exists by now; it must not wait for ever for days that it does not get
        if ours && !refused.may_pass() {
            change::cancel(house, &manifest.run, &refused.to_string()).await?;
        }
        return Err(refused.into());
    }
    enqueue_all(house, manifest, others, fresh_fleet).await
}

/// Fails for a cancelled run.
pub(super) async fn refuse_cancelled(house: &House, run: &RunId) -> Result<(), RunError> {
    match house.storage.cancelled(run).await? {
        Some(cancelled) => Err(RunError::Cancelled { run: run.clone(), reason: cancelled.reason }),
        None => Ok(()),
    }
}

/// Enqueues what has no outcome yet.
async fn enqueue_all(
    house: &House,
    manifest: &Manifest,
    others: &[Manifest],
    fresh_fleet: bool,
) -> Result<(), RunError> {
    let queue = house.redis.queue();
    for plan in &manifest.sources {
        let shared =
            || others.iter().any(|other| other.run != manifest.run && other.source(&plan.source).is_some());
        // Redis that never heard of the source waits one lease for workers of an earlier life; there are none
        // when no other run is open
        if fresh_fleet || (queue.is_fresh(&plan.source).await? && !shared()) {
            queue.adopt(&plan.source).await?;
        }
        house.tell_pause(PauseOf::Source(&plan.source), &plan.source).await?;
        house.tell_pause(PauseOf::Run(&manifest.run), &plan.source).await?;
        let stored = house.storage.generations(&plan.source, &manifest.run).await?;
        let missing: Vec<ChunkEntry> = plan
            .chunks
            .iter()
            .filter(|range| stored.get(range).is_none_or(|generations| generations.standing().is_none()))
            .map(|range| ChunkEntry {
                range: *range,
                generation: stored
                    .get(range)
                    .map_or(1, nstore_shared::storage::outcomes::Generations::wanted),
                unproven: false,
            })
            .collect();
        let entry = proven::run_entry(&manifest.run, plan);
        queue.enqueue(&entry, &missing).await?;
    }
    Ok(())
}

/// Runs of which some chunk has no outcome yet, newest first.
///
/// # Errors
/// When storage fails.
pub async fn open_runs(house: &House) -> Result<Vec<Manifest>, RunError> {
    let mut open = Vec::new();
    let (ended, runs) = (house.storage.ended().await?, house.storage.runs().await?);
    for run in runs.into_iter().rev().filter(|run| !ended.contains(run)) {
        match open_run(house, &run).await {
            Ok(found) => open.extend(found),
            // a run that cannot be read, of a newer nstore say, keeps nobody from starting another
            Err(error) => tracing::warn!(%run, %error, "run cannot be looked at"),
        }
    }
    Ok(open)
}

async fn open_run(house: &House, run: &RunId) -> Result<Option<Manifest>, RunError> {
    if house.storage.cancelled(run).await?.is_some() {
        return Ok(None);
    }
    let Some(manifest) = house.storage.manifest(run).await? else { return Ok(None) };
    Ok(has_open_chunk(house, &manifest).await?.then_some(manifest))
}

async fn has_open_chunk(house: &House, manifest: &Manifest) -> Result<bool, RunError> {
    for plan in &manifest.sources {
        if house.storage.has_open(&plan.source, &manifest.run, &plan.chunks).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The open runs that share a day of a source with this one.
fn overlaps(manifest: &Manifest, others: &[Manifest]) -> Vec<Overlap> {
    let days = |m: &Manifest| (m.start_date, m.end_date);
    let (start, end) = days(manifest);
    let mut found = Vec::new();
    for other in others.iter().filter(|other| other.run != manifest.run) {
        let (first, last) = days(other);
        if first > end || last < start {
            continue;
        }
        let shared = manifest.sources.iter().filter(|plan| other.source(&plan.source).is_some());
        found.extend(shared.map(|plan| Overlap { run: other.run.clone(), source: plan.source.clone() }));
    }
    found
}

/// The boards of a run, filled from storage, and from the ledger where there is a loader.
pub(super) async fn boards(
    storage: &Storage,
    loader: Option<&Loader>,
    manifest: &Manifest,
) -> Result<Vec<Board>, RunError> {
    let mut boards = Board::all(manifest);
    let cancelled = storage.cancelled(&manifest.run).await?.is_some();
    for board in &mut boards {
        board.cancelled = cancelled;
        paused::read(storage, board).await?;
        reconcile::refresh_markers(storage, board).await?;
    }
    refresh_ledger(loader, manifest, &mut boards).await?;
    Ok(boards)
}

/// Reads what the ledger and the load failures say.
pub(super) async fn refresh_ledger(
    loader: Option<&Loader>,
    manifest: &Manifest,
    boards: &mut [Board],
) -> Result<(), RunError> {
    let Some(loader) = loader else { return Ok(()) };
    let mut by_source: BTreeMap<SourceId, &mut Board> =
        boards.iter_mut().map(|board| (board.plan.source.clone(), board)).collect();
    let (rows, failures) = (loader.ledger(&manifest.run).await?, loader.failures(&manifest.run).await?);
    for board in by_source.values_mut() {
        board.outcomes.clear_loads();
    }
    for row in rows {
        if let Some(board) = by_source.get_mut(&row.source) {
            board.outcomes.put_loaded(row.range, LoadedChunk::from(&row));
        }
    }
    for failure in failures {
        if let Some(board) = by_source.get_mut(&failure.source) {
            board.outcomes.put_refused(failure);
        }
    }
    Ok(())
}

/// Reads what the ledger and the load failures say of some chunks.
pub(super) async fn refresh_chunks(
    loader: Option<&Loader>,
    board: &mut Board,
    ranges: &[ChunkRange],
) -> Result<(), RunError> {
    let (Some(loader), false) = (loader, ranges.is_empty()) else { return Ok(()) };
    let (run, source) = (board.run().clone(), board.plan.source.clone());
    let rows = loader.ledger_of(&run, &source, ranges).await?;
    let failures = loader.failures_of(&run, &source, ranges).await?;
    for failure in failures {
        board.outcomes.put_refused(failure);
    }
    for row in rows {
        board.outcomes.put_loaded(row.range, LoadedChunk::from(&row));
    }
    Ok(())
}
