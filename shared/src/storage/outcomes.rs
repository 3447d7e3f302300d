//! Which outcome of a chunk counts: the highest one that is not voided.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;

use super::{
    Created, Storage, StorageError,
    current::Current,
    marker::{Dropped, MARKER_VERSION, Marker, Outcome, Void, VoidReason},
    paths::{self, Entry},
};
use crate::chunk::{Chunk, ChunkRange, Generation, RunId, SourceId};

/// Documents read at once when a whole run is looked at.
const READS_AT_ONCE: usize = 32;

/// Which generations of a chunk have an outcome, and which are voided: known from file names alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generations {
    /// Generations with a marker.
    pub marked: BTreeSet<Generation>,
    /// Generations that are voided.
    pub voided: BTreeSet<Generation>,
    /// Generations whose discard is let be; no more than a note beside it. [`Storage::generations`] alone tells.
    pub dropped: BTreeSet<Generation>,
}

impl Generations {
    /// The generation to work on: the one after the highest voided one.
    pub fn wanted(&self) -> Generation {
        self.voided.last().map_or(1, |voided| voided + 1)
    }

    /// The generation whose marker counts, if there is one.
    pub fn standing(&self) -> Option<Generation> {
        self.marked.contains(&self.wanted()).then(|| self.wanted())
    }
}

/// The planned ranges with their standing markers, in the order of their dates; split ones are replaced by their
/// halves. Pure.
pub fn leaves<'a>(
    planned: &[ChunkRange],
    markers: &'a BTreeMap<ChunkRange, Marker>,
) -> Vec<(ChunkRange, Option<&'a Marker>)> {
    let mut open: Vec<ChunkRange> = planned.iter().rev().copied().collect();
    let mut leaves = Vec::with_capacity(planned.len());
    while let Some(range) = open.pop() {
        let marker = markers.get(&range);
        match marker.map(|marker| &marker.outcome) {
            Some(Outcome::Split { halves: [first, second], .. }) => open.extend([*second, *first]),
            _ => leaves.push((range, marker)),
        }
    }
    leaves
}

/// Notes what a file's name tells of outcomes.
fn note(found: &mut BTreeMap<ChunkRange, Generations>, entry: &Entry) {
    match *entry {
        Entry::Marker(range, generation) => {
            found.entry(range).or_default().marked.insert(generation);
        }
        Entry::Void(range, generation) => {
            found.entry(range).or_default().voided.insert(generation);
        }
        Entry::Dropped(range, generation) => {
            found.entry(range).or_default().dropped.insert(generation);
        }
        Entry::Artifact(..) => {}
    }
}

impl Storage {
    /// The generations of every chunk of a source's part of a run that has any.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn generations(
        &self,
        source: &SourceId,
        run: &RunId,
    ) -> Result<BTreeMap<ChunkRange, Generations>, StorageError> {
        let mut found: BTreeMap<ChunkRange, Generations> = BTreeMap::new();
        for object in self.list(&paths::chunks(source, run)).await? {
            if let Some(entry) = object.location.filename().and_then(paths::entry) {
                note(&mut found, &entry);
            }
        }
        Ok(found)
    }

    /// Whether any planned chunk of a source's part of a run, or any half of a split one, has no outcome yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_open(
        &self,
        source: &SourceId,
        run: &RunId,
        planned: &[ChunkRange],
    ) -> Result<bool, StorageError> {
        let mut found: BTreeMap<ChunkRange, Generations> = BTreeMap::new();
        let mut files = BTreeSet::new();
        for object in self.list(&paths::chunks(source, run)).await? {
            match object.location.filename().and_then(paths::entry) {
                Some(Entry::Artifact(range, generation)) => drop(files.insert((range, generation))),
                Some(entry) => note(&mut found, &entry),
                None => {}
            }
        }
        let mut open = planned.to_vec();
        while let Some(range) = open.pop() {
            let Some(generation) = found.get(&range).and_then(Generations::standing) else { return Ok(true) };
            // a file beside the marker: it was committed. Without one the marker itself says what became of it
            if !files.contains(&(range, generation)) {
                let chunk = Chunk { source: source.clone(), run: run.clone(), range };
                match self.marker(&chunk, generation).await?.map(|marker| marker.outcome) {
                    Some(Outcome::Split { halves, .. }) => open.extend(halves),
                    Some(Outcome::Committed(_) | Outcome::Discarded { .. }) => {}
                    None => return Ok(true),
                }
            }
        }
        Ok(false)
    }

    /// The generations of one chunk.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn generations_of(&self, chunk: &Chunk) -> Result<Generations, StorageError> {
        // generations have no gaps: each but the highest is voided
        let mut found = Generations::default();
        for generation in 1.. {
            let voided = self.get(&paths::void(chunk, generation)).await?.is_some();
            if voided {
                found.voided.insert(generation);
            }
            if voided || self.get(&paths::marker(chunk, generation)).await?.is_some() {
                found.marked.insert(generation);
            }
            if !voided {
                break;
            }
        }
        Ok(found)
    }

    /// The standing marker of every chunk of a source's part of a run that has one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn standing(
        &self,
        source: &SourceId,
        run: &RunId,
    ) -> Result<BTreeMap<ChunkRange, Marker>, StorageError> {
        let found = self.generations(source, run).await?;
        let standing = found.into_iter().filter_map(|(range, generations)| {
            let chunk = Chunk { source: source.clone(), run: run.clone(), range };
            generations.standing().map(|generation| (chunk, generation))
        });
        let markers = self.markers(standing.collect()).await?;
        Ok(markers.into_iter().map(|marker| (marker.chunk.range, marker)).collect())
    }

    /// The markers of these generations, in no order, many read at once; those that are gone meanwhile are left out.
    ///
    /// # Errors
    /// When the store fails, or a marker is of a version that this build does not know.
    pub async fn markers(&self, of: Vec<(Chunk, Generation)>) -> Result<Vec<Marker>, StorageError> {
        stream::iter(of)
            .map(|(chunk, generation)| async move { self.marker(&chunk, generation).await })
            .buffer_unordered(READS_AT_ONCE)
            .try_filter_map(|marker| async move { Ok(marker) })
            .try_collect()
            .await
    }

    /// The standing markers of these chunks, in no order, many read at once; a chunk without one is left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn standing_of_each(&self, chunks: Vec<Chunk>) -> Result<Vec<Marker>, StorageError> {
        stream::iter(chunks)
            .map(|chunk| async move { self.standing_of(&chunk).await })
            .buffer_unordered(READS_AT_ONCE)
            .try_filter_map(|marker| async move { Ok(marker) })
            .try_collect()
            .await
    }

    /// One chunk's standing marker.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn standing_of(&self, chunk: &Chunk) -> Result<Option<Marker>, StorageError> {
        match self.current(chunk, 1).await? {
            Current::Stands(marker) => Ok(Some(*marker)),
            Current::Open(_) => Ok(None),
        }
    }

    /// The marker of one generation.
    ///
    /// # Errors
    /// When the store fails, or the marker is of a version that this build does not know.
    pub async fn marker(
        &self,
        chunk: &Chunk,
        generation: Generation,
    ) -> Result<Option<Marker>, StorageError> {
        let key = paths::marker(chunk, generation);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.read_marker(chunk, generation, &bytes).map(Some)
    }

    /// Reads the marker of one generation.
    pub(super) fn read_marker(
        &self,
        chunk: &Chunk,
        generation: Generation,
        bytes: &[u8],
    ) -> Result<Marker, StorageError> {
        let key = paths::marker(chunk, generation);
        let marker: Marker = self.versioned(&key, bytes, MARKER_VERSION)?;
        if marker.chunk != *chunk || marker.generation != generation {
            return Err(self.odd(&key, format!("it is about {} g{}", marker.chunk, marker.generation)));
        }
        self.checked(&key, marker)
    }

    /// A marker whose halves, if it has any, are those of its chunk: whoever follows them comes to an end.
    fn checked(&self, key: &Path, marker: Marker) -> Result<Marker, StorageError> {
        match &marker.outcome {
            Outcome::Split { halves, .. } if !marker.chunk.range.is_halved_by(halves) => {
                let [first, second] = halves;
                Err(self
                    .odd(key, format!("{first} and {second} are not the halves of {}", marker.chunk.range)))
            }
            _ => Ok(marker),
        }
    }

    /// Writes a chunk's outcome, unless one of that generation stands: the fence against zombies.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_marker(&self, marker: &Marker) -> Result<Created<Marker>, StorageError> {
        let key = paths::marker(&marker.chunk, marker.generation);
        Ok(match self.create(&key, marker, MARKER_VERSION).await? {
            Created::Mine => Created::Mine,
            Created::Other(stands) => Created::Other(self.checked(&key, stands)?),
        })
    }

    /// Voids one outcome, so that the next generation runs; the first reason stands. A run that had ended is open again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn void(
        &self,
        chunk: &Chunk,
        generation: Generation,
        reason: VoidReason,
        detail: &str,
    ) -> Result<(), StorageError> {
        let void = Void { version: MARKER_VERSION, at: Utc::now(), reason, detail: detail.to_owned() };
        self.create(&paths::void(chunk, generation), &void, MARKER_VERSION).await?;
        self.reopen(&chunk.run).await
    }

    /// Notes that a discarded outcome is let be; the first reason stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_outcome(
        &self,
        chunk: &Chunk,
        generation: Generation,
        reason: &str,
    ) -> Result<(), StorageError> {
        let dropped = Dropped { version: MARKER_VERSION, at: Utc::now(), reason: reason.to_owned() };
        self.create(&paths::dropped(chunk, generation), &dropped, MARKER_VERSION).await.map(drop)
    }

    /// Whether and why a discarded outcome is let be.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dropped(
        &self,
        chunk: &Chunk,
        generation: Generation,
    ) -> Result<Option<Dropped>, StorageError> {
        let key = paths::dropped(chunk, generation);
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        self.versioned(&key, &bytes, MARKER_VERSION).map(Some)
    }

    /// Why the outcomes of a chunk were voided, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn voids(&self, chunk: &Chunk) -> Result<Vec<Void>, StorageError> {
        let mut voids = Vec::new();
        for generation in self.generations_of(chunk).await?.voided {
            let key = paths::void(chunk, generation);
            if let Some(bytes) = self.get(&key).await? {
                voids.push(self.versioned(&key, &bytes, MARKER_VERSION)?);
            }
        }
        Ok(voids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{retry::FailureClass, storage::marker::GrantRef};

    fn discarded(nonce: u64, generation: Generation) -> Marker {
        Marker {
            version: MARKER_VERSION,
            chunk: Chunk {
                source: "s".parse().unwrap(),
                run: "r".parse().unwrap(),
                range: "2025-08-01_2025-08-02".parse().unwrap(),
            },
            generation,
            grant: GrantRef { worker: "w".parse().unwrap(), nonce, attempt: 1 },
            started_at: Utc::now(),
            finished_at: Utc::now(),
            outcome: Outcome::Discarded {
                class: FailureClass::Data,
                error: "e".into(),
                attempts: 1,
                rejects: None,
                bundle: None,
            },
        }
    }

    #[tokio::test]
    async fn the_first_outcome_of_a_generation_wins_and_a_void_opens_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let (first, late) = (discarded(1, 1), discarded(2, 1));
        assert_eq!(storage.create_marker(&first).await.unwrap(), Created::Mine);
        assert_eq!(storage.create_marker(&first).await.unwrap(), Created::Mine, "a retried put meets itself");
        assert_eq!(storage.create_marker(&late).await.unwrap(), Created::Other(first.clone()));
        assert_eq!(storage.standing_of(&first.chunk).await.unwrap(), Some(first.clone()));

        storage.void(&first.chunk, 1, VoidReason::Retried, "asked for").await.unwrap();
        assert_eq!(storage.standing_of(&first.chunk).await.unwrap(), None);
        assert_eq!(storage.generations_of(&first.chunk).await.unwrap().wanted(), 2);
        let again = discarded(3, 2);
        assert_eq!(storage.create_marker(&again).await.unwrap(), Created::Mine);
        let standing = storage.standing(&again.chunk.source, &again.chunk.run).await.unwrap();
        assert_eq!(standing.into_values().collect::<Vec<_>>(), [again]);
        assert_eq!(storage.voids(&first.chunk).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_run_is_open_while_a_half_of_a_split_chunk_is() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let range = |text: &str| text.parse::<ChunkRange>().unwrap();
        let halves = [range("2025-08-01_2025-08-02"), range("2025-08-02_2025-08-03")];
        let whole = range("2025-08-01_2025-08-03");
        let mut split = Marker { outcome: Outcome::Split { halves, answer: None }, ..discarded(1, 1) };
        split.chunk.range = whole;
        let (source, run) = (split.chunk.source.clone(), split.chunk.run.clone());
        let planned = [whole];
        let is_open = || storage.has_open(&source, &run, &planned);
        assert!(is_open().await.unwrap());
        storage.create_marker(&split).await.unwrap();
        assert!(is_open().await.unwrap(), "its halves are");
        for (at, half) in halves.into_iter().enumerate() {
            let mut ended = discarded(2, 1);
            ended.chunk.range = half;
            storage.create_marker(&ended).await.unwrap();
            assert_eq!(is_open().await.unwrap(), at == 0);
        }
        storage
            .void(&Chunk { range: halves[0], ..split.chunk.clone() }, 1, VoidReason::Retried, "x")
            .await
            .unwrap();
        assert!(is_open().await.unwrap());
    }

    #[test]
    fn halves_stand_where_the_split_chunk_stood() {
        let range = |text: &str| text.parse::<ChunkRange>().unwrap();
        let (both, first, second, last) = (
            range("2025-08-01_2025-08-03"),
            range("2025-08-01_2025-08-02"),
            range("2025-08-02_2025-08-03"),
            range("2025-08-03_2025-08-05"),
        );
        let split =
            Marker { outcome: Outcome::Split { halves: [first, second], answer: None }, ..discarded(1, 1) };
        let markers = BTreeMap::from([(both, split), (second, discarded(2, 1))]);
        let found = leaves(&[both, last], &markers);
        let ranges: Vec<ChunkRange> = found.iter().map(|(range, _)| *range).collect();
        assert_eq!(ranges, [first, second, last]);
        assert_eq!(
            found.iter().map(|(_, marker)| marker.is_some()).collect::<Vec<_>>(),
            [false, true, false]
        );
    }
}
