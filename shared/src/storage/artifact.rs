//! Writing and reading a chunk's files, with their sha256 taken on the way.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{Error as StoreError, ObjectStoreExt as _, PutPayloadMut, WriteMultipart, path::Path};
use sha2::{Digest, Sha256};

use super::{ArtifactKind, Storage, StorageError, marker::ArtifactRef, paths};
use crate::chunk::{Chunk, Generation, RunId, SourceId, WorkerId};

/// Bytes of one part of an upload: what a writer holds in memory, beside [`PARTS_AT_ONCE`] that are on their way. What
/// is no larger is written in one request. S3 takes 10,000 parts of a file, which then ends at 50 GB.
const PART_BYTES: usize = 5 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 2;

/// A file that is being written; it does not exist for others before [`ArtifactWriter::finish`].
pub struct ArtifactWriter {
    storage: Storage,
    key: Path,
    name: String,
    body: Body,
    sha256: Sha256,
    bytes: u64,
}

/// What of a file has not gone to the store yet, or how it goes.
enum Body {
    /// It may still fit into one request.
    Whole(PutPayloadMut),
    Parts(WriteMultipart),
}

impl ArtifactWriter {
    /// Adds bytes; waits while too many are on their way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.sha256.update(&bytes);
        self.bytes += bytes.len() as u64;
        if let Body::Whole(held) = &mut self.body {
            if held.content_length() + bytes.len() <= PART_BYTES {
                held.push(bytes);
                return Ok(());
            }
            let held = std::mem::take(held).freeze();
            let mut upload = self.storage.upload(&self.key).await?;
            held.into_iter().for_each(|piece| upload.put(piece));
            self.body = Body::Parts(upload);
        }
        let Body::Parts(upload) = &mut self.body else { return Ok(()) };
        upload.put(bytes);
        let ready = upload.wait_for_capacity(PARTS_AT_ONCE).await;
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
        let stands =
            ArtifactRef { name: self.name, sha256: hex::encode(self.sha256.finalize()), bytes: self.bytes };
        let written = match self.body {
            Body::Whole(held) => self.storage.store.put(&self.key, held.freeze()).await,
            Body::Parts(upload) => upload.finish().await,
        };
        match written {
            Ok(_) => Ok(stands),
            // the answer may have got lost, and then a repeated finish finds no upload any more
            Err(_) if self.storage.root.is_none() && self.storage.holds(&self.key, &stands).await => {
                Ok(stands)
            }
            Err(e) => Err(self.storage.failed(self.key.as_ref(), e)),
        }
    }

    /// Gives up; nothing stands.
    ///
    /// # Errors
    /// When the store fails to clean up.
    pub async fn abort(self) -> Result<(), StorageError> {
        let Body::Parts(upload) = self.body else { return Ok(()) };
        match upload.abort().await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.storage.failed(self.key.as_ref(), e)),
        }
    }
}

impl Storage {
    /// Starts a chunk's file: one name per grant, so two workers never write the same one.
    pub fn artifact_writer(
        &self,
        chunk: &Chunk,
        generation: Generation,
        worker: &WorkerId,
        nonce: u64,
        kind: ArtifactKind,
    ) -> ArtifactWriter {
        let name = paths::artifact_name(&chunk.range, generation, worker, nonce, kind);
        self.writer(paths::beside(chunk, &name), name)
    }

    /// Starts the aggregated file of a source's part of a run; an older one is replaced.
    pub fn processed_writer(&self, source: &SourceId, run: &RunId) -> ArtifactWriter {
        let key = paths::processed(source, run);
        let name = key.to_string();
        self.writer(key, name)
    }

    fn writer(&self, key: Path, name: String) -> ArtifactWriter {
        let body = Body::Whole(PutPayloadMut::new());
        ArtifactWriter { storage: self.clone(), key, name, body, sha256: Sha256::new(), bytes: 0 }
    }

    async fn upload(&self, key: &Path) -> Result<WriteMultipart, StorageError> {
        let upload = self.store.put_multipart(key).await.map_err(|e| self.failed(key.as_ref(), e))?;
        Ok(WriteMultipart::new_with_chunk_size(upload, PART_BYTES))
    }

    /// Whether just that file stands there, as far as the store can tell.
    async fn holds(&self, key: &Path, file: &ArtifactRef) -> bool {
        let Ok(found) = self.store.get(key).await else { return false };
        if found.meta.size != file.bytes {
            return false;
        }
        let (mut pieces, mut sum) = (found.into_stream(), Sha256::new());
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return false };
            sum.update(&piece);
        }
        hex::encode(sum.finalize()) == file.sha256
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
        let mut writer = open();
        writer.write(Bytes::from_static(b"a\n")).await.unwrap();
        writer.abort().await.unwrap();
        assert!(storage.read_artifact(&chunk, "2025-08-01_2025-08-02.g1.w-1.csv").await.unwrap().is_none());

        let mut writer = open();
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
