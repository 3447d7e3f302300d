//! Whose days are whose: what keeps an append without a key from doubling, and a replace from erasing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{Days, NaiveDate};
use nstore_shared::{
    chunk::{RunId, UploadMode, start_of_day},
    guard::Guard,
    storage::manifest::{Manifest, SourcePlan},
};
use tokio_postgres::{Error as PgError, GenericClient, Transaction};

use super::{
    LoadError,
    spans::{self, Cover},
    stop::Stop,
};
use crate::db::{
    days::{self, Claim, Held},
    ident::Target,
    ledger::{self, Entry, Overlapping},
};

/// Ranges that a message names.
const SPANS_SHOWN: usize = 3;

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

/// The days of a plan that other runs hold, claimed or loaded. For an append that reloads nothing, days for which it has
/// ledger rows do not count: it has decided about them, and a run that replaced them later does not hold up the rest.
pub(super) async fn held_by_others(
    client: &impl GenericClient,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
) -> Result<Held, PgError> {
    let run = &manifest.run;
    let wanted = spans::days_of(plan).filter(|_| Guard::ClaimedDays.stands());
    let Some(wanted) = wanted else { return Ok(Held::new()) };
    let mut held = days::claimed(client, target, run).await?;
    held.extend(days::loaded(client, target, run).await?);
    held.retain(|day, _| wanted.contains(day));
    if !held.is_empty() && !manifest.upload.reload {
        let decided = days::decided(client, target, run).await?;
        held.retain(|day, _| !decided.contains(day));
    }
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

/// The days that entries of one plan touch.
fn touched(entries: &[Entry<'_>]) -> BTreeSet<NaiveDate> {
    let mut days = BTreeSet::new();
    for entry in entries {
        let (first, end) = entry.marker.chunk.range.touched_days(entry.plan.zone());
        days.extend(first.iter_days().take_while(|day| *day < end));
    }
    days
}

/// Refuses chunks of an append without a key whose days the run does not hold.
pub(super) async fn check_owned(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    let Some(first) = entries.first() else { return Ok(()) };
    let (run, days): (_, Vec<NaiveDate>) = (&first.marker.chunk.run, touched(entries).into_iter().collect());
    if days::owns(tx, first.target, run, &days).await? {
        return Ok(());
    }
    Err(LoadError::Unregistered { run: run.clone(), table: first.target.name() }.into())
}

/// Refuses chunks of an append without a key for which the ledger took no row, unless their rows are there: by loads of
/// the same run that cover them with chunks of other bounds. (One whose own row came in meanwhile overlaps nothing.)
pub(super) async fn check_present(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    for (place, overlaps) in ledger::overlapping(tx, entries).await? {
        let entry = &entries[place];
        let own: Vec<_> =
            overlaps.iter().filter(|other| other.own).map(|other| other.instants.clone()).collect();
        if spans::cover(&entry.instants(), &own) == Cover::Whole {
            continue;
        }
        return Err(doubles(&overlaps));
    }
    Ok(())
}

/// Refuses chunks of an append without a key when other loads have brought in rows of their ranges.
pub(super) async fn check_doubles(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    let overlapping = ledger::overlapping(tx, entries).await?;
    overlapping.values().next().map_or(Ok(()), |overlaps| Err(doubles(overlaps)))
}

fn doubles(overlaps: &[Overlapping]) -> Stop {
    let spans: Vec<String> = overlaps
        .iter()
        .take(SPANS_SHOWN)
        .map(|other| format!("{} to {} by run {}", other.instants.start, other.instants.end, other.run))
        .collect();
    let error = format!(
        "the table has no key, and rows of this chunk's range are loaded already ({}): loading it would double them; load \
         these days again by a run with --reload",
        spans.join(", ")
    );
    Stop::Refused { error, row: None }
}

/// What other runs loaded into the days of a reload's chunks counts as replaced from here on.
pub(super) async fn take_loaded(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    let Some(first) = entries.first() else { return Ok(()) };
    for days in spans::joined(touched(entries)) {
        days::keep_neighbours(tx, first.target, &first.marker.chunk.run, &days, false).await?;
        ledger::replace_days(tx, first.target, &first.marker.chunk.run, &days, false).await?;
    }
    Ok(())
}

/// Takes the days of chunks whose load deletes rows from appends without a key: what these have loaded counts as
/// replaced. Days that one of them has not loaded yet are an error: its rows would come in beside those of this load.
pub(super) async fn take(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    let Some(first) = entries.first() else { return Ok(()) };
    let (target, run, days) = (first.target, &first.marker.chunk.run, touched(entries));
    let (Some(start), Some(last)) = (days.first(), days.last()) else { return Ok(()) };
    let mut claims = days::claims_of_others(tx, target, run, Some(&(*start..*last + Days::new(1)))).await?;
    claims.retain(|claim| days.contains(&claim.day));
    if let Some(refusal) = unloaded(first.plan, target, &claims) {
        return Err(refusal.into());
    }
    let taken: BTreeSet<NaiveDate> = claims.into_iter().map(|claim| claim.day).collect();
    for days in spans::joined(taken) {
        days::keep_neighbours(tx, target, run, &days, true).await?;
        ledger::replace_days(tx, target, run, &days, true).await?;
        days::release(tx, target, run, &days).await?;
        days::claim(tx, target, &first.plan.source, run, &days, true).await?;
    }
    Ok(())
}

/// The refusal to delete rows of days that appends without a key have claimed and not loaded; `None` when there are
/// none.
pub(super) fn unloaded(plan: &SourcePlan, target: &Target, claims: &[Claim]) -> Option<LoadError> {
    let zone = plan.zone();
    let is_unloaded = |claim: &&Claim| {
        let day: Range<_> = start_of_day(claim.day, zone)..start_of_day(claim.day + Days::new(1), zone);
        spans::cover(&day, &claim.loaded) != Cover::Whole
    };
    let open: Vec<&Claim> = claims.iter().filter(is_unloaded).collect();
    let run = open.first()?.run.clone();
    let days = spans::text_of(open.iter().filter(|claim| claim.run == run).map(|claim| claim.day));
    Some(LoadError::DaysClaimed { table: target.name(), run, days })
}

/// The refusal of a plan whose loads delete rows, see [`unloaded`].
pub(super) async fn claimed_by_appends(
    client: &impl GenericClient,
    plan: &SourcePlan,
    target: &Target,
    run: &RunId,
) -> Result<Option<LoadError>, PgError> {
    // a replace of the whole table deletes all days, not only its own
    let days = spans::days_of(plan).filter(|_| plan.upload_mode != UploadMode::Replace);
    let claims = days::claims_of_others(client, target, run, days.as_ref()).await?;
    Ok(unloaded(plan, target, &claims))
}
