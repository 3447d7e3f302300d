//! Whose days are whose: what keeps an append without a key from doubling, and a replace from erasing.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use nstore_shared::{
    chunk::{RunId, UploadMode},
    guard::Guard,
    storage::manifest::{Manifest, SourcePlan},
};
use tokio_postgres::{Error as PgError, GenericClient};

use super::{LoadError, spans};
use crate::db::{
    days::{self, Held},
    ident::Target,
    ledger,
};

/// The days that a replace would erase without bringing them, as an error; `None` when there are none, the run may
/// lose them, or a later replace has been loaded: then this one erases nothing.
pub(super) async fn shrink(
    client: &impl GenericClient,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
) -> Result<Option<LoadError>, PgError> {
    if plan.upload_mode != UploadMode::Replace || manifest.upload.allow_shrink {
        return Ok(None);
    }
    let brought = spans::days_of(plan);
    let mut held = days::loaded(client, target, &manifest.run).await?;
    held.retain(|day, _| !brought.as_ref().is_some_and(|brought| brought.contains(day)));
    if held.is_empty() || ledger::newer_replace(client, target, manifest).await?.is_some() {
        return Ok(None);
    }
    let (table, count, missing) = (target.name(), held.len(), spans::text_of(held.into_keys()));
    Ok(Some(LoadError::Shrink { table, count, missing }))
}

/// The days of a plan that other runs hold, claimed or loaded.
pub(super) async fn held_by_others(
    client: &impl GenericClient,
    plan: &SourcePlan,
    target: &Target,
    run: &RunId,
) -> Result<Held, PgError> {
    let wanted = spans::days_of(plan).filter(|_| Guard::ClaimedDays.stands());
    let Some(wanted) = wanted else { return Ok(Held::new()) };
    let mut held = days::claimed(client, target, run).await?;
    held.extend(days::loaded(client, target, run).await?);
    held.retain(|day, _| wanted.contains(day));
    Ok(held)
}

/// Why a reload may not take the days that others hold; `None` when it may. It takes days from older runs
/// only, and never those that it has decided about itself: its ledger rows would keep it from loading them.
pub(super) async fn untakeable(
    client: &impl GenericClient,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
) -> Result<Option<LoadError>, PgError> {
    let Some(wanted) = spans::days_of(plan) else { return Ok(None) };
    let kept = days::untakeable(client, target, manifest, &wanted).await?;
    Ok(days_held(plan, target, kept).map(|mut refusal| {
        if let LoadError::DaysHeld { reloadable, .. } = &mut refusal {
            *reloadable = false;
        }
        refusal
    }))
}

/// Days by the run that holds them.
pub(super) fn by_run(held: Held) -> BTreeMap<String, Vec<NaiveDate>> {
    let mut runs: BTreeMap<String, Vec<NaiveDate>> = BTreeMap::new();
    for (day, run) in held {
        runs.entry(run).or_default().push(day);
    }
    runs
}

/// The refusal to load days that another run holds; names the holder of the first one.
pub(super) fn days_held(plan: &SourcePlan, target: &Target, held: Held) -> Option<LoadError> {
    let run = held.values().next()?.clone();
    let days = by_run(held).remove(&run).unwrap_or_default();
    Some(LoadError::DaysHeld {
        table: target.name(),
        run,
        days: spans::text_of(days),
        reloadable: plan.contract.range_column.is_some(),
    })
}
