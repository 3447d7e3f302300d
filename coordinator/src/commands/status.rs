//! `nstore status`: how a run stands, and who works; or the settings, or what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nstore_shared::{
    chunk::{Kind, RunId},
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
    runs, view,
};
use crate::{
    cli::{Global, StatusArgs},
    run::{RunReport, Verdict, report},
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

/// How the run stands that is named, or else the newest one.
async fn state(global: &Global, args: &StatusArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let run = match &args.run {
        Some(run) => Some(run.clone()),
        None => newest(&storage).await?,
    };
    let manifest = match &run {
        Some(run) => Some(access::manifest(&storage, run).await?),
        None => None,
    };
    let interrupt = Interrupt::listen()?;
    let postgres = manifest.as_ref().is_some_and(|manifest| manifest.upload.enabled);
    let access = Access::open(global, Want { postgres, beside: true, ..Want::default() }).await?;
    let shown = show(global, args, &access, manifest.as_ref(), &interrupt).await;
    access.close(Some(&interrupt)).await;
    let shown = shown?;
    Ok(match shown {
        Some(Shown { doubtful: true, .. }) if args.run.is_some() => Exit::Unreachable,
        // to be asked about an open run is no fault
        None | Some(Shown { verdict: Verdict::Open, .. }) => Exit::Good,
        Some(Shown { verdict, .. }) if args.run.is_some() => verdict.into(),
        Some(_) => Exit::Good,
    })
}

/// What a look at a run led to.
struct Shown {
    verdict: Verdict,
    /// All that could be read is good, and the ledger could not be read.
    doubtful: bool,
}

/// Without its ledger no run that is to be loaded is good; answers whether that makes a difference.
fn doubt(report: &mut RunReport) -> bool {
    for source in report.sources.iter_mut().filter(|source| source.verdict == Verdict::Good) {
        source.verdict = Verdict::Open;
    }
    let good = report.verdict == Verdict::Good;
    if good {
        report.verdict = Verdict::Open;
    }
    good
}

const NO_LEDGER: &str = "the ledger could not be read: another nstore uses .nstore/ just now, without PostgreSQL; \
                         what is loaded is not known";

async fn newest(storage: &Storage) -> anyhow::Result<Option<RunId>> {
    Ok(runs::newest(storage, 1).await?.pop().map(|stored| stored.run))
}

async fn show(
    global: &Global,
    args: &StatusArgs,
    access: &Access,
    manifest: Option<&Manifest>,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Shown>> {
    let workers = access.house.redis.fleet().workers().await?;
    let Some(manifest) = manifest else {
        if args.json {
            view::print_json(&json!({ "run": null, "workers": workers }));
        } else {
            let fleet = fleet(&workers, &BTreeSet::new(), global.local);
            view::print(&format!("{fleet}\nno run yet: nstore extract --help"));
        }
        return Ok(None);
    };
    let mut report = report::report(&access.house, manifest).await?;
    if args.watch {
        report = watch(access, manifest, report, interrupt).await?;
    }
    let unread = manifest.upload.enabled && access.house.loader.is_none();
    let doubtful = unread && doubt(&mut report);
    if args.json {
        let mut document = json!(report);
        document["workers"] = json!(workers);
        if unread {
            document["ledger"] = NO_LEDGER.into();
        }
        view::print_json(&document);
    } else {
        let cancelled = access.house.storage.cancelled(&report.run).await?.map(|cancelled| cancelled.reason);
        let table = view::report::of_run(&report, cancelled.as_deref(), &follow::commands(global));
        let ledger = if unread { format!("\n\n{NO_LEDGER}") } else { String::new() };
        let fleet = fleet(&workers, &open_kinds(manifest, &report), global.local);
        view::print(&format!("{fleet}\n\n{table}{ledger}"));
    }
    Ok(Some(Shown { verdict: report.verdict, doubtful }))
}

async fn watch(
    access: &Access,
    manifest: &Manifest,
    mut report: RunReport,
    interrupt: &Interrupt,
) -> anyhow::Result<RunReport> {
    let mut progress = view::progress(report.upload);
    while report.verdict == Verdict::Open && !interrupt.came() {
        let sources: Vec<_> = report.sources.iter().map(|source| source.status.clone()).collect();
        progress.update(&sources);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = interrupt.wait(1) => {}
        }
        report = report::report(&access.house, manifest).await?;
    }
    Ok(report)
}

/// The kinds of workers that a run still needs.
fn open_kinds(manifest: &Manifest, report: &RunReport) -> BTreeSet<Kind> {
    let open = report.sources.iter().map(|source| &source.status).filter(|status| idle::open(status));
    open.filter_map(|status| Some(manifest.source(&status.source)?.spec.kind())).collect()
}

/// One line on who works, one on each kind that is needed and absent, and one on each source that a host leaves alone.
fn fleet(workers: &[WorkerCard], needed: &BTreeSet<Kind>, local: bool) -> String {
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
    use crate::{commands::view::report::tests::status, run::SourceReport};

    #[test]
    fn a_kind_of_worker_that_is_needed_and_absent_is_named() {
        let both = BTreeSet::from([Kind::Api, Kind::Browser]);
        let needed = "no worker is running: start nstore-worker --kind api and nstore-worker --kind browser";
        assert_eq!(fleet(&[], &both, false), needed);
        assert!(fleet(&[], &both, true).contains("nstore --local extract"));
        assert_eq!(
            fleet(&[], &BTreeSet::new(), false),
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
        };
        let said = fleet(std::slice::from_ref(&card), &both, false);
        let absent = "1 worker is running, 4 chunks at once\n  none of them is of kind browser: \
                      start nstore-worker --kind browser";
        assert_eq!(said, absent);
        assert_eq!(fleet(&[card], &BTreeSet::from([Kind::Api]), false).lines().count(), 1);
    }

    #[test]
    fn without_its_ledger_no_run_is_good() {
        let report = |verdict| RunReport {
            run: "20251123-040312-k3f9".parse().unwrap(),
            verdict,
            upload: false,
            sources: vec![SourceReport { status: status("a"), verdict, failed: vec![], blocked: None }],
        };
        let mut good = report(Verdict::Good);
        assert!(doubt(&mut good));
        assert_eq!((good.verdict, good.sources[0].verdict), (Verdict::Open, Verdict::Open));
        let mut failed = report(Verdict::Failed);
        assert!(!doubt(&mut failed));
        assert_eq!(failed.verdict, Verdict::Failed);
    }
}
