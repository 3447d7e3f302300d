//! The result of a run, derived from storage and the ledger; Redis only adds what is in flight.

use nstore_shared::{
    chunk::RunId,
    config,
    redis::Redis,
    storage::{
        Storage,
        manifest::{Manifest, RefusedPlan},
    },
};
use serde::Serialize;

pub use super::evidence::{EvidenceCounts, SourceWarning};
pub use super::{FailedChunk, SourceStatus};
use super::{House, RunError, board::Board, evidence, submit};
use crate::load::Loader;

/// How a run has ended, or that it has not: what the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every chunk is stored, and loaded where that was asked for.
    Complete,
    /// Something is still to be done.
    Open,
    /// It has ended; some of it is stored, or loaded where that was asked for.
    Partial,
    /// It has ended, and nothing of it is stored, or loaded where that was asked for.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How far a run, or one source's part of it, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Every chunk is stored and loaded.
    Loaded,
    /// It has ended, and some chunks are loaded.
    PartlyLoaded,
    /// It has ended, and nothing is loaded because the table or another run refused it.
    LoadRefused,
    /// Every chunk is stored; loading was not asked for.
    ExtractedOnly,
    /// It has ended, some chunks are stored, and nothing is loaded.
    PartlyExtracted,
    /// Every chunk is stored; what is loaded is not known, because the ledger could not be read.
    LoadUnknown,
    /// Something is still to be done.
    Open,
    /// Something is still to be done once it is unpaused.
    Paused,
    /// It has ended, and nothing is stored.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunState {
    /// The state as people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::PartlyLoaded => "partly loaded",
            Self::LoadRefused => "load refused",
            Self::ExtractedOnly => "extracted only",
            Self::PartlyExtracted => "partly extracted",
            Self::LoadUnknown => "extracted, load unknown",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run, seen at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How it has ended, or that it has not.
    pub verdict: Verdict,
    /// How far it has come.
    pub state: RunState,
    /// Loading was asked for.
    pub upload: bool,
    /// The ledger was read; otherwise it is not known what is loaded.
    pub ledger_known: bool,
    /// Stored chunks that nothing proves to be complete.
    pub unproven: u64,
    /// Its sources, in the order asked for.
    pub sources: Vec<SourceReport>,
}

/// One source's part of a run, seen at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Counts.
    pub status: SourceStatus,
    /// How it has ended, or that it has not.
    pub verdict: Verdict,
    /// How far it has come.
    pub state: RunState,
    /// What shows that its stored chunks are complete.
    #[serde(flatten)]
    pub evidence: EvidenceCounts,
    /// What would prove its chunks to be complete, where some are unproven and its description says nothing that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_hint: Option<String>,
    /// What is to be known of its stored chunks, each warning once.
    pub warnings: Vec<SourceWarning>,
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
    report_of(&house.storage, house.loader.as_ref(), Some(&house.redis), manifest).await
}

/// Looks at a run with the services that there are. Without a loader the ledger is not known; without Redis nothing
/// is known of what is in flight.
///
/// # Errors
/// When storage or Postgres fails.
pub async fn report_of(
    storage: &Storage,
    loader: Option<&Loader>,
    redis: Option<&Redis>,
    manifest: &Manifest,
) -> Result<RunReport, RunError> {
    let mut boards = submit::boards(storage, loader, manifest).await?;
    if let Some(redis) = redis {
        for board in &mut boards {
            let told = match redis.queue().progress(&board.plan.source, &manifest.run).await {
                // without Redis the stored truth is shown alone
                Err(away) if away.may_pass() => None,
                told => told?,
            };
            board.take_progress(told);
        }
    }
    // a run that was only extracted may have been loaded later
    let touched = |board: &Board| board.outcomes.loaded().chunks > 0 || !board.outcomes.refused().is_empty();
    let load = manifest.upload.enabled || boards.iter().any(touched);
    if load && loader.is_none() {
        return Ok(without_ledger(of_boards(storage, manifest, &boards, false)));
    }
    Ok(RunReport { ledger_known: loader.is_some(), ..of_boards(storage, manifest, &boards, load) })
}

/// What a report says of a run that is to be loaded when the ledger is not known: nothing of it can be complete.
fn without_ledger(mut report: RunReport) -> RunReport {
    for source in report.sources.iter_mut().filter(|source| source.verdict == Verdict::Complete) {
        (source.verdict, source.state) = (Verdict::Open, RunState::LoadUnknown);
    }
    if report.verdict == Verdict::Complete {
        (report.verdict, report.state) = (Verdict::Open, RunState::LoadUnknown);
    }
    RunReport { upload: true, ledger_known: false, ..report }
}

/// What boards show; storage only says where files are.
pub(super) fn of_boards(storage: &Storage, manifest: &Manifest, boards: &[Board], load: bool) -> RunReport {
    let mut sources: Vec<SourceReport> = boards.iter().map(|board| of_board(storage, board, load)).collect();
    sources.extend(manifest.refused.iter().map(|refused| of_refused(manifest, refused)));
    let verdict = overall(&sources);
    RunReport {
        run: manifest.run.clone(),
        verdict,
        state: state_of_run(verdict, &sources, load),
        upload: load,
        ledger_known: true,
        unproven: sources.iter().map(|source| source.evidence.unproven).sum(),
        sources,
    }
}

/// A source that was asked for and is not extracted.
fn of_refused(manifest: &Manifest, refused: &RefusedPlan) -> SourceReport {
    SourceReport {
        status: Board::new(manifest, &refused.plan).status(),
        verdict: Verdict::Failed,
        state: RunState::LoadRefused,
        evidence: EvidenceCounts::default(),
        evidence_hint: None,
        warnings: vec![],
        failed: vec![],
        blocked: Some(refused.reason.clone()),
    }
}

fn of_board(storage: &Storage, board: &Board, load: bool) -> SourceReport {
    let status = board.status();
    let something = if load { status.loaded_chunks > 0 } else { status.done > 0 };
    let verdict = if board.good(load) {
        Verdict::Complete
    } else if board.cancelled {
        Verdict::Cancelled
    } else if !board.extraction_ended() || (load && board.blocked.is_none() && !board.load_ended()) {
        Verdict::Open
    } else if something {
        Verdict::Partial
    } else {
        Verdict::Failed
    };
    let stored: Vec<_> = board.outcomes.committed().filter_map(|marker| marker.committed()).collect();
    let evidence = EvidenceCounts::count(stored.iter().copied());
    let gap = (evidence.unproven > 0).then(|| config::evidence_gap(&board.plan.spec)).flatten();
    let counts = Counts {
        load,
        paused: status.paused.is_some(),
        done: status.done,
        loaded: status.loaded_chunks,
        refused: status.refused > 0 || board.blocked.is_some(),
    };
    SourceReport {
        verdict,
        state: state(verdict, counts),
        evidence,
        evidence_hint: gap,
        warnings: evidence::warnings(stored.into_iter()),
        failed: board.failed(|key| storage.url_of(key)),
        blocked: board.blocked.clone(),
        status,
    }
}

fn overall(sources: &[SourceReport]) -> Verdict {
    let all = |verdict| sources.iter().all(|source| source.verdict == verdict);
    let any = |verdict| sources.iter().any(|source| source.verdict == verdict);
    if all(Verdict::Complete) {
        Verdict::Complete
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

/// What decides on a state beside the verdict.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// Loading is asked for, or was later.
    load: bool,
    paused: bool,
    /// Chunks that are stored.
    done: u64,
    /// Chunks that are loaded.
    loaded: u64,
    /// Some load was refused.
    refused: bool,
}

fn state_of_run(verdict: Verdict, sources: &[SourceReport], load: bool) -> RunState {
    let sum = |count: fn(&SourceStatus) -> u64| sources.iter().map(|source| count(&source.status)).sum();
    let open = |source: &SourceReport| source.verdict == Verdict::Open;
    let waits = |source: &SourceReport| source.state == RunState::Paused;
    let counts = Counts {
        load,
        paused: sources.iter().filter(|source| open(source)).all(waits),
        done: sum(|status| status.done),
        loaded: sum(|status| status.loaded_chunks),
        refused: sources.iter().any(|source| source.status.refused > 0 || source.blocked.is_some()),
    };
    state(verdict, counts)
}

fn state(verdict: Verdict, counts: Counts) -> RunState {
    match verdict {
        Verdict::Complete if counts.load => RunState::Loaded,
        Verdict::Complete => RunState::ExtractedOnly,
        Verdict::Cancelled => RunState::Cancelled,
        Verdict::Open if counts.paused => RunState::Paused,
        Verdict::Open => RunState::Open,
        Verdict::Partial | Verdict::Failed if counts.load && counts.loaded > 0 => RunState::PartlyLoaded,
        Verdict::Partial | Verdict::Failed if counts.load && counts.refused => RunState::LoadRefused,
        Verdict::Partial | Verdict::Failed if counts.done > 0 => RunState::PartlyExtracted,
        Verdict::Partial | Verdict::Failed => RunState::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_say_how_far_a_run_has_come() {
        let none = Counts { load: true, paused: false, done: 0, loaded: 0, refused: false };
        let some = |done, loaded, refused| Counts { done, loaded, refused, ..none };
        for (verdict, counts, right) in [
            (Verdict::Complete, some(3, 3, false), RunState::Loaded),
            (Verdict::Complete, Counts { load: false, ..some(3, 0, false) }, RunState::ExtractedOnly),
            (Verdict::Partial, some(3, 1, true), RunState::PartlyLoaded),
            (Verdict::Failed, some(3, 0, true), RunState::LoadRefused),
            (Verdict::Failed, some(2, 0, false), RunState::PartlyExtracted),
            (Verdict::Partial, Counts { load: false, ..some(2, 0, false) }, RunState::PartlyExtracted),
            (Verdict::Failed, none, RunState::Failed),
            (Verdict::Open, some(1, 1, false), RunState::Open),
            (Verdict::Open, Counts { paused: true, ..some(1, 1, false) }, RunState::Paused),
            (Verdict::Cancelled, some(3, 1, true), RunState::Cancelled),
        ] {
            assert_eq!(state(verdict, counts), right, "{verdict:?} {counts:?}");
        }
    }
}
