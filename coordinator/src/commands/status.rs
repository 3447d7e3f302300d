//! `nstore status`: the state of a run, and the workers; or the settings, or what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nstore_shared::{
    chunk::Kind,
    redis::fleet::WorkerCard,
    storage::{Storage, manifest::Manifest, upkeep::Usage},
};
use serde_json::json;

use super::{
    access::{self, Access, Want},
    config,
    exit::Exit,
    follow, idle,
    interrupt::Interrupt,
    look::{Look, Need, redis_away},
    runs, view, workers,
};
use crate::{
    cli::{Global, StatusArgs},
    run::{RunError, RunReport, RunState, Verdict, report},
};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(2);

pub(super) async fn status(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    if !args.show_config && !args.show_storage {
        return state(global, args).await;
    }
    let storage = access::storage(global)?;
    let run = match &args.run {
        Some(run) => Some(access::manifest(&storage, run).await?),
        None => None,
    };
    let mut document = serde_json::Map::new();
    let mut text = Vec::new();
    if args.show_config {
        let (shown, value) = match &run {
            Some(manifest) => (view::plan::of_run(manifest), json!(manifest)),
            None => config::show::applied(global)?,
        };
        text.push(shown);
        document.insert("config".into(), value);
    }
    if args.show_storage {
        let (shown, value) = stored(&storage, run.as_ref()).await?;
        text.push(shown);
        document.insert("storage".into(), value);
    }
    if args.json {
        view::print_json(&document);
    } else {
        view::print(&text.join("\n\n"));
    }
    Ok(Exit::Good)
}

/// The state of the run that is named, or else of the newest one.
async fn state(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifest = match &args.run {
        Some(run) => Some(access::manifest(&storage, run).await?),
        None => runs::newest(&storage, 1).await?.pop(),
    };
    let interrupt = Interrupt::listen()?;
    let Some(manifest) = manifest else { return no_run(global, args, &interrupt).await };
    let need = if manifest.upload.enabled { Need::Ledger } else { Need::LedgerIfThere };
    let services = Look::open(global, storage, need, true).await?;
    let shown = show(global, args, &services, &manifest, &interrupt).await;
    services.close(Some(&interrupt)).await;
    let (verdict, state) = shown?;
    Ok(match verdict {
        _ if args.run.is_none() => Exit::Good,
        Verdict::Open if state == RunState::LoadUnknown => Exit::Unreachable,
        // to be asked about an open run is no fault
        Verdict::Open => Exit::Good,
        verdict => verdict.into(),
    })
}

/// The workers alone: there is no run yet.
async fn no_run(global: &Global, args: &StatusArgs, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let access = Access::open(global, Want { beside: true, ..Want::default() }).await?;
    let (redis, storage) = (&access.house.redis, &access.house.storage);
    let workers = match redis.fleet().workers().await {
        Ok(workers) => elsewhere(storage, &workers).await.map(|elsewhere| (workers, elsewhere)),
        Err(error) => Err(error.into()),
    };
    access.close(Some(interrupt)).await;
    let (workers, elsewhere) = workers?;
    if args.json {
        view::print_json(&json!({ "run": null, "workers": workers, "other_storage": elsewhere }));
    } else {
        let fleet = fleet(&workers, &elsewhere, &BTreeSet::new(), global.local);
        view::print(&format!("{fleet}\nno run yet: nstore extract --help"));
    }
    Ok(Exit::Good)
}

async fn show(
    global: &Global,
    args: &StatusArgs,
    services: &Look,
    manifest: &Manifest,
    interrupt: &Interrupt,
) -> anyhow::Result<(Verdict, RunState)> {
    let mut report = report_of(services, manifest).await?;
    if args.watch {
        report = watch(services, manifest, report, interrupt).await?;
    }
    let (workers, redis_away) = workers(services).await?;
    let elsewhere = elsewhere(&services.storage, workers.as_deref().unwrap_or_default()).await?;
    if args.json {
        let mut document = json!(report);
        document["workers"] = json!(workers);
        document["other_storage"] = json!(elsewhere);
        for (name, away) in [("redis", &redis_away), ("ledger", &services.ledger_away)] {
            if let Some(away) = away {
                document[name] = away.as_str().into();
            }
        }
        view::print_json(&document);
    } else {
        let cancelled = services.storage.cancelled(&report.run).await?.map(|cancelled| cancelled.reason);
        let mut parts = Vec::new();
        if let Some(workers) = &workers {
            parts.push(fleet(workers, &elsewhere, &open_kinds(manifest, &report), global.local));
        }
        parts.push(view::report::of_run(&report, cancelled.as_deref(), &follow::commands(global)));
        parts.extend([redis_away, services.ledger_away.clone()].into_iter().flatten());
        view::print(&parts.join("\n\n"));
    }
    Ok((report.verdict, report.state))
}

async fn report_of(services: &Look, manifest: &Manifest) -> Result<RunReport, RunError> {
    let (loader, redis) = (services.loader.as_ref(), services.redis.as_ref());
    report::report_of(&services.storage, loader, redis, manifest).await
}

/// The workers that run, or why they are not known.
async fn workers(services: &Look) -> anyhow::Result<(Option<Vec<WorkerCard>>, Option<String>)> {
    let Some(redis) = &services.redis else { return Ok((None, services.redis_away.clone())) };
    match redis.fleet().workers().await {
        Ok(workers) => Ok((Some(workers), None)),
        Err(error) if error.may_pass() => Ok((None, Some(redis_away(&error)))),
        Err(error) => Err(error.into()),
    }
}

async fn watch(
    services: &Look,
    manifest: &Manifest,
    mut report: RunReport,
    interrupt: &Interrupt,
) -> anyhow::Result<RunReport> {
    let mut progress = view::progress(report.upload);
    let open = |report: &RunReport| report.verdict == Verdict::Open && report.state != RunState::LoadUnknown;
    while open(&report) && !interrupt.came() {
        let sources: Vec<_> = report.sources.iter().map(|source| source.status.clone()).collect();
        progress.update(&sources);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = interrupt.wait(1) => {}
        }
        report = report_of(services, manifest).await?;
    }
    Ok(report)
}

/// The kinds of workers that a run still needs.
fn open_kinds(manifest: &Manifest, report: &RunReport) -> BTreeSet<Kind> {
    let open = report.sources.iter().map(|source| &source.status).filter(|status| idle::open(status));
    open.filter_map(|status| Some(manifest.source(&status.source)?.spec.kind())).collect()
}

/// What is said of workers that look at another storage, by their ids.
async fn elsewhere(storage: &Storage, workers: &[WorkerCard]) -> anyhow::Result<BTreeMap<String, String>> {
    let identity = storage.identity().await?;
    let said = workers.iter().filter_map(|card| {
        workers::elsewhere(card, storage, identity.as_deref()).map(|what| (card.id.clone(), what))
    });
    Ok(said.collect())
}

/// One line on who works, one on each kind that is needed and absent, one on each source that a host leaves alone, and
/// one on each worker that looks at another storage.
fn fleet(
    workers: &[WorkerCard],
    elsewhere: &BTreeMap<String, String>,
    needed: &BTreeSet<Kind>,
    local: bool,
) -> String {
    let slots: u32 = workers.iter().map(|worker| worker.slots).sum();
    let mut text = match workers.len() {
        0 if local => {
            "no worker is running: those of --local work while nstore --local extract does".to_owned()
        }
        0 => {
            let kinds = if needed.is_empty() { BTreeSet::from([Kind::Api]) } else { needed.clone() };
            let starts: Vec<String> =
                kinds.iter().map(|kind| format!("nstore-worker --kind {kind}")).collect();
            format!("no worker is running: start {}", starts.join(" and "))
        }
        1 => format!("1 worker is running, {slots} chunks at once"),
        count => format!("{count} workers are running, {slots} chunks at once"),
    };
    let absent = needed.iter().filter(|kind| !workers.iter().any(|worker| worker.kind == **kind));
    for kind in absent.filter(|_| !local && !workers.is_empty()) {
        text.push_str(&format!("\n  none of them is of kind {kind}: start nstore-worker --kind {kind}"));
    }
    for worker in workers {
        for (source, reason) in &worker.lacks {
            text.push_str(&format!("\n  {} on {} leaves {source} alone: {reason}", worker.id, worker.host));
        }
        if let Some(what) = elsewhere.get(&worker.id) {
            text.push_str(&format!("\n  {} on {} {what}", worker.id, worker.host));
        }
    }
    text
}

async fn stored(storage: &Storage, run: Option<&Manifest>) -> anyhow::Result<(String, serde_json::Value)> {
    let usage: BTreeMap<String, Usage> = match run {
        None => storage.usage().await?,
        Some(manifest) => {
            let mut usage = BTreeMap::new();
            for plan in &manifest.sources {
                let used = storage.usage_of(&plan.source, &manifest.run).await?;
                usage.insert(plan.source.to_string(), used);
            }
            usage
        }
    };
    let free = storage.free_bytes()?;
    let sources: serde_json::Map<String, serde_json::Value> = usage
        .iter()
        .map(|(source, used)| (source.clone(), json!({ "files": used.files, "bytes": used.bytes })))
        .collect();
    let document = json!({ "url": storage.url(), "free_bytes": free, "sources": sources });
    Ok((view::runs::usage(storage.url(), free, &usage), document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_worker_that_is_needed_and_absent_is_named() {
        let both = BTreeSet::from([Kind::Api, Kind::Browser]);
        let needed = "no worker is running: start nstore-worker --kind api and nstore-worker --kind browser";
        let none = BTreeMap::new();
        assert_eq!(fleet(&[], &none, &both, false), needed);
        assert!(fleet(&[], &none, &both, true).contains("nstore --local extract"));
        assert_eq!(
            fleet(&[], &none, &BTreeSet::new(), false),
            "no worker is running: start nstore-worker --kind api"
        );
        let card = WorkerCard {
            id: "w1".into(),
            host: "h".into(),
            kind: Kind::Api,
            version: "1".into(),
            slots: 4,
            lacks: vec![],
            without: vec![],
            lease_ms: 1000,
            draining: false,
            holds: vec![],
            storage_url: String::new(),
            storage_id: String::new(),
            clock_ahead_ms: None,
        };
        let said = fleet(std::slice::from_ref(&card), &none, &both, false);
        let absent = "1 worker is running, 4 chunks at once\n  none of them is of kind browser: \
                      start nstore-worker --kind browser";
        assert_eq!(said, absent);
        assert_eq!(fleet(&[card], &none, &BTreeSet::from([Kind::Api]), false).lines().count(), 1);
    }
}
