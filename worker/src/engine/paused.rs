//! Whether a chunk that Redis granted is cancelled or paused in storage: Redis may not have heard of it, or have
//! forgotten it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use nstore_shared::{
    chunk::{Chunk, RunId, SourceId},
    storage::{
        StorageError,
        paused::{PauseOf, STOP_SEEN},
    },
};

use super::bench::Bench;

/// Why nothing of a chunk's run or source is extracted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The run is cancelled.
    Cancelled,
    /// The run or the source is paused.
    Paused,
}

/// When storage said last that nothing stops a source's part of a run. That something does is never remembered.
#[derive(Default)]
pub(super) struct Unstopped(Mutex<BTreeMap<(RunId, SourceId), Instant>>);

impl Unstopped {
    /// Whether storage said so within [`STOP_SEEN`].
    fn is_known(&self, chunk: &Chunk) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| at.elapsed() < STOP_SEEN);
        seen.contains_key(&(chunk.run.clone(), chunk.source.clone()))
    }

    fn note(&self, chunk: &Chunk, asked: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((chunk.run.clone(), chunk.source.clone()), asked);
    }
}

/// Whether and why nothing of the chunk's run or source is to be extracted now; then Redis is told, so that it grants
/// no more. Storage is asked once in [`STOP_SEEN`], whatever the number of chunks.
pub(super) async fn look(bench: &Bench, chunk: &Chunk) -> Result<Option<Stopped>, StorageError> {
    if bench.unstopped.is_known(chunk) {
        return Ok(None);
    }
    let (run, source) = (PauseOf::Run(&chunk.run), PauseOf::Source(&chunk.source));
    let (storage, asked) = (&bench.storage, Instant::now());
    let (cancelled, of_run, of_source) =
        tokio::try_join!(storage.cancelled(&chunk.run), storage.paused(run), storage.paused(source))?;
    if cancelled.is_some() {
        bench.redis.once(bench.queue.cancel(&chunk.source, &chunk.run)).await;
        return Ok(Some(Stopped::Cancelled));
    }
    let mut stopped = None;
    for (of, stands) in [(run, of_run.is_some()), (source, of_source.is_some())] {
        if stands && tell(bench, chunk, of).await? {
            stopped = Some(Stopped::Paused);
        }
    }
    if of_run.is_none() && of_source.is_none() {
        bench.unstopped.note(chunk, asked);
    }
    Ok(stopped)
}

/// Tells Redis of a pause, and takes that back when it was taken back in storage meanwhile.
async fn tell(bench: &Bench, chunk: &Chunk, of: PauseOf<'_>) -> Result<bool, StorageError> {
    let run = match of {
        PauseOf::Run(run) => Some(run),
        PauseOf::Source(_) => None,
    };
    bench.redis.once(bench.queue.pause(&chunk.source, run, true)).await;
    if bench.storage.paused(of).await?.is_some() {
        return Ok(true);
    }
    bench.redis.once(bench.queue.pause(&chunk.source, run, false)).await;
    Ok(false)
}
