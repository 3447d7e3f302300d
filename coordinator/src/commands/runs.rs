//! `nstore runs`: the runs there are, newest first, as storage and the ledger show them.

use chrono::{DateTime, NaiveDate, Utc};
use nstore_shared::{
    chunk::RunId,
    storage::{
        Storage,
        manifest::{Manifest, SourcePlan},
        marker::Marker,
        outcomes::leaves,
    },
};
use serde::Serialize;

use super::{
    access,
    exit::Exit,
    look::{Look, Need},
    settings, view,
};
use crate::{
    cli::{Global, RunsArgs},
    load::Loader,
    run::{RunReport, RunState, Verdict, report},
};

/// One run, from storage and the ledger.
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
    pub(super) state: RunState,
    pub(super) verdict: Verdict,
    /// Chunks in all; the halves of a split one count, it does not.
    pub(super) chunks: u64,
    pub(super) committed: u64,
    pub(super) discarded: u64,
    /// Chunks that are loaded; `None` while the ledger is not known.
    pub(super) loaded: Option<u64>,
    /// Stored chunks that nothing proves to be complete.
    pub(super) unproven: u64,
    pub(super) rows: u64,
}

impl Stored {
    fn new(manifest: &Manifest, report: &RunReport, cancelled: bool) -> Self {
        let sum = |count: fn(&crate::run::SourceStatus) -> u64| {
            report.sources.iter().map(|source| count(&source.status)).sum()
        };
        Self {
            run: manifest.run.clone(),
            created_at: manifest.created_at,
            start_date: manifest.start_date,
            end_date: manifest.end_date,
            sources: manifest.sources.iter().map(|plan| plan.source.to_string()).collect(),
            upload: manifest.upload.enabled,
            cancelled,
            paused: report.sources.iter().any(|source| source.state == RunState::Paused),
            state: report.state,
            verdict: report.verdict,
            chunks: sum(|status| status.chunks_total),
            committed: sum(|status| status.done),
            discarded: sum(|status| status.discarded),
            loaded: report.ledger_known.then(|| sum(|status| status.loaded_chunks)),
            unproven: report.unproven,
            rows: sum(|status| status.rows),
        }
    }
}

pub(super) async fn runs(global: &Global, args: &RunsArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifests = newest(&storage, args.limit).await?;
    let found = if manifests.is_empty() {
        vec![]
    } else {
        let loads = manifests.iter().any(|manifest| manifest.upload.enabled);
        let need = if loads { Need::Ledger } else { Need::LedgerIfThere };
        let services = Look::open(global, storage.clone(), need, false).await?;
        let found = looked_at(&services, &manifests).await;
        settings::warn(&services.ledger_away);
        services.close(None).await;
        found?
    };
    if args.json {
        view::print_json(&found);
    } else {
        view::print(&view::runs::table(&found, storage.url()));
    }
    Ok(Exit::Good)
}

async fn looked_at(services: &Look, manifests: &[Manifest]) -> anyhow::Result<Vec<Stored>> {
    let mut found = Vec::new();
    for manifest in manifests {
        match look(&services.storage, services.loader.as_ref(), manifest).await {
            Ok(stored) => found.push(stored),
            Err(error) => access::pass_over(&manifest.run, error)?,
        }
    }
    Ok(found)
}

/// The manifests of the newest runs by the time they were asked for.
pub(super) async fn newest(storage: &Storage, limit: usize) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = access::manifests(storage).await?;
    manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.created_at));
    manifests.truncate(limit);
    Ok(manifests)
}

/// Looks at one run in storage, and in the ledger where there is a loader.
pub(super) async fn look(
    storage: &Storage,
    loader: Option<&Loader>,
    manifest: &Manifest,
) -> anyhow::Result<Stored> {
    let report = report::report_of(storage, loader, None, manifest).await?;
    let cancelled = storage.cancelled(&manifest.run).await?.is_some();
    Ok(Stored::new(manifest, &report, cancelled))
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
