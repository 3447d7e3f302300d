//! Pause and unpause: storage first, then Redis. What runs is finished; what is stored is loaded.

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{RunId, SourceId},
    storage::{
        Storage,
        paused::{PauseOf, Paused},
    },
};
use serde::Serialize;

use super::{House, RunError, board::Board, submit::refuse_cancelled};

/// What a pause is about, for those who look at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseScope {
    /// The run, in all its sources.
    Run,
    /// The source, in all runs.
    Source,
}

/// Why nothing more of a source's part of a run is extracted for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// What is paused.
    pub scope: PauseScope,
    /// Since when.
    pub at: DateTime<Utc>,
    /// By whom or what.
    pub reason: String,
}

impl Pause {
    fn of(scope: PauseScope, paused: Paused) -> Self {
        Self { scope, at: paused.at, reason: paused.reason }
    }
}

/// Pauses a run in storage; answers what stands, which may be an earlier pause. Workers ask storage too, so
/// it holds after [`nstore_shared::storage::paused::STOP_SEEN`], whether Redis hears of it or not.
///
/// # Errors
/// When there is no such run, it is cancelled, or storage fails.
pub async fn pause_run(house: &House, run: &RunId, reason: &str) -> Result<Paused, RunError> {
    house.manifest(run).await?;
    refuse_cancelled(house, run).await?;
    Ok(house.storage.pause(PauseOf::Run(run), reason).await?)
}

impl House {
    /// Tells Redis what storage says of a pause. Storage is read again afterwards: who paused or unpaused between has
    /// the last word.
    ///
    /// # Errors
    /// When storage or Redis fails.
    pub async fn tell_pause(&self, of: PauseOf<'_>, source: &SourceId) -> Result<Option<Paused>, RunError> {
        let run = match of {
            PauseOf::Run(run) => Some(run),
            PauseOf::Source(_) => None,
        };
        let mut stands = self.storage.paused(of).await?;
        loop {
            self.redis.queue().pause(source, run, stands.is_some()).await?;
            let now = self.storage.paused(of).await?;
            if now.is_some() == stands.is_some() {
                return Ok(now);
            }
            stands = now;
        }
    }

    /// Tells Redis of the pauses of a board's run and source, and notes them.
    pub(super) async fn tell_pauses(&self, board: &mut Board) -> Result<(), RunError> {
        let (run, source) = (board.run().clone(), board.plan.source.clone());
        let of_source = self.tell_pause(PauseOf::Source(&source), &source).await?;
        let of_run = self.tell_pause(PauseOf::Run(&run), &source).await?;
        board.paused = first(of_run, of_source);
        Ok(())
    }
}

/// Notes on a board what storage says of the pauses of its run and source.
pub(super) async fn read(storage: &Storage, board: &mut Board) -> Result<(), RunError> {
    let of_run = storage.paused(PauseOf::Run(board.run())).await?;
    let of_source = storage.paused(PauseOf::Source(&board.plan.source)).await?;
    board.paused = first(of_run, of_source);
    Ok(())
}

fn first(of_run: Option<Paused>, of_source: Option<Paused>) -> Option<Pause> {
    let of_run = of_run.map(|paused| Pause::of(PauseScope::Run, paused));
    of_run.or_else(|| of_source.map(|paused| Pause::of(PauseScope::Source, paused)))
}
