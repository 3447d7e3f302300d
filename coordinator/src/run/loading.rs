//! Which loads are on their way: a few at once, each chunk once, patient with a Postgres that is away.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nstore_shared::{
    chunk::{ChunkRange, UploadMode},
    retry::Backoff,
    storage::{manifest::Manifest, marker::Marker},
};
use tokio::{task::JoinSet, time::Instant};

use super::board::Board;
use crate::load::{ChunkLoad, ChunkLoads, LoadError, Loader, ReplaceLoad};

/// Loads at once: CSV COPY is bound by one backend's CPU each, and more than two gain little.
const AT_ONCE: usize = 2;

/// How long a Postgres that is away, or a table that others hold, is left alone.
const PATIENCE: Backoff = Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(15) };

/// Chunks and bytes that one transaction loads at most. Beyond them nothing is gained: the COPY is what costs.
const BATCH_CHUNKS: usize = 256;
const BATCH_BYTES: u64 = 8 << 20;

/// How long chunks that are stored one after the other wait for each other, to be loaded together.
const GATHER: Duration = Duration::from_millis(200);

/// What one load came to.
pub(super) struct Landed {
    /// Which board.
    pub(super) board: usize,
    /// What was loaded, and how it went.
    pub(super) what: Cargo,
}

/// What one load was about, and how it went.
pub(super) enum Cargo {
    /// Chunks of a source.
    Chunks(Vec<Marker>, ChunkLoads),
    /// All chunks of a source, for its whole table.
    Table(Vec<Marker>, Result<ChunkLoad, LoadError>),
}

impl Cargo {
    /// Another loader was in the way, or a service is away.
    fn is_setback(&self) -> bool {
        match self {
            Self::Chunks(_, loads) => {
                loads.error.as_ref().is_some_and(LoadError::may_pass)
                    || loads.done.iter().any(|(_, load)| *load == ChunkLoad::Busy)
            }
            Self::Table(_, Ok(load)) => *load == ChunkLoad::Busy,
            Self::Table(_, Err(error)) => error.may_pass(),
        }
    }
}

/// The loads of one run.
pub(super) struct Desk {
    loader: Loader,
    manifest: Arc<Manifest>,
    tasks: JoinSet<Landed>,
    /// Chunks that are being loaded, by board.
    busy: Vec<HashSet<ChunkRange>>,
    /// Loads of each board that are on their way.
    on_their_way: Vec<usize>,
    /// One source's locked table does not hold the others up.
    rests: Vec<Rest>,
    /// When a load of each board was last started.
    started: Vec<Instant>,
    /// The source that was served last: the next one comes first.
    served: usize,
}

/// How long a source's loads are left alone.
#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    setbacks: u32,
}

impl Desk {
    pub(super) fn new(loader: Loader, manifest: Arc<Manifest>) -> Self {
        let (sources, now) = (manifest.sources.len(), Instant::now());
        Self {
            loader,
            manifest,
            tasks: JoinSet::new(),
            busy: vec![HashSet::new(); sources],
            on_their_way: vec![0; sources],
            rests: vec![Rest { until: now, setbacks: 0 }; sources],
            started: vec![now; sources],
            served: 0,
        }
    }

    /// No load is on its way.
    pub(super) fn idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Starts what may be loaded now; sources take turns.
    pub(super) fn start(&mut self, boards: &[Board]) {
        let mut passed = 0;
        while self.tasks.len() < AT_ONCE && passed < boards.len() {
            let index = (self.served + 1) % boards.len();
            self.served = index;
            passed = if self.start_one(index, &boards[index]) { 0 } else { passed + 1 };
        }
    }

    /// Starts one load of a source; false when there is none to start.
    fn start_one(&mut self, index: usize, board: &Board) -> bool {
        if Instant::now() < self.rests[index].until {
            return false;
        }
        let idle = self.on_their_way[index] == 0;
        match board.plan.upload_mode {
            UploadMode::Append => self.start_chunks(index, board),
            // a load that deletes takes the table for itself: a second one would only wait for it
            UploadMode::ReplaceRange => idle && self.start_chunks(index, board),
            UploadMode::Replace => idle && self.start_table(index, board),
        }
    }

    fn start_chunks(&mut self, index: usize, board: &Board) -> bool {
        let busy = &self.busy[index];
        let free = board.to_load().filter(|marker| !busy.contains(&marker.chunk.range));
        let (mut markers, mut bytes) = (Vec::new(), 0);
        for marker in free.take(BATCH_CHUNKS) {
            let more = marker.committed().map_or(0, |committed| committed.artifact.bytes);
            if !markers.is_empty() && bytes + more > BATCH_BYTES {
                bytes = BATCH_BYTES;
                break;
            }
            bytes += more;
            markers.push(marker.clone());
        }
        let full = markers.len() == BATCH_CHUNKS || bytes >= BATCH_BYTES || board.extraction_ended();
        if markers.is_empty() || (!full && self.started[index].elapsed() < GATHER) {
            return false;
        }
        self.busy[index].extend(markers.iter().map(|marker| marker.chunk.range));
        let (loader, manifest) = self.begin(index);
        self.tasks.spawn(async move {
            let loads = loader.load_chunks(&manifest, &manifest.sources[index], &markers).await;
            Landed { board: index, what: Cargo::Chunks(markers, loads) }
        });
        true
    }

    /// Notes that a load of a board begins; what it needs.
    fn begin(&mut self, index: usize) -> (Loader, Arc<Manifest>) {
        self.on_their_way[index] += 1;
        self.started[index] = Instant::now();
        (self.loader.clone(), Arc::clone(&self.manifest))
    }

    fn start_table(&mut self, index: usize, board: &Board) -> bool {
        if !board.complete() || board.load_ended() {
            return false;
        }
        let markers: Vec<Marker> = board.outcomes.committed().cloned().collect();
        let (loader, manifest) = self.begin(index);
        self.tasks.spawn(async move {
            let plan = &manifest.sources[index];
            let result = loader.replace(&manifest, plan, &markers).await.map(as_chunk_load);
            Landed { board: index, what: Cargo::Table(markers, result) }
        });
        true
    }

    /// Waits for one load to end; for ever when none is on its way.
    pub(super) async fn landed(&mut self) -> Landed {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(landed)) => {
                    self.clear(&landed);
                    return landed;
                }
                // a load that panics is a bug: it is shown where it happened, and the chunk stays unloaded
                Some(Err(broken)) => std::panic::resume_unwind(broken.into_panic()),
                None => std::future::pending().await,
            }
        }
    }

    fn clear(&mut self, landed: &Landed) {
        let index = landed.board;
        self.on_their_way[index] -= 1;
        if let Cargo::Chunks(markers, _) = &landed.what {
            for marker in markers {
                self.busy[index].remove(&marker.chunk.range);
            }
        }
        let (setback, rest) = (landed.what.is_setback(), &mut self.rests[index]);
        rest.setbacks = if setback { rest.setbacks + 1 } else { 0 };
        if setback {
            rest.until = Instant::now() + PATIENCE.wait(rest.setbacks, 0.5 + fastrand::f64() / 2.0);
        }
    }
}

/// A table's load ends like a chunk's: the same outcomes, for all its chunks.
fn as_chunk_load(load: ReplaceLoad) -> ChunkLoad {
    match load {
        ReplaceLoad::Loaded(counts) => ChunkLoad::Loaded(counts),
        ReplaceLoad::Already => ChunkLoad::Already,
        ReplaceLoad::Superseded => ChunkLoad::Superseded,
        ReplaceLoad::Busy => ChunkLoad::Busy,
        ReplaceLoad::Cancelled => ChunkLoad::Cancelled,
        ReplaceLoad::Void { generation, reason, detail, .. } => {
            ChunkLoad::Void { generation, reason, detail }
        }
        ReplaceLoad::Refused { error, row, .. } => ChunkLoad::Refused { error, row },
    }
}
