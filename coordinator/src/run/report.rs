//! What came of a run, derived from storage and the ledger; Redis adds only what is in flight.

use nstore_shared::{
    chunk::RunId,
    storage::{
        Storage,
        manifest::{Manifest, RefusedPlan},
    },
};
use serde::Serialize;

pub use super::{FailedChunk, SourceStatus};
use super::{House, RunError, board::Board, submit};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every chunk is stored, and loaded where that was asked for.
    Good,
    /// Something is still to be done.
    Open,
    /// It has ended; some of it is good.
    Partial,
    /// It has ended; nothing of it is good.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A run, seen at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How it stands.
    pub verdict: Verdict,
    /// Loading was asked for.
    pub upload: bool,
    /// Its sources, in the order asked for.
    pub sources: Vec<SourceReport>,
}

/// One source's part of a run, seen at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Counts.
    pub status: SourceStatus,
    /// How it stands.
    pub verdict: Verdict,
    /// Chunks that failed for good, in extraction or in load.
    pub failed: Vec<FailedChunk>,
    /// Why nothing of the source could be loaded.
    pub blocked: Option<String>,
}

/// Looks at a run: storage first, the ledger where there is one, Redis for what is in flight if it answers.
///
/// # Errors
/// When storage or Postgres fails.
pub async fn report(house: &House, manifest: &Manifest) -> Result<RunReport, RunError> {
    let mut boards = submit::boards(house, manifest).await?;
    for board in &mut boards {
        board.progress = match house.redis.queue().progress(&board.plan.source, &manifest.run).await {
            // without Redis the stored truth is shown alone
            Err(away) if away.may_pass() => None,
            told => told?,
        };
    }
    // a run that was extracted alone may have been loaded later
    let touched = |board: &Board| !board.loaded.is_empty() || !board.refused.is_empty();
    let load = manifest.upload.enabled || boards.iter().any(touched);
    Ok(of_boards(&house.storage, manifest, &boards, load))
}

/// What boards show; storage only says where things lie.
pub(super) fn of_boards(storage: &Storage, manifest: &Manifest, boards: &[Board], load: bool) -> RunReport {
    let mut sources: Vec<SourceReport> = boards.iter().map(|board| of_board(storage, board, load)).collect();
    sources.extend(manifest.refused.iter().map(|refused| of_refused(manifest, refused)));
    RunReport { run: manifest.run.clone(), verdict: overall(&sources), upload: load, sources }
}

/// A source that was asked for and is not extracted.
fn of_refused(manifest: &Manifest, refused: &RefusedPlan) -> SourceReport {
    let status = Board::new(manifest, &refused.plan).status();
    SourceReport { status, verdict: Verdict::Failed, failed: vec![], blocked: Some(refused.reason.clone()) }
}

fn of_board(storage: &Storage, board: &Board, load: bool) -> SourceReport {
    let status = board.status();
    let something = if load { status.loaded_chunks > 0 } else { status.done > 0 };
    let verdict = if board.good(load) {
        Verdict::Good
    } else if board.cancelled {
        Verdict::Cancelled
    } else if !board.extraction_ended() || (load && board.blocked.is_none() && !board.load_ended()) {
        Verdict::Open
    } else if something {
        Verdict::Partial
    } else {
        Verdict::Failed
    };
    let failed = board.failed(|key| storage.url_of(key));
    SourceReport { status, verdict, failed, blocked: board.blocked.clone() }
}

fn overall(sources: &[SourceReport]) -> Verdict {
    let all = |verdict| sources.iter().all(|source| source.verdict == verdict);
    let any = |verdict| sources.iter().any(|source| source.verdict == verdict);
    if all(Verdict::Good) {
        Verdict::Good
    } else if any(Verdict::Cancelled) {
        Verdict::Cancelled
    } else if any(Verdict::Open) {
        Verdict::Open
    } else if all(Verdict::Failed) && sources.iter().all(|source| source.status.done == 0) {
        Verdict::Failed
    } else {
        Verdict::Partial
    }
}
