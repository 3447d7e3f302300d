//! What every load's transaction begins with: run, target, cancel mark, the table itself.

use nstore_shared::storage::{
    manifest::{Manifest, SourcePlan},
    marker::{Committed, Marker, Outcome},
};
use tokio_postgres::Transaction;

use super::{
    LoadError, Loader,
    fit::{self, Findings},
    stop::{Stop, recreated},
};
use crate::db::{
    ident::Target,
    locks::Lock,
    tables,
    targets::{self, Identity},
};

impl Loader {
    /// Takes the locks in their order, then looks whether the run is cancelled: cancel writes its mark first
    /// and takes the run's lock after, so one of the two sees the other. Then holds the table in place, and looks whether
    /// it still takes what the plan brings: columns may have changed since the run began.
    pub(super) async fn enter(
        &self,
        tx: &Transaction<'_>,
        manifest: &Manifest,
        plan: &SourcePlan,
        target: &Target,
        alone: bool,
    ) -> Result<(), Stop> {
        let run = &manifest.run;
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
            Identity::Same => {}
            Identity::Changed | Identity::Unknown => return Err(recreated(target).into()),
        }
        let Some(table) = tables::table(tx, target).await? else { return Err(recreated(target).into()) };
        let mut found = Findings::default();
        fit::check_table(plan, &manifest.upload, &table, &mut found);
        if found.problems.is_empty() {
            return Ok(());
        }
        Err(LoadError::Target { table: target.name(), problems: found.problems }.into())
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
