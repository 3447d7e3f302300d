//! A run from its manifest to its report: submit, watch, reconcile, load beside extraction, finish.
//!
//! - [`submit`]: manifest -> registered, days claimed, enqueued
//! - [`watch`]: follows a run to its end and loads what is stored
//! - `reconcile`: storage against Redis
//! - `board`: what is known of one source's part, `doubts`: when that is compared with storage; `outcomes`: its markers
//!   and loads; `status`: what people see; pure
//! - `hold`: a source that is left alone for a while; `notices`: what is said once of a source while its run is followed
//! - `evidence`: what shows that stored chunks are complete; pure
//! - `loading`: which loads are on their way
//! - [`report`]: what came of it
//! - [`change`]: cancel and retry
//! - [`garbage`]: files that nothing refers to
//! - [`letters`]: dead letters, of all runs
//! - [`rebuild`]: all runs at once, by command
//! - [`change`]: cancel and retry; [`paused`]: pause and unpause

use nstore_shared::{
    chunk::RunId,
    redis::{Redis, RedisError},
    storage::{Storage, StorageError, manifest::Manifest},
};

use crate::load::{LoadError, Loader};

mod board;
pub mod change;
mod doubts;
mod evidence;
pub mod garbage;
mod hold;
pub mod letters;
mod loading;
mod notices;
mod outcomes;
pub mod paused;
pub mod rebuild;
mod reconcile;
pub mod report;
mod status;
pub mod submit;
pub mod watch;

pub use hold::SourceHold;
pub use paused::{Pause, PauseScope};
pub use reconcile::Repaired;
pub use report::{EvidenceCounts, RunReport, RunState, SourceReport, SourceWarning, Verdict};
pub use status::{FailedChunk, SourceStatus};
pub use watch::{View, WatchOptions};

/// The services that runs live in. Cheap to clone.
#[derive(Clone)]
pub struct House {
    /// Manifests, markers, artifacts.
    pub storage: Storage,
    /// The queue.
    pub redis: Redis,
    /// The way into Postgres; `None` where nothing is loaded.
    pub loader: Option<Loader>,
}

/// What goes wrong with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such run.
    #[error("there is no run `{0}` in storage")]
    Unknown(RunId),
    /// The same idempotency key was used for another plan.
    #[error("run `{0}` has the same idempotency key and another plan")]
    KeyTaken(RunId),
    /// A cancelled run does not go on.
    #[error("run `{run}` is cancelled: {reason}")]
    Cancelled {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// The run is to be loaded and no Postgres is at hand.
    #[error("run `{0}` is loaded into postgres, and postgres is not connected")]
    NoLoader(RunId),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RunError {
    /// Whether waiting and trying again can help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Storage(e) => e.may_pass(),
            Self::Redis(e) => e.may_pass(),
            Self::Load(e) => e.may_pass(),
            Self::Unknown(_) | Self::KeyTaken(_) | Self::Cancelled { .. } | Self::NoLoader(_) => false,
        }
    }
}

impl House {
    /// A run's manifest.
    ///
    /// # Errors
    /// When there is no such run, or storage fails.
    pub async fn manifest(&self, run: &RunId) -> Result<Manifest, RunError> {
        self.storage.manifest(run).await?.ok_or_else(|| RunError::Unknown(run.clone()))
    }

    /// The loader that a run needs.
    fn loader_of(&self, manifest: &Manifest) -> Result<&Loader, RunError> {
        self.loader.as_ref().ok_or_else(|| RunError::NoLoader(manifest.run.clone()))
    }
}
