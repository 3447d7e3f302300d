//! How much there is, how much still fits, and what goes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use object_store::{Error as StoreError, ObjectStoreExt as _, path::Path};

use super::{
    Storage, StorageError,
    paths::{self, Entry},
};
use crate::chunk::{ChunkRange, Generation, RunId, SourceId};

/// What stands under the key that tells whether creates are exclusive.
const PROBE: &str = "nstore creates this once, and twice it must be refused; it may stay\n";

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
    /// Writes, reads and removes a small file, and tries what [`Storage::check_creates`] does; answers how long the
    /// former took.
    ///
    /// # Errors
    /// When the store fails, or overwrites what it should create only.
    pub async fn check(&self) -> Result<Duration, StorageError> {
        self.check_creates().await?;
        let key = Path::from(format!(".check-{}", fastrand::u64(..)));
        let started = Instant::now();
        self.store.put(&key, "nstore".into()).await.map_err(|e| self.failed(key.as_ref(), e))?;
        self.get(&key).await?;
        self.delete(&key).await?;
        Ok(started.elapsed())
    }

    /// Makes sure that the store refuses to create what is there already: all safety against late workers stands on
    /// that. Its probe stays, under one key, so that it is written once in the life of a store.
    ///
    /// # Errors
    /// When the store fails, or overwrites the probe.
    pub async fn check_creates(&self) -> Result<(), StorageError> {
        if self.root.is_some() {
            // a hard link never replaces a file
            return Ok(());
        }
        let key = paths::probe();
        for _ in 0..2 {
            match self.put_new(&key, PROBE.into()).await {
                Ok(()) => {}
                Err(StoreError::AlreadyExists { .. }) => return Ok(()),
                Err(e) => return Err(self.failed(key.as_ref(), e)),
            }
        }
        Err(StorageError::NotExclusive { url: self.url.clone() })
    }

    /// Bytes that still fit; `None` for an object store, which takes what one pays for.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let Some(root) = &self.root else { return Ok(None) };
        let stats = rustix::fs::statvfs(root)
            .map_err(|e| StorageError::Io { url: self.url.clone(), source: e.into() })?;
        Ok(Some(stats.f_bavail.saturating_mul(stats.f_frsize)))
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
        for upload in self.unfinished(source, run).await? {
            self.abort(&upload).await?;
        }
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
        self.delete_all(&paths::run(run)).await?;
        self.reopen(run).await
    }
}
