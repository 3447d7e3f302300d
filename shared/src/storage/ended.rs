//! Marks of runs. Those of which nothing is left to be done have theirs outside the run's own folder, so that one listing
//! finds all; whatever gives a run work again takes it away.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Storage, StorageError, manifest::STOP_VERSION, paths};
use crate::chunk::RunId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    version: u32,
    at: DateTime<Utc>,
}

impl Storage {
    /// Marks a run as ended: nobody who looks for work looks into it any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_ended(&self, run: &RunId) -> Result<(), StorageError> {
        let ended = Mark { version: STOP_VERSION, at: Utc::now() };
        self.create(&paths::ended(run), &ended, STOP_VERSION).await.map(drop)
    }

    /// Takes the mark of an ended run away, if it has one: something of it is to be done.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reopen(&self, run: &RunId) -> Result<(), StorageError> {
        self.delete(&paths::ended(run)).await
    }

    /// Notes that a run which was asked for without its rows being loaded is loaded after all.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_load(&self, run: &RunId) -> Result<(), StorageError> {
        let asked = Mark { version: STOP_VERSION, at: Utc::now() };
        self.create(&paths::load(run), &asked, STOP_VERSION).await.map(drop)
    }

    /// Whether [`Storage::mark_load`] was called for a run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_load(&self, run: &RunId) -> Result<bool, StorageError> {
        Ok(self.get(&paths::load(run)).await?.is_some())
    }

    /// The runs that are marked as ended: one request for a thousand of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ended(&self) -> Result<BTreeSet<RunId>, StorageError> {
        let listed = self.list(&paths::all_ended()).await?;
        let run = |name: &str| name.strip_suffix(".json")?.parse().ok();
        Ok(listed.iter().filter_map(|object| run(object.location.filename()?)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_is_ended_until_it_is_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let runs: [RunId; 2] = ["r1", "r2"].map(|run| run.parse().unwrap());
        assert!(storage.ended().await.unwrap().is_empty());
        for run in runs.iter().chain(&runs) {
            storage.mark_ended(run).await.unwrap();
        }
        assert!(!storage.has_load(&runs[0]).await.unwrap());
        storage.mark_load(&runs[0]).await.unwrap();
        assert!(storage.has_load(&runs[0]).await.unwrap() && !storage.has_load(&runs[1]).await.unwrap());
        assert_eq!(storage.ended().await.unwrap(), BTreeSet::from(runs.clone()));
        storage.reopen(&runs[0]).await.unwrap();
        storage.reopen(&runs[0]).await.unwrap();
        assert_eq!(storage.ended().await.unwrap(), BTreeSet::from([runs[1].clone()]));
    }
}
