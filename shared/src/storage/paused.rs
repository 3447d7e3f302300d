//! What is paused: a run, or a source in all runs. A document each, so that it outlives Redis.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Created, Storage, StorageError, manifest::STOP_VERSION, paths};
use crate::chunk::{RunId, SourceId};

/// How long a worker may still start chunks after storage says that their run or source is stopped, where Redis does
/// not say so: it asks storage that often, and not for each chunk.
pub const STOP_SEEN: Duration = Duration::from_millis(500);

/// What a pause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseOf<'a> {
    /// One run, all its sources.
    Run(&'a RunId),
    /// One source, all its runs, those to come included.
    Source(&'a SourceId),
}

/// Why nothing more of a run or a source is extracted for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Format version of this document.
    pub version: u32,
    /// Since when.
    pub at: DateTime<Utc>,
    /// By whom or what, for people.
    pub reason: String,
}

impl Storage {
    /// Records that nothing more of a run or a source is to be extracted; a pause that stands stays as it is. Answers
    /// what stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pause(&self, of: PauseOf<'_>, reason: &str) -> Result<Paused, StorageError> {
        let paused = Paused { version: STOP_VERSION, at: Utc::now(), reason: reason.to_owned() };
        match self.create(&paths::paused(of), &paused, STOP_VERSION).await? {
            Created::Mine => Ok(paused),
            Created::Other(stands) => Ok(stands),
        }
    }

    /// Takes a pause back; answers what stood, if one did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unpause(&self, of: PauseOf<'_>) -> Result<Option<Paused>, StorageError> {
        let stood = self.paused(of).await?;
        if stood.is_some() {
            self.delete(&paths::paused(of)).await?;
        }
        Ok(stood)
    }

    /// Whether and why a run or a source is paused.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn paused(&self, of: PauseOf<'_>) -> Result<Option<Paused>, StorageError> {
        let key = paths::paused(of);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.versioned(&key, &bytes, STOP_VERSION).map(Some)
    }
}
