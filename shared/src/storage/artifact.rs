//! Writing and reading a chunk's files, with their sha256 taken on the way.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{Error as StoreError, ObjectStoreExt as _, WriteMultipart, path::Path};
use sha2::{Digest, Sha256};

use super::{ArtifactKind, Storage, StorageError, marker::ArtifactRef, paths};
use crate::chunk::{Chunk, Generation, RunId, SourceId, WorkerId};

/// Bytes of one part of an upload: what a writer holds in memory, times [`PARTS_AT_ONCE`].
const PART_BYTES: usize = 5 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 2;

/// A file that is being written; it does not exist for others before [`ArtifactWriter::finish`].
pub struct ArtifactWriter {
    storage: Storage,
    key: Path,
    name: String,
    upload: WriteMultipart,
    sha256: Sha256,
    bytes: u64,
}

impl ArtifactWriter {
    /// Adds bytes; waits while too many are on their way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.sha256.update(&bytes);
        self.bytes += bytes.len() as u64;
        self.upload.put(bytes);
        let ready = self.upload.wait_for_capacity(PARTS_AT_ONCE).await;
        ready.map_err(|e| self.storage.failed(self.key.as_ref(), e))
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file stand, durably.
    ///
    /// # Errors
    /// When the store fails; then nothing stands.
    pub async fn finish(self) -> Result<ArtifactRef, StorageError> {
        self.upload.finish().await.map_err(|e| self.storage.failed(self.key.as_ref(), e))?;
        Ok(ArtifactRef { name: self.name, sha256: hex::encode(self.sha256.finalize()), bytes: self.bytes })
    }

    /// Gives up; nothing stands.
    ///
    /// # Errors
    /// When the store fails to clean up.
    pub async fn abort(self) -> Result<(), StorageError> {
        self.upload.abort().await.map_err(|e| self.storage.failed(self.key.as_ref(), e))
    }
}

impl Storage {
    /// Starts a chunk's file: one name per grant, so two workers never write the same one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn artifact_writer(
        &self,
        chunk: &Chunk,
        generation: Generation,
        worker: &WorkerId,
        nonce: u64,
        kind: ArtifactKind,
    ) -> Result<ArtifactWriter, StorageError> {
        let name = paths::artifact_name(&chunk.range, generation, worker, nonce, kind);
        self.writer(paths::beside(chunk, &name), name).await
    }

    /// Starts the aggregated file of a source's part of a run; an older one is replaced.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn processed_writer(
        &self,
        source: &SourceId,
        run: &RunId,
    ) -> Result<ArtifactWriter, StorageError> {
        let key = paths::processed(source, run);
        let name = key.to_string();
        self.writer(key, name).await
    }

    async fn writer(&self, key: Path, name: String) -> Result<ArtifactWriter, StorageError> {
        let upload = self.store.put_multipart(&key).await.map_err(|e| self.failed(key.as_ref(), e))?;
        let upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(ArtifactWriter { storage: self.clone(), key, name, upload, sha256: Sha256::new(), bytes: 0 })
    }

    /// Reads a chunk's file as it lies there, unchecked; `None` when it is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_artifact(
        &self,
        chunk: &Chunk,
        name: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, StorageError>>>, StorageError> {
        let key = paths::beside(chunk, name);
        match self.store.get(&key).await {
            Ok(found) => {
                let storage = self.clone();
                let failed = move |e| storage.failed(key.as_ref(), e);
                Ok(Some(found.into_stream().map(move |piece| piece.map_err(&failed)).boxed()))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(key.as_ref(), e)),
        }
    }

    /// Removes a chunk's file. Only for one that no standing marker names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_artifact(&self, chunk: &Chunk, name: &str) -> Result<(), StorageError> {
        self.delete(&paths::beside(chunk, name)).await
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_stands_only_when_finished_and_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let chunk = Chunk {
            source: "s".parse().unwrap(),
            run: "r".parse().unwrap(),
            range: "2025-08-01_2025-08-02".parse().unwrap(),
        };
        let worker = "w".parse().unwrap();
        let open = || storage.artifact_writer(&chunk, 1, &worker, 1, ArtifactKind::Rows);
        let mut writer = open().await.unwrap();
        writer.write(Bytes::from_static(b"a\n")).await.unwrap();
        writer.abort().await.unwrap();
        assert!(storage.read_artifact(&chunk, "2025-08-01_2025-08-02.g1.w-1.csv").await.unwrap().is_none());

        let mut writer = open().await.unwrap();
        for piece in ["a\n", "1\n"] {
            writer.write(Bytes::from(piece)).await.unwrap();
        }
        let stands = writer.finish().await.unwrap();
        assert_eq!(
            (stands.bytes, stands.sha256.as_str()),
            (4, hex::encode(Sha256::digest("a\n1\n")).as_str())
        );
        let read: Vec<Bytes> =
            storage.read_artifact(&chunk, &stands.name).await.unwrap().unwrap().try_collect().await.unwrap();
        assert_eq!(read.concat(), b"a\n1\n");
    }
}
