//! Which loads are on their way: a few at once, each chunk once, patient with a Postgres that is away.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nstore_shared::{
    chunk::{ChunkRange, UploadMode},
    retry::Backoff,
    storage::{manifest::Manifest, marker::Marker},
};
use tokio::{task::JoinSet, time::Instant};

use super::board::Board;
use crate::load::{ChunkLoad, LoadError, Loader, ReplaceLoad};

/// Loads at once: CSV COPY is bound by one backend's CPU each, and more than two gain little.
const AT_ONCE: usize = 2;

/// How long a Postgres that is away, or a table that others hold, is left alone.
const PATIENCE: Backoff = Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(15) };

/// What one load came to.
pub(super) struct Landed {
    /// Which board.
    pub(super) board: usize,
    /// What was loaded.
    pub(super) what: Cargo,
    /// How it went.
    pub(super) result: Result<ChunkLoad, LoadError>,
}

/// What one load is about.
pub(super) enum Cargo {
    /// One chunk.
    Chunk(Box<Marker>),
    /// All chunks of a source, for its whole table.
    Table(Vec<Marker>),
}

/// The loads of one run.
pub(super) struct Desk {
    loader: Loader,
    manifest: Arc<Manifest>,
    tasks: JoinSet<Landed>,
    busy: HashSet<(usize, Option<ChunkRange>)>,
    /// One source's locked table does not hold the others up.
    rests: Vec<Rest>,
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
        let rests = vec![Rest { until: Instant::now(), setbacks: 0 }; manifest.sources.len()];
        Self { loader, manifest, tasks: JoinSet::new(), busy: HashSet::new(), rests, served: 0 }
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
        let idle = !self.busy.iter().any(|(of, _)| *of == index);
        match board.plan.upload_mode {
            UploadMode::Append => self.start_chunk(index, board),
            // a load that deletes takes the table for itself: a second one would only wait for it
            UploadMode::ReplaceRange => idle && self.start_chunk(index, board),
            UploadMode::Replace => idle && self.start_table(index, board),
        }
    }

    fn start_chunk(&mut self, index: usize, board: &Board) -> bool {
        let free = |marker: &Marker| !self.busy.contains(&(index, Some(marker.chunk.range)));
        let Some(marker) = board.to_load().into_iter().find(free) else { return false };
        self.busy.insert((index, Some(marker.chunk.range)));
        let (loader, manifest) = (self.loader.clone(), Arc::clone(&self.manifest));
        let plan = board.plan.clone();
        self.tasks.spawn(async move {
            let result = loader.load_chunk(&manifest, &plan, &marker).await;
            Landed { board: index, what: Cargo::Chunk(Box::new(marker)), result }
        });
        true
    }

    fn start_table(&mut self, index: usize, board: &Board) -> bool {
        if !board.complete() || !board.refused.is_empty() || board.to_load().is_empty() {
            return false;
        }
        self.busy.insert((index, None));
        let (loader, manifest) = (self.loader.clone(), Arc::clone(&self.manifest));
        let plan = board.plan.clone();
        let markers: Vec<Marker> = board.committed().cloned().collect();
        self.tasks.spawn(async move {
            let result = loader.replace(&manifest, &plan, &markers).await.map(as_chunk_load);
            Landed { board: index, what: Cargo::Table(markers), result }
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
        let range = match &landed.what {
            Cargo::Chunk(marker) => Some(marker.chunk.range),
            Cargo::Table(_) => None,
        };
        self.busy.remove(&(landed.board, range));
        let setback = match &landed.result {
            Ok(outcome) => matches!(outcome, ChunkLoad::Busy),
            Err(error) => error.may_pass(),
        };
        let rest = &mut self.rests[landed.board];
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
