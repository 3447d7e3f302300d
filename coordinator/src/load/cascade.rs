//! What deleting rows of a target would do to other tables: looked at before extraction, and again in the transaction
//! that deletes.

use nstore_shared::{chunk::UploadMode, storage::manifest::SourcePlan};
use tokio_postgres::{Error as PgError, GenericClient, Transaction};

use super::{LoadError, stop::Stop};
use crate::db::{
    ident::Target,
    tables::{self, Cascades},
};

/// What a load's DELETE would do besides.
///
/// A foreign key of the table on itself counts where only a part of the rows is deleted: it would take others along.
pub(super) async fn find(
    client: &impl GenericClient,
    target: &Target,
    plan: &SourcePlan,
) -> Result<Cascades, PgError> {
    tables::cascades(client, target, plan.upload_mode != UploadMode::Replace).await
}

/// The refusal of a load that would change rows of other tables; `None` when it would not, or the source allows it.
pub(super) fn refusal(target: &Target, plan: &SourcePlan, found: &Cascades) -> Option<LoadError> {
    if plan.spec.allow_cascade || found.changes.is_empty() {
        return None;
    }
    Some(LoadError::Cascade {
        table: target.name(),
        mode: plan.upload_mode.to_string(),
        others: found.changes.clone(),
    })
}

/// Refuses a load's transaction that is about to delete rows, or tells what that will do besides. The lock on the table
/// keeps new foreign keys and triggers away until it ends.
pub(super) async fn check(
    tx: &Transaction<'_>,
    target: &Target,
    plan: &SourcePlan,
) -> Result<Cascades, Stop> {
    let found = find(tx, target, plan).await?;
    refusal(target, plan, &found).map_or(Ok(found), |refusal| Err(refusal.into()))
}
