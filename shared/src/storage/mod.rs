//! The only user of `object_store`: manifests, markers, artifacts and failure bundles, and where they lie.
//!
//! - [`manifest`]: a run's plan
//! - [`marker`]: a chunk's outcome, and what voids it
//! - [`outcomes`]: which outcome of a chunk counts
//! - [`artifact`]: writing and reading a chunk's files
//! - [`failures`]: what failed tries looked like
//! - [`upkeep`]: how much there is, how much fits, what goes

use std::{path::PathBuf, sync::Arc};

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, local::LocalFileSystem,
    path::Path,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::chunk::RunId;

pub mod artifact;
pub mod failures;
pub mod manifest;
pub mod marker;
pub mod outcomes;
mod paths;
pub mod upkeep;

pub use paths::ArtifactKind;

use manifest::{Cancelled, MANIFEST_VERSION, Manifest};

/// What goes wrong with storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The URL is none that nstore can use.
    #[error("storage url `{url}` cannot be used: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed: disk full, no rights, away.
    #[error("storage at {url} failed at `{key}`: {source}")]
    Store {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// What the store said.
        source: StoreError,
    },
    /// The local file system failed.
    #[error("storage at {url} failed: {source}")]
    Io {
        /// Where.
        url: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stored document that cannot be read: other hands, damage, or a newer nstore.
    #[error("`{key}` in storage at {url} is not understood: {reason}")]
    Document {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A failure bundle that is not taken.
    #[error("failure bundle `{key}` is not stored at {url}: {reason}")]
    Bundle {
        /// Where.
        url: String,
        /// Its folder.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StorageError {
    /// Whether another try can end otherwise: not when the store says no, nor when it cannot do it at all.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Document { .. } | Self::Bundle { .. } => false,
            Self::Io { source, .. } => may_pass(source),
            Self::Store { source, .. } => match source {
                StoreError::PermissionDenied { .. }
                | StoreError::Unauthenticated { .. }
                | StoreError::InvalidPath { .. }
                | StoreError::NotSupported { .. }
                | StoreError::NotImplemented { .. }
                | StoreError::UnknownConfigurationKey { .. } => false,
                // a local store has no kinds for these: the system's own error lies below
                other => io_below(other).is_none_or(may_pass),
            },
        }
    }
}

fn io_below(e: &StoreError) -> Option<&std::io::Error> {
    let first: &(dyn std::error::Error + 'static) = e;
    std::iter::successors(Some(first), |e| e.source()).find_map(|e| e.downcast_ref())
}

fn may_pass(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    !matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory | IsADirectory)
}

/// What became of a create-only write.
#[derive(Debug, Clone, PartialEq)]
pub enum Created<T> {
    /// It stands as written.
    Mine,
    /// Another stood there first.
    Other(T),
}

/// The store of all runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    url: String,
    root: PathBuf,
}

impl Storage {
    /// Opens the store at `url` (`file:./storage`, `file:///srv/nstore`); a local folder is made when absent.
    ///
    /// # Errors
    /// When the URL is of an unknown kind, or the folder cannot be made.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        let unusable = |reason: String| StorageError::Url { url: url.to_owned(), reason };
        let Some(path) = url.strip_prefix("file:") else {
            return Err(unusable("it must start with `file:`, as in file:./storage".into()));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(unusable("it names no folder".into()));
        }
        std::fs::create_dir_all(path).map_err(|e| unusable(format!("cannot make folder `{path}`: {e}")))?;
        let root =
            std::fs::canonicalize(path).map_err(|e| unusable(format!("cannot open folder `{path}`: {e}")))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|e| unusable(e.to_string()))?;
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), url: format!("file://{}", root.display()), root })
    }

    /// The resolved URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a run's manifest, unless one stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_manifest(&self, manifest: &Manifest) -> Result<Created<Manifest>, StorageError> {
        self.create(&paths::manifest(&manifest.run), manifest).await
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
        let cancelled = Cancelled { version: MANIFEST_VERSION, at: Utc::now(), reason: reason.to_owned() };
        self.create(&paths::cancelled(run), &cancelled).await.map(drop)
    }

    /// Whether and why a run is cancelled.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cancelled(&self, run: &RunId) -> Result<Option<Cancelled>, StorageError> {
        let key = paths::cancelled(run);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.versioned(&key, &bytes, MANIFEST_VERSION).map(Some)
    }

    /// Creates `key` with `document`; if one stands there already, says which.
    async fn create<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &Path,
        document: &T,
    ) -> Result<Created<T>, StorageError> {
        let unwritable = |e: serde_json::Error| self.odd(key, e.to_string());
        let bytes = serde_json::to_vec_pretty(document).map_err(unwritable)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(key, bytes.into(), options).await {
            Ok(_) => Ok(Created::Mine),
            Err(StoreError::AlreadyExists { .. }) => {
                // a retried put may meet its own first try
                let stands =
                    self.get(key).await?.ok_or_else(|| self.odd(key, "it is there and not there".into()))?;
                let stands: T = serde_json::from_slice(&stands).map_err(|e| self.odd(key, e.to_string()))?;
                Ok(if stands == *document { Created::Mine } else { Created::Other(stands) })
            }
            Err(e) => Err(self.failed(key.as_ref(), e)),
        }
    }

    async fn get(&self, key: &Path) -> Result<Option<bytes::Bytes>, StorageError> {
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
            let reason = format!("it has format version {version}, this nstore knows {known}: update nstore");
            return Err(self.odd(key, reason));
        }
        serde_json::from_slice(bytes).map_err(odd)
    }

    fn failed(&self, key: &str, source: StoreError) -> StorageError {
        StorageError::Store { url: self.url.clone(), key: key.to_owned(), source }
    }

    fn odd(&self, key: &Path, reason: String) -> StorageError {
        StorageError::Document { url: self.url.clone(), key: key.to_string(), reason }
    }
}
