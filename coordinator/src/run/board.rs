//! What is known of one source's part of a run. Pure: others bring the facts, the board draws the conclusions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::{Chunk, ChunkRange, ChunkState, ExecutionMode, RunId, SourceId, UploadMode},
    config::spec::{Bounds, ExtractSpec},
    redis::queue::Progress,
    retry::FailureClass,
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Marker, Outcome},
        outcomes::leaves,
    },
};

use super::hold::SourceHold;
use super::paused::Pause;
use super::watch::RECONCILE_AGAIN;
use crate::load::{LedgerRow, LoadCounts, LoadFailure};

/// How far one source's part of a run is: what people see.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SourceStatus {
    /// The source.
    pub source: SourceId,
    /// How its chunks are run.
    pub mode: ExecutionMode,
    /// What its loads do.
    pub upload_mode: UploadMode,
    /// Chunks in all; the halves of a split one count, it does not.
    pub chunks_total: u64,
    /// Chunks whose rows are stored.
    pub done: u64,
    /// Chunks in flight, by Redis's word.
    pub running: u64,
    /// Chunks that wait out a back-off, by Redis's word.
    pub retryable: u64,
    /// Chunks that failed for good.
    pub discarded: u64,
    /// Chunks that will not run: the run is cancelled.
    pub cancelled: u64,
    /// Rows stored, and those of chunks in flight.
    pub rows: u64,
    /// Bytes stored, and those of chunks in flight.
    pub bytes: u64,
    /// Rows that did not fit their mapping, in stored chunks.
    pub rejected: u64,
    /// Rows left out of stored chunks because they lie outside what was asked, where the source's `window.bounds`
    /// promise that none does.
    pub outside: u64,
    /// Chunks that the ledger holds.
    pub loaded_chunks: u64,
    /// Rows that loads added.
    pub loaded_rows: u64,
    /// Rows that were there already.
    pub skipped_rows: u64,
    /// Rows that were present with other values from an earlier run: the table's rows stayed.
    pub changed_rows: u64,
    /// Rows that the table refused, within the limit of the mapping.
    pub refused_rows: u64,
    /// Rows that took a default of the table for a value that is absent or null.
    pub defaulted_rows: u64,
    /// Chunks whose load the table refused.
    pub refused: u64,
    /// A discarded chunk stopped the later ones.
    pub stopped: bool,
    /// Nothing more of it is extracted for now, and why.
    pub paused: Option<Pause>,
    /// The source asked to be left alone for a while, by Redis's word.
    pub hold: Option<SourceHold>,
    /// The most recent failure of a try, for people.
    pub last_error: Option<String>,
}

/// A chunk that has no rows to show, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailedChunk {
    /// The chunk.
    pub range: ChunkRange,
    /// What kind of failure; `None` for one of the load.
    pub class: Option<FailureClass>,
    /// What went wrong.
    pub error: String,
    /// The row that the table refused, as it lies in the artifact.
    pub row: Option<String>,
    /// The folder of the last try's failure bundle, as a URL.
    pub bundle: Option<String>,
}

/// One source's part of a run.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) plan: SourcePlan,
    run: RunId,
    /// Standing markers by range, as last listed or hinted.
    pub(super) markers: BTreeMap<ChunkRange, Marker>,
    /// Redis's word; `None` while it is away or knows nothing.
    pub(super) progress: Option<Progress>,
    /// What the ledger holds.
    pub(super) loaded: BTreeMap<ChunkRange, LoadedChunk>,
    /// What the table refused.
    pub(super) refused: BTreeMap<ChunkRange, LoadFailure>,
    /// Why nothing of this source can be loaded.
    pub(super) blocked: Option<String>,
    pub(super) cancelled: bool,
    /// By storage's word when it was last asked.
    pub(super) paused: Option<Pause>,
    /// By Redis's word when it was last asked.
    pub(super) hold: Option<SourceHold>,
    /// Hints read so far.
    pub(super) hints: u64,
    /// Chunks of which a hint is to come that says nothing new: the board has their markers.
    pub(super) echoes: BTreeSet<ChunkRange>,
    /// When it was last compared with storage.
    pub(super) reconciled: Option<Instant>,
    /// How long it is then left alone, however odd Redis looks.
    pub(super) patience: Duration,
    /// Some outcome belongs to a half of a chunk whose split was not seen yet.
    pub(super) strays: bool,
    /// When the source was last listed among those that workers ask about.
    pub(super) listed: Option<Instant>,
}

/// What the ledger says of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoadedChunk {
    pub(super) rows: u64,
    pub(super) skipped: u64,
    pub(super) changed: u64,
    pub(super) rejected: u64,
    pub(super) defaulted: u64,
}

impl From<&LedgerRow> for LoadedChunk {
    fn from(row: &LedgerRow) -> Self {
        let LedgerRow { rows, skipped, changed, rejected, defaulted, .. } = *row;
        Self { rows, skipped, changed, rejected, defaulted }
    }
}

impl From<&LoadCounts> for LoadedChunk {
    fn from(counts: &LoadCounts) -> Self {
        let LoadCounts { rows, skipped, changed, rejected, defaulted, .. } = *counts;
        Self { rows, skipped, changed, rejected, defaulted }
    }
}

impl Board {
    pub(super) fn all(manifest: &Manifest) -> Vec<Self> {
        manifest.sources.iter().map(|plan| Self::new(manifest, plan)).collect()
    }

    pub(super) fn new(manifest: &Manifest, plan: &SourcePlan) -> Self {
        Self {
            plan: plan.clone(),
            run: manifest.run.clone(),
            markers: BTreeMap::new(),
            progress: None,
            loaded: BTreeMap::new(),
            refused: BTreeMap::new(),
            blocked: None,
            cancelled: false,
            paused: None,
            hold: None,
            hints: 0,
            echoes: BTreeSet::new(),
            reconciled: None,
            patience: RECONCILE_AGAIN,
            strays: false,
            listed: None,
        }
    }

    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    pub(super) fn chunk(&self, range: ChunkRange) -> Chunk {
        Chunk { source: self.plan.source.clone(), run: self.run.clone(), range }
    }

    /// The planned chunks, the halves of split ones in their place, whatever their outcome.
    pub(super) fn leaves(&self) -> BTreeSet<ChunkRange> {
        leaves(&self.plan.chunks, &self.markers).into_iter().map(|(range, _)| range).collect()
    }

    /// Some outcome that is no split is of a chunk that is neither planned nor a known half.
    pub(super) fn has_strays(&self) -> bool {
        let leaves = self.leaves();
        let split = |marker: &Marker| matches!(marker.outcome, Outcome::Split { .. });
        self.markers.values().any(|marker| !split(marker) && !leaves.contains(&marker.chunk.range))
    }

    /// The markers of stored chunks.
    pub(super) fn committed(&self) -> impl Iterator<Item = &Marker> {
        let leaves = self.leaves();
        self.markers.values().filter(move |marker| {
            leaves.contains(&marker.chunk.range) && matches!(marker.outcome, Outcome::Committed(_))
        })
    }

    /// Every chunk has an outcome in storage, or none will come: stopped or cancelled.
    pub(super) fn extraction_ended(&self) -> bool {
        self.cancelled || self.stopped() || self.leaves().iter().all(|range| self.markers.contains_key(range))
    }

    /// All chunks are stored: what a replace of the whole table needs.
    pub(super) fn complete(&self) -> bool {
        !self.cancelled && self.committed().count() == self.leaves().len()
    }

    /// A discarded chunk of a sequential source stops those after it, where the source says so.
    pub(super) fn stopped(&self) -> bool {
        self.plan.spec.stop_on_discard
            && self.plan.execution == ExecutionMode::Sequential
            && self.discarded().next().is_some()
    }

    /// The markers of stored chunks that the ledger does not hold and the table did not refuse.
    pub(super) fn to_load(&self) -> Vec<Marker> {
        if self.blocked.is_some() || self.cancelled {
            return vec![];
        }
        let open = |marker: &&Marker| {
            let range = &marker.chunk.range;
            !self.loaded.contains_key(range) && !self.refused.contains_key(range)
        };
        self.committed().filter(open).cloned().collect()
    }

    /// Stored chunks that are not loaded because nothing of the source can be.
    pub(super) fn blocked_chunks(&self) -> Vec<Chunk> {
        let open = |marker: &&Marker| {
            let range = &marker.chunk.range;
            !self.loaded.contains_key(range) && !self.refused.contains_key(range)
        };
        match self.blocked {
            Some(_) if !self.cancelled => {
                self.committed().filter(open).map(|marker| marker.chunk.clone()).collect()
            }
            _ => vec![],
        }
    }

    /// Nothing is left to load, or nothing can be.
    pub(super) fn load_ended(&self) -> bool {
        match self.plan.upload_mode {
            UploadMode::Replace => !self.complete() || !self.refused.is_empty() || self.to_load().is_empty(),
            UploadMode::Append | UploadMode::ReplaceRange => self.to_load().is_empty(),
        }
    }

    /// Every chunk is stored, and loaded where that was asked for.
    pub(super) fn good(&self, load: bool) -> bool {
        let loaded =
            || self.blocked.is_none() && self.leaves().iter().all(|range| self.loaded.contains_key(range));
        self.complete() && (!load || loaded())
    }

    /// The window asks for the chunk itself and no more.
    fn bounds_are_exact(&self) -> bool {
        match &self.plan.spec.extract {
            ExtractSpec::Api(api) => matches!(api.window.bounds, Bounds::Closed | Bounds::HalfOpen),
            // rows of other days fail the chunk
            ExtractSpec::Browser(_) => true,
        }
    }

    fn discarded(&self) -> impl Iterator<Item = &Marker> {
        self.markers.values().filter(|marker| matches!(marker.outcome, Outcome::Discarded { .. }))
    }

    /// Some chunk failed for good.
    pub(super) fn has_failures(&self) -> bool {
        self.discarded().next().is_some() || !self.refused.is_empty()
    }

    /// Chunks that failed for good, in extraction or in load; `url_of` tells where a stored key is found.
    pub(super) fn failed(&self, url_of: impl Fn(&str) -> String) -> Vec<FailedChunk> {
        let discarded = self.discarded().filter_map(|marker| match &marker.outcome {
            Outcome::Discarded { class, error, bundle, .. } => Some(FailedChunk {
                range: marker.chunk.range,
                class: Some(*class),
                error: error.clone(),
                row: None,
                bundle: bundle.as_deref().map(&url_of),
            }),
            Outcome::Committed(_) | Outcome::Split { .. } => None,
        });
        let refused = self.refused.iter().map(|(range, failure)| FailedChunk {
            range: *range,
            class: None,
            error: failure.error.clone(),
            row: failure.row.clone(),
            bundle: None,
        });
        discarded.chain(refused).collect()
    }

    pub(super) fn status(&self) -> SourceStatus {
        let leaves = self.leaves();
        let told = self.progress.clone().unwrap_or_default();
        let count = |state| told.chunks.get(&state).copied().unwrap_or(0);
        let stored: Vec<_> = self.committed().filter_map(Marker::committed).collect();
        let done = stored.len() as u64;
        let discarded = self.discarded().count() as u64;
        let flying = || told.running.iter().filter(|chunk| !self.markers.contains_key(&chunk.range));
        let total = leaves.len() as u64;
        SourceStatus {
            source: self.plan.source.clone(),
            mode: self.plan.execution,
            upload_mode: self.plan.upload_mode,
            chunks_total: total,
            done,
            running: flying().count() as u64,
            retryable: count(ChunkState::Retryable),
            discarded,
            cancelled: if self.cancelled { total.saturating_sub(done + discarded) } else { 0 },
            rows: stored.iter().map(|c| c.rows).sum::<u64>() + flying().map(|c| c.tally.rows).sum::<u64>(),
            bytes: stored.iter().map(|c| c.artifact.bytes).sum::<u64>()
                + flying().map(|c| c.tally.bytes).sum::<u64>(),
            rejected: stored.iter().map(|c| c.quality.rejected).sum(),
            outside: if self.bounds_are_exact() {
                stored.iter().map(|c| c.quality.outside_window).sum()
            } else {
                0
            },
            loaded_chunks: self.loaded.len() as u64,
            loaded_rows: self.loaded.values().map(|c| c.rows).sum(),
            skipped_rows: self.loaded.values().map(|c| c.skipped).sum(),
            changed_rows: self.loaded.values().map(|c| c.changed).sum(),
            refused_rows: self.loaded.values().map(|c| c.rejected).sum(),
            defaulted_rows: self.loaded.values().map(|c| c.defaulted).sum(),
            refused: self.refused.len() as u64,
            stopped: self.stopped(),
            paused: self.paused.clone(),
            hold: self.hold.clone(),
            last_error: told.last_error,
        }
    }
}
