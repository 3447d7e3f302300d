//! What is known of one source's part of a run. Pure: others bring the facts, the board draws the conclusions.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::{Chunk, ChunkRange, ChunkState, ExecutionMode, RunId, UploadMode},
    config::spec::{Bounds, ExtractSpec},
    redis::queue::Progress,
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Marker, Outcome},
    },
};

use super::{
    hold::SourceHold,
    outcomes::Outcomes,
    paused::Pause,
    status::{FailedChunk, SourceStatus},
    watch::RECONCILE_AGAIN,
};

/// One source's part of a run.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) plan: SourcePlan,
    run: RunId,
    /// Standing markers as last listed or hinted, and what the ledger holds.
    pub(super) outcomes: Outcomes,
    /// Redis's word; `None` while it is away or knows nothing.
    pub(super) progress: Option<Progress>,
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

impl Board {
    pub(super) fn all(manifest: &Manifest) -> Vec<Self> {
        manifest.sources.iter().map(|plan| Self::new(manifest, plan)).collect()
    }

    pub(super) fn new(manifest: &Manifest, plan: &SourcePlan) -> Self {
        Self {
            plan: plan.clone(),
            run: manifest.run.clone(),
            outcomes: Outcomes::new(&plan.chunks),
            progress: None,
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

    /// Every chunk has an outcome in storage, or none will come: stopped or cancelled.
    pub(super) fn extraction_ended(&self) -> bool {
        self.cancelled || self.stopped() || self.outcomes.ended() == self.outcomes.leaves().len()
    }

    /// All chunks are stored: what a replace of the whole table needs.
    pub(super) fn complete(&self) -> bool {
        !self.cancelled && self.outcomes.stored().chunks == self.outcomes.leaves().len() as u64
    }

    /// A discarded chunk of a sequential source stops those after it, where the source says so.
    pub(super) fn stopped(&self) -> bool {
        self.plan.spec.stop_on_discard
            && self.plan.execution == ExecutionMode::Sequential
            && self.outcomes.discarded() > 0
    }

    /// The markers of stored chunks that can be loaded and are not.
    pub(super) fn to_load(&self) -> impl Iterator<Item = &Marker> {
        let none = self.blocked.is_some() || self.cancelled;
        self.outcomes.waiting().filter(move |_| !none)
    }

    /// Stored chunks that are not loaded because nothing of the source can be.
    pub(super) fn blocked_chunks(&self) -> Vec<Chunk> {
        let blocked = self.blocked.is_some() && !self.cancelled;
        self.outcomes.waiting().filter(|_| blocked).map(|marker| marker.chunk.clone()).collect()
    }

    /// Nothing is left to load, or nothing can be.
    pub(super) fn load_ended(&self) -> bool {
        let nothing_left = self.to_load().next().is_none();
        match self.plan.upload_mode {
            UploadMode::Replace => !self.complete() || !self.outcomes.refused().is_empty() || nothing_left,
            UploadMode::Append | UploadMode::ReplaceRange => nothing_left,
        }
    }

    /// Every chunk is stored, and loaded where that was asked for.
    pub(super) fn good(&self, load: bool) -> bool {
        self.complete() && (!load || self.blocked.is_none() && self.outcomes.all_loaded())
    }

    /// The window asks for the chunk itself and no more.
    fn bounds_are_exact(&self) -> bool {
        match &self.plan.spec.extract {
            ExtractSpec::Api(api) => matches!(api.window.bounds, Bounds::Closed | Bounds::HalfOpen),
            // rows of other days fail the chunk
            ExtractSpec::Browser(_) => true,
        }
    }

    /// Some chunk failed for good.
    pub(super) fn has_failures(&self) -> bool {
        self.outcomes.discarded() > 0 || !self.outcomes.refused().is_empty()
    }

    /// Chunks that failed for good, in extraction or in load; `url_of` tells where a stored key is found.
    pub(super) fn failed(&self, url_of: impl Fn(&str) -> String) -> Vec<FailedChunk> {
        let discarded = self.outcomes.markers().filter_map(|marker| match &marker.outcome {
            Outcome::Discarded { class, error, bundle, .. } => Some(FailedChunk {
                range: marker.chunk.range,
                class: Some(*class),
                error: error.clone(),
                row: None,
                bundle: bundle.as_deref().map(&url_of),
            }),
            Outcome::Committed(_) | Outcome::Split { .. } => None,
        });
        let refused = self.outcomes.refused().iter().map(|(range, failure)| FailedChunk {
            range: *range,
            class: None,
            error: failure.error.clone(),
            row: failure.row.clone(),
            bundle: None,
        });
        discarded.chain(refused).collect()
    }

    pub(super) fn status(&self) -> SourceStatus {
        let told = self.progress.clone().unwrap_or_default();
        let count = |state| told.chunks.get(&state).copied().unwrap_or(0);
        let (stored, loaded) = (self.outcomes.stored(), self.outcomes.loaded());
        let discarded = self.outcomes.discarded() as u64;
        let flying = || told.running.iter().filter(|chunk| self.outcomes.marker(&chunk.range).is_none());
        let total = self.outcomes.leaves().len() as u64;
        SourceStatus {
            source: self.plan.source.clone(),
            mode: self.plan.execution,
            upload_mode: self.plan.upload_mode,
            chunks_total: total,
            done: stored.chunks,
            running: flying().count() as u64,
            retryable: count(ChunkState::Retryable),
            discarded,
            cancelled: if self.cancelled { total.saturating_sub(stored.chunks + discarded) } else { 0 },
            rows: stored.rows + flying().map(|chunk| chunk.tally.rows).sum::<u64>(),
            bytes: stored.bytes + flying().map(|chunk| chunk.tally.bytes).sum::<u64>(),
            rejected: stored.rejected,
            outside: if self.bounds_are_exact() { stored.outside } else { 0 },
            loaded_chunks: loaded.chunks,
            loaded_rows: loaded.rows,
            skipped_rows: loaded.skipped,
            changed_rows: loaded.changed,
            refused_rows: loaded.rejected,
            defaulted_rows: loaded.defaulted,
            superseded: loaded.superseded,
            refused: self.outcomes.refused().len() as u64,
            stopped: self.stopped(),
            paused: self.paused.clone(),
            hold: self.hold.clone(),
            last_error: told.last_error,
        }
    }
}
