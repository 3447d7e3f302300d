//! Where one chunk stands, by as few requests as a worker can do with: nothing is listed.

use super::{Storage, StorageError, marker::Marker, paths};
use crate::chunk::{Chunk, Generation};

/// Where a chunk stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Current {
    /// This outcome counts.
    Stands(Box<Marker>),
    /// This generation is to be worked on.
    Open(Generation),
}

impl Storage {
    /// Where a chunk stands, for one who was told that generation `expected` is to be worked on: one request where
    /// that is the first one and has no outcome, two for a later one.
    ///
    /// # Errors
    /// When the store fails, or the marker that counts cannot be read.
    pub async fn current(&self, chunk: &Chunk, expected: Generation) -> Result<Current, StorageError> {
        // generations have no gaps: where the one before is voided, all are
        let starts_there = expected > 1 && self.is_voided(chunk, expected - 1).await?;
        for generation in if starts_there { expected } else { 1 }.. {
            // a marker is written before it is voided
            let key = paths::marker(chunk, generation);
            let Some(bytes) = self.get(&key).await? else { return Ok(Current::Open(generation)) };
            if !self.is_voided(chunk, generation).await? {
                let marker = self.read_marker(chunk, generation, &bytes)?;
                return Ok(Current::Stands(Box::new(marker)));
            }
        }
        Ok(Current::Open(Generation::MAX))
    }

    async fn is_voided(&self, chunk: &Chunk, generation: Generation) -> Result<bool, StorageError> {
        Ok(self.get(&paths::void(chunk, generation)).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::storage::marker::VoidReason;

    #[tokio::test]
    async fn a_chunk_stands_where_its_markers_and_voids_say_whatever_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let chunk: Chunk = "s/r/2025-08-01_2025-08-02".parse().unwrap();
        let outcome = |generation| {
            let class = crate::retry::FailureClass::Data;
            Marker::discarded_by_coordinator(chunk.clone(), generation, class, "e".into(), Utc::now())
        };
        let stands = async |generation: Generation| {
            let expected = outcome(generation);
            for told in 1..4 {
                match storage.current(&chunk, told).await.unwrap() {
                    Current::Stands(marker) => assert_eq!(marker.generation, expected.generation),
                    Current::Open(generation) => panic!("open at {generation}, told {told}"),
                }
            }
        };
        let open = async |generation: Generation| {
            for told in 1..4 {
                assert_eq!(storage.current(&chunk, told).await.unwrap(), Current::Open(generation), "{told}");
            }
        };
        open(1).await;
        for generation in 1..3 {
            storage.create_marker(&outcome(generation)).await.unwrap();
            stands(generation).await;
            storage.void(&chunk, generation, VoidReason::Retried, "asked for").await.unwrap();
            open(generation + 1).await;
        }
    }
}
