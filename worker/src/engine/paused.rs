//! Whether a chunk that Redis granted is paused in storage: Redis may not have heard of it, or have forgotten it.

use nstore_shared::{
    chunk::Chunk,
    storage::{StorageError, paused::PauseOf},
};

use super::bench::Bench;

/// Whether nothing of the chunk's run or source is to be extracted now; then Redis is told, so that it grants no more.
pub(super) async fn is_paused(bench: &Bench, chunk: &Chunk) -> Result<bool, StorageError> {
    let (run, source) = (PauseOf::Run(&chunk.run), PauseOf::Source(&chunk.source));
    let storage = &bench.storage;
    let (of_run, of_source) = tokio::try_join!(storage.paused(run), storage.paused(source))?;
    let mut paused = false;
    for (of, stands) in [(run, of_run.is_some()), (source, of_source.is_some())] {
        paused |= stands && tell(bench, chunk, of).await?;
    }
    Ok(paused)
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
