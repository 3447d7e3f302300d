//! Files of a run that nothing refers to: artifacts and failure bundles of tries that came to nothing, and uploads that
//! nobody finishes.
//!
//! What a loader holds beside a table is temporary and goes with its transaction: nothing of it is left to remove.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, Generation, RunId, SourceId},
    retry::FailureClass,
    storage::{
        Created, Storage, StorageError,
        failures::StoredBundle,
        marker::{Marker, Outcome},
        outcomes::Generations,
        unfinished::Unfinished,
        upkeep::{StoredArtifact, Usage},
    },
};

/// Why a chunk of a cancelled run has an outcome.
const CLEANED: &str = "its run was cancelled and cleaned";

/// What goes.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Artifacts and files of rejected rows.
    pub artifacts: Vec<(Chunk, StoredArtifact)>,
    /// Failure bundles.
    pub bundles: Vec<(Chunk, StoredBundle)>,
    /// Uploads.
    pub uploads: Vec<Unfinished>,
    /// Chunks of cancelled runs with such files and without an outcome, and the generation that lacks it.
    open: BTreeMap<Chunk, Generation>,
}

impl Garbage {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.artifacts.is_empty() && self.bundles.is_empty() && self.uploads.is_empty()
    }

    /// How much it takes; uploads are not counted, no listing tells their size.
    pub fn usage(&self) -> Usage {
        let bundles = self.bundles.iter().fold(Usage::default(), |sum, (_, bundle)| Usage {
            files: sum.files + bundle.usage.files,
            bytes: sum.bytes + bundle.usage.bytes,
        });
        Usage {
            files: bundles.files + self.artifacts.len() as u64,
            bytes: bundles.bytes + self.artifacts.iter().map(|(_, artifact)| artifact.bytes).sum::<u64>(),
        }
    }
}

/// What was found in order before, so that hourly looks at old runs read no markers.
#[derive(Debug, Default)]
pub struct Memory(HashMap<(RunId, SourceId), u64>);

/// What lists show of a source's part of a run.
struct Listed {
    generations: BTreeMap<ChunkRange, Generations>,
    artifacts: Vec<StoredArtifact>,
    bundles: Vec<StoredBundle>,
}

impl Listed {
    async fn of(
        storage: &Storage,
        source: &SourceId,
        run: &RunId,
        cancelled: bool,
        before: DateTime<Utc>,
    ) -> Result<Self, StorageError> {
        // files before markers: a file that is listed was there before the outcome that it is compared with
        let mut artifacts = storage.artifacts(source, run).await?;
        let mut bundles = storage.bundles(source, run).await?;
        let generations = storage.generations(source, run).await?;
        let decided = |range: &ChunkRange| cancelled || generations.contains_key(range);
        artifacts.retain(|artifact| artifact.modified < before && decided(&artifact.range));
        bundles.retain(|bundle| bundle.modified < before && decided(&bundle.range));
        Ok(Self { generations, artifacts, bundles })
    }

    fn fingerprint(&self, cancelled: bool) -> u64 {
        let mut hasher = DefaultHasher::new();
        cancelled.hash(&mut hasher);
        for (range, known) in &self.generations {
            (range, &known.marked, &known.voided).hash(&mut hasher);
        }
        let mut names: Vec<&str> = self.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
        names.extend(self.bundles.iter().map(|bundle| bundle.key.as_str()));
        names.sort_unstable();
        names.hash(&mut hasher);
        hasher.finish()
    }
}

/// Looks for what is older than `before` in a source's part of a run. Of a `cancelled` run no outcome is waited for.
/// `memory` saves reading what has not changed since a look that found nothing.
///
/// # Errors
/// When storage fails.
pub async fn look(
    storage: &Storage,
    (source, run): (&SourceId, &RunId),
    cancelled: bool,
    before: DateTime<Utc>,
    memory: &mut Memory,
    found: &mut Garbage,
) -> Result<(), StorageError> {
    let uploads = storage.unfinished(source, run).await?;
    // those of the run's own documents are seen with each of its sources
    let fresh = |upload: &Unfinished| upload.began < before && !found.uploads.contains(upload);
    let uploads: Vec<Unfinished> = uploads.into_iter().filter(fresh).collect();
    found.uploads.extend(uploads);
    let listed = Listed::of(storage, source, run, cancelled, before).await?;
    let (place, fingerprint) = ((run.clone(), source.clone()), listed.fingerprint(cancelled));
    if memory.0.get(&place) == Some(&fingerprint) {
        return Ok(());
    }
    let standing = standing(storage, (source, run), &listed).await?;
    let Listed { generations, artifacts, bundles } = listed;
    let none = Generations::default();
    let mut open = BTreeMap::new();
    let mut gone = |range: ChunkRange, generation, name: &str| {
        let (known, standing) = (generations.get(&range).unwrap_or(&none), standing.get(&range));
        let chunk = Chunk { source: source.clone(), run: run.clone(), range };
        let goes = unneeded(generation, name, known, standing, cancelled);
        if goes && standing.is_none() {
            open.insert(chunk.clone(), known.wanted());
        }
        goes.then_some(chunk)
    };
    let count = found.artifacts.len() + found.bundles.len();
    for artifact in artifacts {
        let chunk = gone(artifact.range, artifact.generation, &artifact.name);
        found.artifacts.extend(chunk.map(|chunk| (chunk, artifact)));
    }
    for bundle in bundles {
        let chunk = gone(bundle.range, bundle.generation, &bundle.key);
        found.bundles.extend(chunk.map(|chunk| (chunk, bundle)));
    }
    found.open.append(&mut open);
    if found.artifacts.len() + found.bundles.len() == count {
        memory.0.insert(place, fingerprint);
    }
    Ok(())
}

/// The outcomes that count, of chunks with files.
async fn standing(
    storage: &Storage,
    (source, run): (&SourceId, &RunId),
    listed: &Listed,
) -> Result<BTreeMap<ChunkRange, Marker>, StorageError> {
    let ranges = listed.artifacts.iter().map(|artifact| artifact.range);
    let mut ranges: Vec<ChunkRange> =
        ranges.chain(listed.bundles.iter().map(|bundle| bundle.range)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let wanted = ranges.into_iter().filter_map(|range| {
        let chunk = Chunk { source: source.clone(), run: run.clone(), range };
        Some((chunk, listed.generations.get(&range)?.standing()?))
    });
    let markers = storage.markers(wanted.collect()).await?;
    Ok(markers.into_iter().map(|marker| (marker.chunk.range, marker)).collect())
}

/// Whether nothing can ever refer to an artifact or bundle of that name: its generation has another outcome, is voided
/// and a later one stands, or never gets one because the run is cancelled.
fn unneeded(
    generation: Generation,
    name: &str,
    known: &Generations,
    standing: Option<&Marker>,
    cancelled: bool,
) -> bool {
    match standing {
        Some(standing) if standing.generation > generation => known.voided.contains(&generation),
        Some(standing) if standing.generation == generation => !names(standing, name),
        _ => cancelled,
    }
}

fn names(marker: &Marker, name: &str) -> bool {
    match &marker.outcome {
        Outcome::Committed(chunk) => {
            chunk.artifact.name == name
                || chunk.quality.rejects.as_ref().is_some_and(|rejects| rejects.name == name)
        }
        Outcome::Discarded { rejects, bundle, .. } => {
            rejects.as_deref() == Some(name) || bundle.as_deref() == Some(name)
        }
        Outcome::Split { .. } => false,
    }
}

/// Removes it. Others may do the same at the same time.
///
/// # Errors
/// When storage fails; the rest is found again.
pub async fn remove(storage: &Storage, garbage: &Garbage) -> Result<(), StorageError> {
    let mut ended = BTreeSet::new();
    for (chunk, generation) in &garbage.open {
        if close(storage, chunk, *generation).await? {
            // no dead letter that anybody could do something about
            storage.drop_outcome(chunk, *generation, CLEANED).await?;
        } else {
            ended.insert(chunk);
        }
    }
    // what an outcome names that came meanwhile stays; the rest is found again
    let goes = |chunk: &Chunk| !ended.contains(chunk);
    for (chunk, artifact) in garbage.artifacts.iter().filter(|(chunk, _)| goes(chunk)) {
        storage.delete_artifact(chunk, &artifact.name).await?;
    }
    for (_, bundle) in garbage.bundles.iter().filter(|(chunk, _)| goes(chunk)) {
        storage.delete_bundle(bundle).await?;
    }
    for upload in &garbage.uploads {
        storage.abort(upload).await?;
    }
    Ok(())
}

/// Ends a chunk of a cancelled run: a worker that is cut off may still want to, and an outcome that stands already
/// refuses it. False when another outcome than this one stands.
///
/// # Errors
/// When storage fails.
pub async fn close(storage: &Storage, chunk: &Chunk, generation: Generation) -> Result<bool, StorageError> {
    let (class, error) = (FailureClass::Config, CLEANED.to_owned());
    let closed = Marker::discarded_by_coordinator(chunk.clone(), generation, class, error, Utc::now());
    Ok(match storage.create_marker(&closed).await? {
        Created::Mine => true,
        Created::Other(other) => other.outcome == closed.outcome,
    })
}

#[cfg(test)]
mod tests {
    use nstore_shared::storage::{
        ArtifactKind,
        marker::{GrantRef, MARKER_VERSION},
    };

    use super::*;

    const RANGE: &str = "2025-08-01_2025-08-02";

    /// An outcome that names the files of nonce 1.
    fn marker(generation: Generation) -> Marker {
        let chunk =
            Chunk { source: "s".parse().unwrap(), run: "r".parse().unwrap(), range: RANGE.parse().unwrap() };
        Marker {
            version: MARKER_VERSION,
            chunk,
            generation,
            grant: GrantRef { worker: "w".parse().unwrap(), nonce: 1, attempt: 1 },
            started_at: Utc::now(),
            finished_at: Utc::now(),
            outcome: Outcome::Discarded {
                class: FailureClass::Data,
                error: "e".into(),
                attempts: 1,
                rejects: Some(format!("{RANGE}.g1.w-1.csv")),
                bundle: Some(format!("failures/s/r/{RANGE}.g1.w-1")),
            },
        }
    }

    #[tokio::test]
    async fn what_a_late_outcome_of_a_cancelled_run_names_stays() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", dir.path().display())).unwrap();
        let late = marker(1);
        let Marker { chunk, grant, .. } = &late;
        let mut file = storage.artifact_writer(chunk, 1, &grant.worker, grant.nonce, ArtifactKind::Rows);
        file.write("a\n".into()).await.unwrap();
        file.finish().await.unwrap();
        let look = async || {
            let (mut found, before) = (Garbage::default(), Utc::now() + chrono::Duration::hours(1));
            let place = (&chunk.source, &chunk.run);
            look(&storage, place, true, before, &mut Memory::default(), &mut found).await.unwrap();
            found
        };
        let seen = look().await;
        assert_eq!(seen.artifacts.len(), 1, "no outcome names it, and none is waited for");
        assert_eq!(storage.create_marker(&late).await.unwrap(), Created::Mine);
        remove(&storage, &seen).await.unwrap();
        assert_eq!(storage.artifacts(&chunk.source, &chunk.run).await.unwrap().len(), 1);
        assert!(look().await.is_empty());
    }

    #[test]
    fn a_file_is_unneeded_only_when_an_outcome_names_another_or_none_comes_any_more() {
        let first = Generations { marked: [1].into(), ..Generations::default() };
        let voided = Generations { marked: [1, 2].into(), voided: [1].into(), ..Generations::default() };
        for name in [
            |g, nonce| format!("{RANGE}.g{g}.w-{nonce}.csv"),
            |g, nonce| format!("failures/s/r/{RANGE}.g{g}.w-{nonce}"),
        ] {
            let goes = |g, nonce, known, standing: Option<&Marker>| {
                let [open, cancelled] =
                    [false, true].map(|cancelled| unneeded(g, &name(g, nonce), known, standing, cancelled));
                assert!(cancelled || !open, "what nothing refers to goes in any case");
                (open, cancelled)
            };
            assert_eq!(goes(1, 1, &first, Some(&marker(1))), (false, false), "the outcome names it");
            assert_eq!(goes(1, 2, &first, Some(&marker(1))), (true, true), "the outcome names another");
            assert_eq!(goes(2, 1, &first, Some(&marker(1))), (false, true), "someone may work on the next");
            assert_eq!(goes(1, 2, &first, None), (false, true), "nothing stands yet");
            assert_eq!(goes(1, 1, &voided, Some(&marker(2))), (true, true), "voided, and a later one stands");
        }
    }
}
