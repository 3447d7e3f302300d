//! What every load's transaction begins with: run, target, cancel mark, the table itself.

use nstore_shared::{
    chunk::RunId,
    storage::{
        manifest::{Manifest, SourcePlan},
        marker::{Committed, Marker, Outcome},
    },
};
use tokio_postgres::Transaction;

use super::{LoadError, Loader, stop::Stop, stop::recreated};
use crate::db::{
    ident::Target,
    locks::Lock,
    targets::{self, Identity},
};

impl Loader {
    /// Takes the locks in their order, then looks whether the run is cancelled: cancel writes its mark first
    /// and takes the run's lock after, so one of the two sees the other. Then holds the table in place.
    pub(super) async fn enter(
        &self,
        tx: &Transaction<'_>,
        run: &RunId,
        target: &Target,
        alone: bool,
    ) -> Result<(), Stop> {
        Lock::Run(run).shared(tx).await?;
        if alone {
            Lock::Target(target).exclusive(tx).await?;
        } else {
            Lock::Target(target).shared(tx).await?;
        }
        if self.is_cancelled(run).await? {
            return Err(Stop::Cancelled);
        }
        if !targets::registered(tx, target, run).await? {
            return Err(LoadError::Unregistered { run: run.clone(), table: target.name() }.into());
        }
        // from here on nobody drops it
        tx.batch_execute(&format!("LOCK TABLE {target} IN ROW EXCLUSIVE MODE")).await?;
        match targets::identity(tx, target).await? {
            Identity::Same => Ok(()),
            Identity::Changed | Identity::Unknown => Err(recreated(target).into()),
        }
    }
}

/// What a marker commits, if it is about this plan.
pub(super) fn committed_of<'a>(
    manifest: &Manifest,
    plan: &SourcePlan,
    marker: &'a Marker,
) -> Result<&'a Committed, LoadError> {
    let wrong = |reason| LoadError::Marker { chunk: marker.chunk.to_string(), reason };
    if marker.chunk.run != manifest.run || marker.chunk.source != plan.source {
        return Err(wrong("its marker is about another run or source"));
    }
    match &marker.outcome {
        Outcome::Committed(committed) => Ok(committed),
        Outcome::Split { .. } => Err(wrong("it was split: its halves are loaded")),
        Outcome::Discarded { .. } => Err(wrong("it was discarded: it has no rows")),
    }
}
