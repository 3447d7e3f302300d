//! Cancel and retry.

use nstore_shared::{
    chunk::RunId,
    storage::{
        manifest::Manifest,
        marker::{Marker, Outcome, VoidReason},
    },
};

use super::{House, RunError, letters, submit};

/// Cancels a run: first in storage, then its loads, then its chunks. No row of it is loaded after this returns.
///
/// # Errors
/// When there is no such run, or a service is away: then the cancel is recorded, but not acknowledged.
pub async fn cancel(house: &House, run: &RunId, reason: &str) -> Result<(), RunError> {
    let manifest = house.manifest(run).await?;
    house.storage.cancel(run, reason).await?;
    // one that was extracted alone may be loaded all the same, by `nstore load`
    let loads = match &house.loader {
        Some(loader) => loader.cancel(run).await.map_err(RunError::from),
        None if manifest.upload.enabled => Err(RunError::NoLoader(run.clone())),
        None => Ok(()),
    };
    // extraction stops even where the loads could not be reached
    for plan in &manifest.sources {
        house.redis.queue().cancel(&plan.source, run).await?;
    }
    loads
}

/// What a retry set going.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Discarded chunks that run again.
    pub chunks: u64,
    /// Refused loads that are tried again.
    pub loads: u64,
}

/// Voids the discarded outcomes of a run but for dropped ones, so that a watch enqueues their next generation, and forgets refused loads.
///
/// # Errors
/// When the run is cancelled, or a service is away.
pub async fn retry(house: &House, manifest: &Manifest) -> Result<Retried, RunError> {
    submit::refuse_cancelled(house, &manifest.run).await?;
    let mut retried = Retried::default();
    for plan in &manifest.sources {
        for letter in letters::of_source(&house.storage, &plan.source, &manifest.run).await? {
            let Marker { chunk, generation, outcome, .. } = &letter.marker;
            if let (false, Outcome::Discarded { error, .. }) = (letter.dropped, outcome) {
                house.storage.void(chunk, *generation, VoidReason::Retried, error).await?;
                retried.chunks += 1;
            }
        }
    }
    if let Some(loader) = &house.loader {
        retried.loads = loader.failures(&manifest.run).await?.len() as u64;
        loader.clear_failures(&manifest.run).await?;
    }
    house.storage.reopen(&manifest.run).await?;
    Ok(retried)
}
