//! How much there is, how much still fits, and what goes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use object_store::{ObjectStoreExt as _, path::Path};

use super::{
    Storage, StorageError,
    paths::{self, Entry},
};
use crate::chunk::{ChunkRange, Generation, RunId, SourceId};

/// How much of something is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An artifact as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArtifact {
    /// The chunk it belongs to.
    pub range: ChunkRange,
    /// The outcome it was written for.
    pub generation: Generation,
    /// Its file name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: DateTime<Utc>,
}

impl Storage {
    /// Writes, reads and removes a small file; answers how long that took.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn check(&self) -> Result<Duration, StorageError> {
        let key = Path::from(format!(".check-{}", fastrand::u64(..)));
        let started = Instant::now();
        self.store.put(&key, "nstore".into()).await.map_err(|e| self.failed(key.as_ref(), e))?;
        self.get(&key).await?;
        self.delete(&key).await?;
        Ok(started.elapsed())
    }

    /// Bytes that still fit.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn free_bytes(&self) -> Result<u64, StorageError> {
        let stats = rustix::fs::statvfs(&self.root)
            .map_err(|e| StorageError::Io { url: self.url.clone(), source: e.into() })?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }

    /// How much each source's chunks take, its failure bundles and its aggregated files.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn usage(&self) -> Result<BTreeMap<String, Usage>, StorageError> {
        let mut found: BTreeMap<String, Usage> = BTreeMap::new();
        for top in ["chunks", "failures", "processed"] {
            for object in self.list(&Path::from(top)).await? {
                let source =
                    object.location.parts().nth(1).map_or_else(String::new, |p| p.as_ref().to_owned());
                let usage = found.entry(source).or_default();
                usage.files += 1;
                usage.bytes += object.size;
            }
        }
        Ok(found)
    }

    /// The artifacts of a source's part of a run, whether a marker names them or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn artifacts(
        &self,
        source: &SourceId,
        run: &RunId,
    ) -> Result<Vec<StoredArtifact>, StorageError> {
        let objects = self.list(&paths::chunks(source, run)).await?;
        let artifact = |object: object_store::ObjectMeta| {
            let name = object.location.filename()?.to_owned();
            let Some(Entry::Artifact(range, generation)) = paths::entry(&name) else { return None };
            Some(StoredArtifact {
                range,
                generation,
                name,
                bytes: object.size,
                modified: object.last_modified,
            })
        };
        Ok(objects.into_iter().filter_map(artifact).collect())
    }

    /// How much a source's part of a run takes, its failure bundles with it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn usage_of(&self, source: &SourceId, run: &RunId) -> Result<Usage, StorageError> {
        let mut objects = self.list(&paths::chunks(source, run)).await?;
        objects.extend(self.list(&paths::failures(source, run)).await?);
        Ok(Usage { files: objects.len() as u64, bytes: objects.iter().map(|o| o.size).sum() })
    }

    /// Removes a source's part of a run, then its failure bundles and its aggregated file; answers how many files went.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_source(&self, source: &SourceId, run: &RunId) -> Result<u64, StorageError> {
        let mut gone = self.delete_all(&paths::chunks(source, run)).await?;
        gone += self.delete_all(&paths::failures(source, run)).await?;
        self.delete(&paths::processed(source, run)).await?;
        Ok(gone)
    }

    /// Removes a run's manifest and what lies beside it: after this the run does not exist.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_run(&self, run: &RunId) -> Result<(), StorageError> {
        // the manifest first: without its mark, a cancelled run would look open
        self.delete(&paths::manifest(run)).await?;
        self.delete(&paths::cancelled(run)).await?;
        self.delete_all(&paths::run(run)).await.map(drop)
    }
}
