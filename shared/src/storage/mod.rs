//! The only user of `object_store`: manifests, markers, artifacts and failure bundles, and where they lie.
//!
//! - `open`: the store that a URL names; `answers`: what an object store says when it says no; `error`
//! - [`manifest`]: a run's plan; [`paused`]: what is not worked on for now
//! - [`marker`]: a chunk's outcome, and what voids it
//! - [`outcomes`]: which outcome of a chunk counts; [`current`]: the same of one chunk, for workers; [`halves`]: what a chunk is split into
//! - [`artifact`]: writing and reading a chunk's files
//! - [`failures`]: what failed tries looked like
//! - [`identity`]: which storage it is
//! - [`rejects`]: rows that did not fit
//! - [`unfinished`]: uploads that a killed writer left
//! - [`upkeep`]: how much there is, how much fits, what goes

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use crate::{chunk::RunId, guard::Guard};

mod answers;
pub mod artifact;
pub mod current;
mod ended;
mod error;
pub mod failures;
pub mod halves;
pub mod identity;
pub mod manifest;
pub mod marker;
mod open;
pub mod outcomes;
mod paths;
pub mod paused;
pub mod rejects;
pub mod unfinished;
pub mod upkeep;

pub use answers::Refusal;
pub use error::StorageError;
pub use paths::ArtifactKind;

use error::may_pass;
use manifest::{Cancelled, MANIFEST_VERSION, Manifest, STOP_VERSION};
use unfinished::Uploads;

/// What became of a create-only write.
#[derive(Debug, Clone, PartialEq)]
pub enum Created<T> {
    /// It stands as written.
    Mine,
    /// Another stood there first.
    Other(T),
}

/// Tries of a create-only write whose outcome the store leaves open, and the wait between them, growing.
const CREATES: u32 = 5;
const CREATE_WAIT: Duration = Duration::from_millis(50);

/// The store of all runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    url: String,
    /// Of a local store, its folder.
    root: Option<PathBuf>,
    /// Of an S3 bucket, its uploads.
    uploads: Option<Arc<Uploads>>,
}

impl Storage {
    /// The resolved URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a run's manifest, unless one stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_manifest(&self, manifest: &Manifest) -> Result<Created<Manifest>, StorageError> {
        self.create(&paths::manifest(&manifest.run), manifest, MANIFEST_VERSION).await
    }

    /// A run's manifest; `None` when there is no such run.
    ///
    /// # Errors
    /// When the store fails, or the manifest is of a version that this build does not know.
    pub async fn manifest(&self, run: &RunId) -> Result<Option<Manifest>, StorageError> {
        let key = paths::manifest(run);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.versioned(&key, &bytes, MANIFEST_VERSION).map(Some)
    }

    /// All runs, oldest name first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn runs(&self) -> Result<Vec<RunId>, StorageError> {
        let listed = self
            .store
            .list_with_delimiter(Some(&paths::runs()))
            .await
            .map_err(|e| self.failed("runs/", e))?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()?.parse().ok());
        let mut runs: Vec<RunId> = names.collect();
        runs.sort();
        Ok(runs)
    }

    /// Records that a run is cancelled; the first reason stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancel(&self, run: &RunId, reason: &str) -> Result<(), StorageError> {
        let cancelled = Cancelled { version: STOP_VERSION, at: Utc::now(), reason: reason.to_owned() };
        self.create(&paths::cancelled(run), &cancelled, STOP_VERSION).await.map(drop)
    }

    /// Whether and why a run is cancelled.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancelled(&self, run: &RunId) -> Result<Option<Cancelled>, StorageError> {
        let key = paths::cancelled(run);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.versioned(&key, &bytes, STOP_VERSION).map(Some)
    }

    /// Creates `key` with `document`; if one stands there already, says which.
    async fn create<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &Path,
        document: &T,
        version: u32,
    ) -> Result<Created<T>, StorageError> {
        let unwritable = |e: serde_json::Error| self.odd(key, e.to_string());
        let bytes = Bytes::from(serde_json::to_vec_pretty(document).map_err(unwritable)?);
        let mut tries = 1;
        loop {
            let failure = match self.put_new(key, bytes.clone()).await {
                Ok(()) => return Ok(Created::Mine),
                Err(e @ StoreError::AlreadyExists { .. }) => e,
                // an answer that got lost on its way says nothing of what was done
                Err(e) if self.root.is_none() && may_pass(&e) => e,
                Err(e) => return Err(self.failed(key.as_ref(), e)),
            };
            // a repeated put meets its own first try
            match self.get(key).await {
                Ok(Some(stands)) => {
                    let stands: T = self.versioned(key, &stands, version)?;
                    let mine = Guard::ReadBack.stands() && stands == *document;
                    return Ok(if mine { Created::Mine } else { Created::Other(stands) });
                }
                // refused while another's create was under way, which came to nothing, or never arrived
                Ok(None) if tries < CREATES => {}
                Ok(None) | Err(_) => return Err(self.failed(key.as_ref(), failure)),
            }
            tokio::time::sleep(CREATE_WAIT * tries).await;
            tries += 1;
        }
    }

    /// Writes an object, unless one stands there.
    async fn put_new(&self, key: &Path, bytes: Bytes) -> Result<(), StoreError> {
        let marker = || matches!(key.filename().and_then(paths::entry), Some(paths::Entry::Marker(..)));
        let overwrites = !Guard::CreateOnly.stands() && marker();
        let mode = if overwrites { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(key, bytes.into(), options).await.map(drop)
    }

    async fn get(&self, key: &Path) -> Result<Option<Bytes>, StorageError> {
        let failed = |e| self.failed(key.as_ref(), e);
        match self.store.get(key).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// The objects below a prefix, by name and size.
    async fn list(&self, prefix: &Path) -> Result<Vec<object_store::ObjectMeta>, StorageError> {
        self.store.list(Some(prefix)).try_collect().await.map_err(|e| self.failed(prefix.as_ref(), e))
    }

    async fn delete(&self, key: &Path) -> Result<(), StorageError> {
        match self.store.delete(key).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed(key.as_ref(), e)),
        }
    }

    async fn delete_all(&self, prefix: &Path) -> Result<u64, StorageError> {
        let keys = self.store.list(Some(prefix)).map_ok(|meta| meta.location).boxed();
        let mut gone = self.store.delete_stream(keys);
        let mut count = 0;
        while let Some(deleted) = gone.next().await {
            match deleted {
                Ok(_) => count += 1,
                Err(StoreError::NotFound { .. }) => {}
                Err(e) => return Err(self.failed(prefix.as_ref(), e)),
            }
        }
        Ok(count)
    }

    /// Reads a document after a look at its version alone, so that a newer one is named as such.
    fn versioned<T: DeserializeOwned>(
        &self,
        key: &Path,
        bytes: &[u8],
        known: u32,
    ) -> Result<T, StorageError> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            version: u32,
        }
        let odd = |e: serde_json::Error| self.odd(key, e.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(odd)?;
        if version != known {
            let (url, key) = (self.url.clone(), key.to_string());
            return Err(StorageError::Version { url, key, found: version, known });
        }
        serde_json::from_slice(bytes).map_err(odd)
    }

    fn failed(&self, key: &str, source: StoreError) -> StorageError {
        StorageError::of(&self.url, key, source)
    }

    fn odd(&self, key: &Path, reason: String) -> StorageError {
        StorageError::Document { url: self.url.clone(), key: key.to_string(), reason }
    }
}
