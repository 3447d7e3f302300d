//! The files of one try: the artifact, and the rejects once there are any.

use bytes::Bytes;
use nstore_shared::{
    chunk::{Chunk, Generation},
    storage::{
        ArtifactKind, Storage, StorageError,
        artifact::ArtifactWriter,
        marker::{ArtifactRef, GrantRef},
    },
};

/// Two files that are being written; nothing stands before they are finished.
pub(super) struct Shelf<'a> {
    storage: &'a Storage,
    chunk: &'a Chunk,
    generation: Generation,
    by: &'a GrantRef,
    rows: ArtifactWriter,
    rejects: Option<ArtifactWriter>,
}

impl<'a> Shelf<'a> {
    /// Opens the artifact.
    pub(super) fn open(
        storage: &'a Storage,
        chunk: &'a Chunk,
        generation: Generation,
        by: &'a GrantRef,
    ) -> Self {
        let rows = storage.artifact_writer(chunk, generation, &by.worker, by.nonce, ArtifactKind::Rows);
        Self { storage, chunk, generation, by, rows, rejects: None }
    }

    /// Adds CSV lines.
    pub(super) async fn rows(&mut self, csv: Bytes) -> Result<(), StorageError> {
        if csv.is_empty() { Ok(()) } else { self.rows.write(csv).await }
    }

    /// Adds rejected records.
    pub(super) async fn rejects(&mut self, lines: Bytes) -> Result<(), StorageError> {
        if lines.is_empty() {
            return Ok(());
        }
        if let Some(rejects) = &mut self.rejects {
            return rejects.write(lines).await;
        }
        let (by, kind) = (self.by, ArtifactKind::Rejects);
        let opened = self.storage.artifact_writer(self.chunk, self.generation, &by.worker, by.nonce, kind);
        self.rejects.insert(opened).write(lines).await
    }

    /// Bytes of the artifact so far.
    pub(super) fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// Makes both stand.
    pub(super) async fn finish(self) -> Result<(ArtifactRef, Option<ArtifactRef>), StorageError> {
        let rejects = match self.rejects {
            Some(rejects) => Some(rejects.finish().await?),
            None => None,
        };
        Ok((self.rows.finish().await?, rejects))
    }

    /// Makes the rejects stand and gives the artifact up.
    pub(super) async fn finish_rejects(self) -> Result<Option<ArtifactRef>, StorageError> {
        self.rows.abort().await?;
        match self.rejects {
            Some(rejects) => rejects.finish().await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives both up. What cannot be cleaned up now is found as an orphan later.
    pub(super) async fn abort(self) {
        drop(self.rows.abort().await);
        if let Some(rejects) = self.rejects {
            drop(rejects.abort().await);
        }
    }
}
