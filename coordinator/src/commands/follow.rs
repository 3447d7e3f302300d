//! Watches a run, shows it, says how it ended and what to do next.

use anyhow::Context as _;
use nstore_shared::{chunk::RunId, storage::manifest::Manifest, terminal};

use super::{
    access::Access,
    exit::Exit,
    idle,
    interrupt::Interrupt,
    view::{self, report},
};
use crate::{
    cli::Global,
    run::{RunReport, Verdict, WatchOptions, watch},
};

/// Follows the run to its end or to Ctrl-C, then ends private servers, then says how it stands.
pub(super) async fn follow(
    global: &Global,
    mut access: Access,
    manifest: &Manifest,
    options: WatchOptions,
    interrupt: &Interrupt,
    json: bool,
) -> anyhow::Result<Exit> {
    let followed = watch_it(&mut access, manifest, options, interrupt, global.local).await;
    let stopped = interrupt.came();
    if stopped && global.local {
        terminal::tell("stopping: chunks in flight are finished or given back; Ctrl-C again to stop at once");
    }
    let cancelled = access.house.storage.cancelled(&manifest.run).await;
    access.close(Some(interrupt)).await;
    let (report, cancelled) = (followed?, cancelled?.map(|cancelled| cancelled.reason));
    if json {
        view::print_json(&report);
    } else {
        view::print(&report::of_run(&report, cancelled.as_deref(), &commands(global)));
    }
    let unended = matches!(report.verdict, Verdict::Open | Verdict::Partial);
    if options.load && !manifest.upload.enabled && unended {
        let (nstore, run) = (commands(global), &report.run);
        terminal::tell(&format!(
            "the run was asked for without --upload: chunks that are stored later are loaded by: {nstore} load {run}"
        ));
    }
    if stopped && report.verdict == Verdict::Open {
        terminal::tell(&interrupted(global, &report));
    }
    Ok(report.verdict.into())
}

async fn watch_it(
    access: &mut Access,
    manifest: &Manifest,
    options: WatchOptions,
    interrupt: &Interrupt,
    private: bool,
) -> anyhow::Result<RunReport> {
    let (mut view, watcher) = idle::attended(view::progress(options.load));
    let (house, local) = access.parts();
    tokio::select! {
        report = watch::watch(house, manifest, options, &mut view, interrupt.wait(1)) => {
            report.with_context(|| format!("run {}", manifest.run))
        }
        never = watcher.look(&house.redis, manifest, private), if options.extract => match never {},
        error = Access::broken(local) => Err(error).with_context(|| format!("run {}", manifest.run)),
    }
}

/// What stands before a verb, so that a proposed command works as it is printed.
pub(super) fn commands(global: &Global) -> String {
    if global.local { "nstore --local".into() } else { "nstore".into() }
}

fn interrupted(global: &Global, report: &RunReport) -> String {
    let run = &report.run;
    if global.local {
        return format!("stopped; go on with: nstore --local resume {run}");
    }
    let loading = if report.upload { ", loading waits for nstore serve or resume" } else { "" };
    format!("workers go on extracting{loading}\n{}", next_steps(run))
}

/// The three commands for a run that goes on without this one.
pub(super) fn next_steps(run: &RunId) -> String {
    format!("  nstore status {run}\n  nstore resume {run}\n  nstore cancel {run}")
}
