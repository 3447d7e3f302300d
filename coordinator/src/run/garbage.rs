//! Files of a run that nothing refers to: artifacts and failure bundles of tries that came to nothing, and uploads that
//! nobody finishes.
//!
//! What a loader holds beside a table is temporary and goes with its transaction: nothing of it is left to remove.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, Generation, RunId, SourceId},
    storage::{
        Storage, StorageError,
        failures::StoredBundle,
        marker::{Marker, Outcome},
        outcomes::Generations,
        unfinished::Unfinished,
        upkeep::{StoredArtifact, Usage},
    },
};

/// What goes.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Artifacts and files of rejected rows.
    pub artifacts: Vec<(Chunk, StoredArtifact)>,
    /// Failure bundles.
    pub bundles: Vec<StoredBundle>,
    /// Uploads.
    pub uploads: Vec<Unfinished>,
}

impl Garbage {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.artifacts.is_empty() && self.bundles.is_empty() && self.uploads.is_empty()
    }

    /// How much it takes; uploads are not counted, no listing tells their size.
    pub fn usage(&self) -> Usage {
        let bundles = self.bundles.iter().fold(Usage::default(), |sum, bundle| Usage {
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
    /// The run is cancelled: no outcome comes any more.
    cancelled: bool,
    generations: BTreeMap<ChunkRange, Generations>,
    artifacts: Vec<StoredArtifact>,
    bundles: Vec<StoredBundle>,
}

impl Listed {
    async fn of(
        storage: &Storage,
        source: &SourceId,
        run: &RunId,
        before: DateTime<Utc>,
    ) -> Result<Self, StorageError> {
        let cancelled = storage.cancelled(run).await?.is_some();
        // files before markers: a file that is listed was there before the outcome that it is compared with
        let mut artifacts = storage.artifacts(source, run).await?;
        let mut bundles = storage.bundles(source, run).await?;
        let generations = storage.generations(source, run).await?;
        let decided = |range: &ChunkRange| cancelled || generations.contains_key(range);
        artifacts.retain(|artifact| artifact.modified < before && decided(&artifact.range));
        bundles.retain(|bundle| bundle.modified < before && decided(&bundle.range));
        Ok(Self { cancelled, generations, artifacts, bundles })
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.cancelled.hash(&mut hasher);
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

/// Looks for what is older than `before` in a source's part of a run. `memory` saves reading what has not changed since
/// a look that found nothing.
///
/// # Errors
/// When storage fails.
pub async fn look(
    storage: &Storage,
    (source, run): (&SourceId, &RunId),
    before: DateTime<Utc>,
    memory: &mut Memory,
    found: &mut Garbage,
) -> Result<(), StorageError> {
    let uploads = storage.unfinished(source, run).await?;
    // those of the run's own documents are seen with each of its sources
    let fresh = |upload: &Unfinished| upload.began < before && !found.uploads.contains(upload);
    let uploads: Vec<Unfinished> = uploads.into_iter().filter(fresh).collect();
    found.uploads.extend(uploads);
    let listed = Listed::of(storage, source, run, before).await?;
    let (place, fingerprint) = ((run.clone(), source.clone()), listed.fingerprint());
    if memory.0.get(&place) == Some(&fingerprint) {
        return Ok(());
    }
    let standing = standing(storage, (source, run), &listed).await?;
    let Listed { cancelled, generations, artifacts, bundles } = listed;
    let none = Generations::default();
    let goes = |range: &ChunkRange, generation, name: &str| {
        let known = generations.get(range).unwrap_or(&none);
        unneeded(generation, name, known, standing.get(range), cancelled)
    };
    let count = found.artifacts.len() + found.bundles.len();
    for artifact in artifacts.into_iter().filter(|a| goes(&a.range, a.generation, &a.name)) {
        let chunk = Chunk { source: source.clone(), run: run.clone(), range: artifact.range };
        found.artifacts.push((chunk, artifact));
    }
    found.bundles.extend(bundles.into_iter().filter(|b| goes(&b.range, b.generation, &b.key)));
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
    for (chunk, artifact) in &garbage.artifacts {
        storage.delete_artifact(chunk, &artifact.name).await?;
    }
    for bundle in &garbage.bundles {
        storage.delete_bundle(bundle).await?;
    }
    for upload in &garbage.uploads {
        storage.abort(upload).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nstore_shared::{
        retry::FailureClass,
        storage::marker::{GrantRef, MARKER_VERSION},
    };

    use super::*;

    #[test]
    fn a_file_is_unneeded_only_when_an_outcome_names_another_or_none_comes_any_more() {
        const RANGE: &str = "2025-08-01_2025-08-02";
        let range: ChunkRange = RANGE.parse().unwrap();
        let marker = |generation| Marker {
            version: MARKER_VERSION,
            chunk: Chunk { source: "s".parse().unwrap(), run: "r".parse().unwrap(), range },
            generation,
            grant: GrantRef { worker: "w".parse().unwrap(), nonce: 1, attempt: 1 },
            started_at: Utc::now(),
            finished_at: Utc::now(),
            outcome: Outcome::Discarded {
                class: FailureClass::Data,
                error: "e".into(),
                attempts: 1,
                rejects: Some("2025-08-01_2025-08-02.g1.w-1.csv".into()),
                bundle: Some("failures/s/r/2025-08-01_2025-08-02.g1.w-1".into()),
            },
        };
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
