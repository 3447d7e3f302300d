//! `nstore runs`: the runs there are, newest first, as storage and the ledger show them.

use chrono::{DateTime, NaiveDate, Utc};
use nstore_shared::{
    chunk::RunId,
    storage::{
        Storage,
        manifest::{Manifest, SourcePlan},
        marker::{Marker, Outcome},
        outcomes::leaves,
        paused::PauseOf,
    },
};
use serde::Serialize;

use super::{access, exit::Exit, view};
use crate::cli::{Global, RunsArgs};

/// One run, from storage alone.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stored {
    pub(super) run: RunId,
    pub(super) created_at: DateTime<Utc>,
    pub(super) start_date: NaiveDate,
    pub(super) end_date: NaiveDate,
    pub(super) sources: Vec<String>,
    pub(super) upload: bool,
    pub(super) cancelled: bool,
    /// The run, or one of its sources.
    pub(super) paused: bool,
    /// Chunks in all; the halves of a split one count, it does not.
    pub(super) chunks: u64,
    pub(super) committed: u64,
    pub(super) discarded: u64,
    pub(super) rows: u64,
}

impl Stored {
    /// How the extraction stands; loads are `nstore status RUN`'s matter.
    pub(super) fn state(&self) -> &'static str {
        let ended = self.committed + self.discarded;
        match () {
            () if self.cancelled => "cancelled",
            () if ended < self.chunks && self.paused => "paused",
            () if ended < self.chunks => "open",
            () if self.discarded == 0 => "extracted",
            () if self.committed == 0 => "failed",
            () => "partial",
        }
    }
}

pub(super) async fn runs(global: &Global, args: &RunsArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let found = newest(&storage, args.limit).await?;
    if args.json {
        let listed: Vec<_> = found
            .iter()
            .map(|stored| {
                let mut value = serde_json::json!(stored);
                value["state"] = stored.state().into();
                value
            })
            .collect();
        view::print_json(&listed);
    } else {
        view::print(&view::runs::table(&found, storage.url()));
    }
    Ok(Exit::Good)
}

/// The newest runs by the time they were asked for.
pub(super) async fn newest(storage: &Storage, limit: usize) -> anyhow::Result<Vec<Stored>> {
    let mut manifests = access::manifests(storage).await?;
    manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.created_at));
    let mut found = Vec::new();
    for manifest in manifests.iter().take(limit) {
        found.push(look(storage, manifest).await?);
    }
    Ok(found)
}

/// Looks at one run in storage.
pub(super) async fn look(storage: &Storage, manifest: &Manifest) -> anyhow::Result<Stored> {
    let mut stored = Stored {
        run: manifest.run.clone(),
        created_at: manifest.created_at,
        start_date: manifest.start_date,
        end_date: manifest.end_date,
        sources: manifest.sources.iter().map(|plan| plan.source.to_string()).collect(),
        upload: manifest.upload.enabled,
        cancelled: storage.cancelled(&manifest.run).await?.is_some(),
        paused: is_paused(storage, manifest).await?,
        chunks: 0,
        committed: 0,
        discarded: 0,
        rows: 0,
    };
    for plan in &manifest.sources {
        let standing = storage.standing(&plan.source, &manifest.run).await?;
        for (_, marker) in leaves(&plan.chunks, &standing) {
            stored.chunks += 1;
            match marker.map(|marker| &marker.outcome) {
                Some(Outcome::Committed(committed)) => {
                    stored.committed += 1;
                    stored.rows += committed.rows;
                }
                Some(Outcome::Discarded { .. }) => stored.discarded += 1,
                Some(Outcome::Split { .. }) | None => {}
            }
        }
    }
    Ok(stored)
}

async fn is_paused(storage: &Storage, manifest: &Manifest) -> anyhow::Result<bool> {
    let mut of = vec![PauseOf::Run(&manifest.run)];
    of.extend(manifest.sources.iter().map(|plan| PauseOf::Source(&plan.source)));
    for of in of {
        if storage.paused(of).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The sources of a run that are still to be extracted; `open` tells it by a chunk's outcome.
pub(super) async fn open_plans<'a>(
    storage: &Storage,
    manifest: &'a Manifest,
    open: impl Fn(Option<&Marker>) -> bool,
) -> anyhow::Result<Vec<&'a SourcePlan>> {
    let mut plans = Vec::new();
    for plan in &manifest.sources {
        let standing = storage.standing(&plan.source, &manifest.run).await?;
        if leaves(&plan.chunks, &standing).into_iter().any(|(_, marker)| open(marker)) {
            plans.push(plan);
        }
    }
    Ok(plans)
}
