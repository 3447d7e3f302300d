//! Dead letters: chunks that failed for good. Which there are, running them again, letting them be.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::{
    chunk::{Chunk, RunId, SourceId},
    retry::FailureClass,
    storage::{
        Storage, StorageError,
        manifest::Manifest,
        marker::{Marker, Outcome, VoidReason},
    },
};

use super::{
    House, RunError,
    rebuild::{self, Of},
};

/// A chunk whose standing outcome is a discard.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// That outcome.
    pub marker: Marker,
    /// It is let be.
    pub dropped: bool,
}

/// Which chunks are meant; an empty list limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these sources.
    pub sources: Vec<SourceId>,
    /// Of these runs.
    pub runs: Vec<RunId>,
    /// That failed like this.
    pub classes: Vec<FailureClass>,
    /// These alone.
    pub chunks: Vec<Chunk>,
}

impl Filter {
    fn means_run(&self, run: &RunId) -> bool {
        means(&self.runs, run)
            && (self.chunks.is_empty() || self.chunks.iter().any(|chunk| chunk.run == *run))
    }

    /// Whether a source's part of a run may hold what is meant.
    pub fn means_source(&self, run: &RunId, source: &SourceId) -> bool {
        let named = |chunk: &Chunk| chunk.run == *run && chunk.source == *source;
        self.means_run(run)
            && means(&self.sources, source)
            && (self.chunks.is_empty() || self.chunks.iter().any(named))
    }

    /// Says that a run is passed over because one of its documents cannot be read: that hides no other run.
    ///
    /// # Errors
    /// Any other error, and this one where the run is named.
    pub fn pass_over(&self, run: &RunId, error: StorageError) -> Result<(), StorageError> {
        let is_named = self.runs.contains(run) || self.chunks.iter().any(|chunk| chunk.run == *run);
        if is_named || !error.is_unreadable() {
            return Err(error);
        }
        tracing::warn!(%run, %error, "run is passed over");
        Ok(())
    }

    fn means_letter(&self, letter: &Letter) -> bool {
        means(&self.chunks, &letter.marker.chunk)
            && letter.class().is_some_and(|class| means(&self.classes, &class))
    }
}

fn means<T: PartialEq>(wanted: &[T], found: &T) -> bool {
    wanted.is_empty() || wanted.contains(found)
}

impl Letter {
    /// How it failed.
    pub fn class(&self) -> Option<FailureClass> {
        match &self.marker.outcome {
            Outcome::Discarded { class, .. } => Some(*class),
            Outcome::Committed(_) | Outcome::Split { .. } => None,
        }
    }
}

/// What became of dead letters that something was to be done with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handled {
    /// The chunks with which it was done.
    pub chunks: Vec<Chunk>,
    /// Those that stay as they are because they were dropped.
    pub dropped: u64,
    /// Those that stay as they are because their run is cancelled.
    pub cancelled: u64,
}

/// The manifests of the runs that are meant, oldest first.
///
/// # Errors
/// When storage fails, or a run that is named is not there.
pub async fn manifests(storage: &Storage, filter: &Filter) -> Result<Vec<Manifest>, RunError> {
    let runs = storage.runs().await?;
    let named = filter.runs.iter().chain(filter.chunks.iter().map(|chunk| &chunk.run));
    for run in named {
        if !runs.contains(run) {
            return Err(RunError::Unknown(run.clone()));
        }
    }
    let mut found = Vec::new();
    for run in runs.iter().filter(|run| filter.means_run(run)) {
        match storage.manifest(run).await {
            Ok(manifest) => found.extend(manifest),
            Err(error) => filter.pass_over(run, error)?,
        }
    }
    found.sort_by_key(|manifest| manifest.created_at);
    Ok(found)
}

/// The dead letters that are meant, by run and source, then by date.
///
/// # Errors
/// When storage fails, or a run that is named is not there.
pub async fn find(storage: &Storage, filter: &Filter) -> Result<Vec<Letter>, RunError> {
    let mut found = Vec::new();
    for manifest in manifests(storage, filter).await? {
        for plan in manifest.sources.iter().filter(|plan| filter.means_source(&manifest.run, &plan.source)) {
            match of_source(storage, &plan.source, &manifest.run).await {
                Ok(letters) => found.extend(letters),
                Err(error) => filter.pass_over(&manifest.run, error)?,
            }
        }
    }
    found.retain(|letter| filter.means_letter(letter));
    Ok(found)
}

/// The dead letters of a source's part of a run, by date.
pub(super) async fn of_source(
    storage: &Storage,
    source: &SourceId,
    run: &RunId,
) -> Result<Vec<Letter>, StorageError> {
    let generations = storage.generations(source, run).await?;
    let standing = generations.iter().filter_map(|(range, known)| {
        let chunk = Chunk { source: source.clone(), run: run.clone(), range: *range };
        Some((chunk, known.standing()?))
    });
    let markers = storage.markers(standing.collect()).await?;
    let is_dropped = |marker: &Marker| {
        generations.get(&marker.chunk.range).is_some_and(|known| known.dropped.contains(&marker.generation))
    };
    let mut letters: Vec<Letter> = markers
        .into_iter()
        .map(|marker| Letter { dropped: is_dropped(&marker), marker })
        .filter(|letter| letter.class().is_some())
        .collect();
    letters.sort_by_key(|letter| (letter.marker.chunk.range.order(), letter.marker.chunk.range));
    Ok(letters)
}

/// Runs dead letters again: voids their outcomes, and enqueues the next generation.
///
/// # Errors
/// When a service is away; then what was voided is enqueued by whoever follows the run, and repeating it is safe.
pub async fn retry(house: &House, filter: &Filter) -> Result<Handled, RunError> {
    let mut handled = Handled::default();
    let mut runs: BTreeMap<RunId, bool> = BTreeMap::new();
    for letter in find(&house.storage, filter).await? {
        let Marker { chunk, generation, .. } = &letter.marker;
        let cancelled = match runs.get(&chunk.run) {
            Some(cancelled) => *cancelled,
            None => house.storage.cancelled(&chunk.run).await?.is_some(),
        };
        runs.insert(chunk.run.clone(), cancelled);
        if letter.dropped || cancelled {
            handled.dropped += u64::from(letter.dropped);
            handled.cancelled += u64::from(!letter.dropped);
        } else if let Outcome::Discarded { error, .. } = &letter.marker.outcome {
            house.storage.void(chunk, *generation, VoidReason::Retried, error).await?;
            handled.chunks.push(chunk.clone());
        }
    }
    let again: BTreeSet<&RunId> = handled.chunks.iter().map(|chunk| &chunk.run).collect();
    for run in again {
        rebuild::rebuild(house, &house.manifest(run).await?, Of::Any).await?;
    }
    Ok(handled)
}

/// Lets dead letters be, for good: they are retried no more.
///
/// # Errors
/// When storage fails; repeating it is safe.
pub async fn let_be(storage: &Storage, filter: &Filter, reason: &str) -> Result<Handled, RunError> {
    let mut handled = Handled::default();
    for letter in find(storage, filter).await? {
        if letter.dropped {
            handled.dropped += 1;
            continue;
        }
        storage.drop_outcome(&letter.marker.chunk, letter.marker.generation, reason).await?;
        handled.chunks.push(letter.marker.chunk);
    }
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    #[test]
    fn a_filter_means_what_all_of_its_lists_allow() {
        let chunk: Chunk = "a/r1/2025-08-01_2025-08-02".parse().unwrap();
        let marker =
            Marker::discarded_by_coordinator(chunk.clone(), 1, FailureClass::Data, "e".into(), Utc::now());
        let letter = Letter { marker, dropped: false };
        let means = |filter: &Filter| {
            filter.means_source(&letter.marker.chunk.run, &letter.marker.chunk.source)
                && filter.means_letter(&letter)
        };
        let other: Chunk = "a/r1/2025-08-02_2025-08-03".parse().unwrap();
        let elsewhere: Chunk = "b/r1/2025-08-01_2025-08-02".parse().unwrap();
        let (a, b) = ("a".parse::<SourceId>().unwrap(), "b".parse::<SourceId>().unwrap());
        let (r1, r2) = ("r1".parse::<RunId>().unwrap(), "r2".parse::<RunId>().unwrap());
        let none = Filter::default;
        for (filter, meant) in [
            (none(), true),
            (Filter { sources: vec![b.clone(), a.clone()], ..none() }, true),
            (Filter { sources: vec![b.clone()], ..none() }, false),
            (Filter { runs: vec![r1.clone()], ..none() }, true),
            (Filter { runs: vec![r2], ..none() }, false),
            (Filter { classes: vec![FailureClass::Data], ..none() }, true),
            (Filter { classes: vec![FailureClass::Auth], sources: vec![a], ..none() }, false),
            (Filter { chunks: vec![other.clone(), chunk.clone()], ..none() }, true),
            (Filter { chunks: vec![other], ..none() }, false),
            (Filter { chunks: vec![elsewhere], ..none() }, false),
            (Filter { chunks: vec![chunk], sources: vec![b], runs: vec![r1], ..none() }, false),
        ] {
            assert_eq!(means(&filter), meant, "{filter:?}");
        }
    }
}
