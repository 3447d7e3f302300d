//! The daemon: follows every open run, loads what is stored, compares storage with Redis every minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nstore_shared::{chunk::RunId, storage::manifest::Manifest};
use tokio::{task::JoinSet, time::Instant};
use tracing::{info, warn};

use crate::run::{self, House, RunError, RunReport, SourceStatus, Verdict, View, WatchOptions};

/// How often new runs are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How often runs that had ended are looked at again: a retry opens them.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Follows open runs until `shutdown`; loads on their way are then rolled back and done by the next one who loads.
///
/// # Errors
/// When storage cannot be listed at the start.
pub async fn serve(house: House, shutdown: impl Future<Output = ()> + Send) -> Result<(), RunError> {
    house.storage.runs().await?;
    info!(storage = house.storage.url(), "serving");
    let mut daemon =
        Daemon { house, followed: BTreeSet::new(), ended: BTreeMap::new(), tasks: JoinSet::new() };
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        () = daemon.work() => {}
    }
    info!("stopped serving");
    Ok(())
}

struct Daemon {
    house: House,
    followed: BTreeSet<RunId>,
    ended: BTreeMap<RunId, Instant>,
    tasks: JoinSet<(RunId, Result<RunReport, RunError>)>,
}

impl Daemon {
    async fn work(&mut self) {
        loop {
            if let Err(error) = self.look().await {
                warn!(%error, "cannot look for runs; trying again");
            }
            let next = tokio::time::sleep(LOOK);
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    Some(ended) = self.tasks.join_next() => match ended {
                        Ok((run, result)) => self.note(run, &result),
                        Err(broken) => warn!(error = %broken, "following a run broke off"),
                    },
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), RunError> {
        for run in self.house.storage.runs().await? {
            let rested = self.ended.get(&run).is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
            if self.followed.contains(&run) || !rested {
                continue;
            }
            let Some(manifest) = self.house.storage.manifest(&run).await? else { continue };
            let report = run::report::report(&self.house, &manifest).await?;
            if report.verdict == Verdict::Open {
                self.follow(manifest);
            } else {
                self.ended.insert(run, Instant::now());
            }
        }
        Ok(())
    }

    fn follow(&mut self, manifest: Manifest) {
        let house = self.house.clone();
        let run = manifest.run.clone();
        info!(%run, "following");
        self.followed.insert(run.clone());
        self.tasks.spawn(async move {
            let options =
                WatchOptions { extract: true, load: manifest.upload.enabled, fail_fast: manifest.fail_fast };
            let mut view = LogView { run: run.clone() };
            let result =
                run::watch::watch(&house, &manifest, options, &mut view, std::future::pending()).await;
            (run, result)
        });
    }

    fn note(&mut self, run: RunId, result: &Result<RunReport, RunError>) {
        match result {
            Ok(report) => info!(%run, verdict = ?report.verdict, "run ended"),
            Err(error) => warn!(%run, %error, "run cannot be followed; trying again in a minute"),
        }
        self.followed.remove(&run);
        self.ended.insert(run, Instant::now());
    }
}

/// Notes go to the log; progress is what `nstore status` shows.
struct LogView {
    run: RunId,
}

impl View for LogView {
    fn update(&mut self, _: &[SourceStatus]) {}

    fn note(&mut self, line: &str) {
        warn!(run = %self.run, "{line}");
    }
}
