//! Brings Redis up to what storage and the ledger show, for one run after the other.

use nstore_shared::{
    chunk::{ChunkState, RunId, SourceId},
    storage::manifest::Manifest,
};
use serde::Serialize;

use super::{House, Repaired, RunError, board::Board, submit};

/// What was found of a run, and what Redis was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// The run.
    pub run: RunId,
    /// It is cancelled: Redis was told that nothing of it runs any more.
    pub cancelled: bool,
    /// Its sources, in the order asked for.
    pub sources: Vec<RebuiltSource>,
}

/// What was found of one source's part of a run, and what Redis was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuiltSource {
    /// The source.
    pub source: SourceId,
    /// Chunks in all; the halves of a split one count, it does not.
    pub chunks: u64,
    /// Chunks with an outcome in storage.
    pub ended: u64,
    /// Chunks that the ledger holds.
    pub loaded: u64,
    /// What Redis was told.
    #[serde(flatten)]
    pub told: Repaired,
}

/// Which runs are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Whatever its state.
    Any,
    /// With chunks that have not ended, or that Redis takes for such.
    Open,
}

/// Compares a run with Redis and tells Redis what it lacks; `None` when only open runs are meant and this one is none.
///
/// # Errors
/// When a service is away; repeating it is safe.
pub async fn rebuild(house: &House, manifest: &Manifest, of: Of) -> Result<Option<Rebuilt>, RunError> {
    let mut boards = submit::boards(&house.storage, house.loader.as_ref(), manifest).await?;
    if of == Of::Open && is_over(house, &boards).await? {
        return Ok(None);
    }
    let mut sources = Vec::with_capacity(boards.len());
    for board in &mut boards {
        let told = house.reconcile(board).await?;
        sources.push(source(board, told));
    }
    let cancelled = boards.iter().any(|board| board.cancelled);
    Ok(Some(Rebuilt { run: manifest.run.clone(), cancelled, sources }))
}

fn source(board: &Board, told: Repaired) -> RebuiltSource {
    RebuiltSource {
        source: board.plan.source.clone(),
        chunks: board.outcomes.leaves().len() as u64,
        ended: board.outcomes.ended() as u64,
        loaded: board.outcomes.loaded().chunks,
        told,
    }
}

/// By storage nothing of a run is to be extracted any more, and Redis offers nothing of it to workers.
async fn is_over(house: &House, boards: &[Board]) -> Result<bool, RunError> {
    let open = [ChunkState::Available, ChunkState::Running, ChunkState::Retryable];
    for board in boards {
        if !board.extraction_ended() {
            return Ok(false);
        }
        let told = house.redis.queue().progress(&board.plan.source, board.run()).await?;
        if told.is_some_and(|told| open.iter().any(|state| told.chunks.contains_key(state))) {
            return Ok(false);
        }
    }
    Ok(true)
}
