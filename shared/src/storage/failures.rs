//! Failure bundles: what a failed try of a browser looked like. One folder per grant, found by the marker's word.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::{ObjectStoreExt as _, path::Path};

use super::{Storage, StorageError, marker::GrantRef, paths, upkeep::Usage};
use crate::chunk::{Chunk, ChunkRange, Generation, RunId, SourceId};

/// The most bytes of one bundle: a page that writes without end must not fill the store.
pub const LARGEST_BUNDLE_BYTES: usize = 32 << 20;

/// A bundle as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBundle {
    /// The chunk it belongs to.
    pub range: ChunkRange,
    /// The outcome that was tried for.
    pub generation: Generation,
    /// Its folder, as [`Storage::put_bundle`] answered it.
    pub key: String,
    /// Its files.
    pub usage: Usage,
    /// When it was last written to.
    pub modified: DateTime<Utc>,
}

impl Storage {
    /// Stores what a failed try looked like, each file under the name that it is given; answers the folder, relative
    /// to the store. A second call for the same grant writes over the first.
    ///
    /// # Errors
    /// When the store fails, all files together exceed [`LARGEST_BUNDLE_BYTES`], or a name has other characters than
    /// `a-z`, `0-9`, `_`, `.` and `-`.
    pub async fn put_bundle(
        &self,
        chunk: &Chunk,
        generation: Generation,
        grant: &GrantRef,
        files: &[(&str, Bytes)],
    ) -> Result<String, StorageError> {
        let folder = paths::bundle(chunk, generation, &grant.worker, grant.nonce);
        let refused = |reason: String| {
            Err(StorageError::Bundle { url: self.url.clone(), key: folder.to_string(), reason })
        };
        if let Some((bad, _)) = files.iter().find(|(name, _)| !valid_file_name(name)) {
            return refused(format!("`{bad}` is no name of a file in it"));
        }
        let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
        if bytes > LARGEST_BUNDLE_BYTES {
            return refused(format!("its {bytes} bytes are more than {LARGEST_BUNDLE_BYTES}"));
        }
        for (name, content) in files {
            let key = folder.clone().join(*name);
            self.store.put(&key, content.clone().into()).await.map_err(|e| self.failed(key.as_ref(), e))?;
        }
        Ok(folder.into())
    }

    /// The failure bundles of a source's part of a run, whether a marker names them or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bundles(&self, source: &SourceId, run: &RunId) -> Result<Vec<StoredBundle>, StorageError> {
        let prefix = paths::failures(source, run);
        let mut found: BTreeMap<String, StoredBundle> = BTreeMap::new();
        for object in self.list(&prefix).await? {
            let folder = object.location.prefix_match(&prefix).and_then(|mut below| below.next());
            let Some(folder) = folder.map(|part| part.as_ref().to_owned()) else { continue };
            let Some((range, generation)) = paths::bundle_of(&folder) else { continue };
            let bundle = found.entry(folder.clone()).or_insert_with(|| StoredBundle {
                range,
                generation,
                key: prefix.clone().join(folder.as_str()).into(),
                usage: Usage::default(),
                modified: object.last_modified,
            });
            bundle.usage.files += 1;
            bundle.usage.bytes += object.size;
            bundle.modified = bundle.modified.max(object.last_modified);
        }
        Ok(found.into_values().collect())
    }

    /// Removes a bundle. Only for one that no standing marker names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_bundle(&self, bundle: &StoredBundle) -> Result<(), StorageError> {
        self.delete_all(&Path::from(bundle.key.as_str())).await.map(drop)
    }

    /// Where people find something stored, by its key.
    pub fn url_of(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    /// Where people find a file beside a chunk's marker, by its name.
    pub fn url_beside(&self, chunk: &Chunk, name: &str) -> String {
        self.url_of(paths::beside(chunk, name).as_ref())
    }
}

/// A leading dot would name the folder itself, its parent, or a file that no listing shows.
fn valid_file_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        (folder, storage)
    }

    fn chunk_of(run: &str) -> Chunk {
        Chunk {
            source: "network".parse().unwrap(),
            run: run.parse().unwrap(),
            range: "2025-08-01_2025-08-03".parse().unwrap(),
        }
    }

    fn grant(nonce: u64) -> GrantRef {
        GrantRef { worker: "host-1-s0".parse().unwrap(), nonce, attempt: 1 }
    }

    #[tokio::test]
    async fn a_bundle_lies_in_a_folder_of_its_grant_and_goes_with_its_run() {
        let (folder, storage) = open();
        let chunk = chunk_of("r1");
        let files = [("page.html", Bytes::from_static(b"<p>")), ("step.json", Bytes::from_static(b"{}"))];
        let key = storage.put_bundle(&chunk, 2, &grant(7), &files).await.unwrap();
        assert_eq!(key, "failures/network/r1/2025-08-01_2025-08-03.g2.host-1-s0-7");
        let path = storage.url_of(&key).strip_prefix("file://").unwrap().to_owned();
        assert_eq!(std::fs::read(format!("{path}/page.html")).unwrap(), b"<p>");

        storage.put_bundle(&chunk, 2, &grant(8), &files[1..]).await.unwrap();
        let found = storage.bundles(&chunk.source, &chunk.run).await.unwrap();
        let seen: Vec<_> =
            found.iter().map(|b| (b.range, b.generation, b.usage.files, b.usage.bytes)).collect();
        assert_eq!(seen, [(chunk.range, 2, 2, 5), (chunk.range, 2, 1, 2)]);
        assert_eq!(found[0].key, key);
        assert_eq!(storage.usage_of(&chunk.source, &chunk.run).await.unwrap(), Usage { files: 3, bytes: 7 });
        assert_eq!(storage.usage().await.unwrap()["network"], Usage { files: 3, bytes: 7 });

        storage.delete_bundle(&found[1]).await.unwrap();
        assert_eq!(storage.bundles(&chunk.source, &chunk.run).await.unwrap(), found[..1]);
        let other = chunk_of("r2");
        storage.put_bundle(&other, 1, &grant(1), &files).await.unwrap();
        storage.remove_source(&chunk.source, &chunk.run).await.unwrap();
        assert!(!folder.path().join("failures/network/r1").exists(), "no empty folder stays");
        assert_eq!(storage.bundles(&other.source, &other.run).await.unwrap().len(), 1, "another run's stays");
    }

    #[tokio::test]
    async fn a_bundle_that_is_too_large_or_names_another_folder_is_refused() {
        let (folder, storage) = open();
        for bad in ["", ".", "..", ".hidden", "../x", "a/b", "A.png", "ä", &"x".repeat(101)] {
            let refused = storage.put_bundle(&chunk_of("r1"), 1, &grant(1), &[(bad, Bytes::new())]).await;
            assert!(matches!(refused, Err(StorageError::Bundle { .. })), "{bad}");
        }
        let half = Bytes::from(vec![0; LARGEST_BUNDLE_BYTES / 2 + 1]);
        let files = [("a.png", half.clone()), ("b.png", half)];
        let refused = storage.put_bundle(&chunk_of("r1"), 1, &grant(1), &files).await.unwrap_err();
        assert!(!refused.may_pass() && refused.to_string().contains("33554432"), "{refused}");
        assert!(!folder.path().join("failures").exists(), "nothing of it is stored");
        storage.put_bundle(&chunk_of("r1"), 1, &grant(1), &files[..1]).await.unwrap();
    }
}
