//! The daemon: follows every open run, loads what is stored, compares storage with Redis every minute.
//!
//! - `upkeep`: every hour, files that nothing refers to go

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use nstore_shared::{
    chunk::RunId,
    health::Sign,
    redis::{Redis, fitness::FitnessWatch},
    retry::Backoff,
    storage::{StorageError, manifest::Manifest},
};
use tokio::{
    task::{self, JoinError, JoinSet},
    time::Instant,
};
use tracing::{info, warn};

mod upkeep;

pub use upkeep::Upkeep;

use crate::run::{self, House, RunError, RunReport, SourceStatus, Verdict, View, WatchOptions};

/// How often new runs are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How long a service that is away is left alone.
const PATIENCE: Backoff = Backoff { base: Duration::from_millis(500), ceiling: Duration::from_secs(15) };
/// How often runs that had ended are looked at again: a retry opens them.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a run that could not be looked at or followed is left alone.
const SETBACK: Backoff = Backoff { base: Duration::from_secs(1), ceiling: LOOK_AGAIN };

/// How often Redis is asked, for a sign of life.
const ASK: Duration = Duration::from_secs(5);
/// For how long a sign of life is good: two may be missed.
pub const SIGN_GOOD_FOR: Duration = Duration::from_secs(15);

/// Follows open runs until `shutdown`; loads on their way are then rolled back and done by the next one who loads.
///
/// # Errors
/// When storage cannot be listed at the start.
pub async fn serve(
    house: House,
    sign: Option<Sign>,
    upkeep: Upkeep,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    house.storage.runs().await?;
    info!(storage = house.storage.url(), "serving");
    let (redis, storage) = (house.redis.clone(), house.storage.clone());
    let mut daemon = Daemon {
        house,
        followed: BTreeSet::new(),
        resting: BTreeMap::new(),
        marked: BTreeSet::new(),
        marks_read: None,
        others: BTreeSet::new(),
        tasks: JoinSet::new(),
        names: HashMap::new(),
    };
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        () = daemon.work() => {}
        () = live(&redis, sign.as_ref()) => {}
        () = upkeep.keep(&storage) => {}
    }
    if let Some(sign) = sign {
        sign.end();
    }
    info!("stopped serving");
    Ok(())
}

/// Gives signs of life for as long as Redis answers and can be used, and says when it cannot any more. In the daemon's
/// own task: one that hangs gives none.
async fn live(redis: &Redis, sign: Option<&Sign>) {
    let mut fitness = FitnessWatch::new(redis.clone());
    loop {
        if let Some(change) = fitness.look().await {
            warn!("{change}");
        }
        if let Some(sign) = sign
            && redis.check().await.is_ok()
        {
            sign.give();
        }
        tokio::time::sleep(ASK).await;
    }
}

struct Daemon {
    house: House,
    followed: BTreeSet<RunId>,
    /// What is looked at later: runs that had ended, or failed here.
    resting: BTreeMap<RunId, Rest>,
    /// Runs that are marked as ended in storage, as last read.
    marked: BTreeSet<RunId>,
    /// When that was.
    marks_read: Option<Instant>,
    /// Runs of another version, which was said.
    others: BTreeSet<RunId>,
    tasks: JoinSet<(RunId, Result<RunReport, RunError>)>,
    /// Which run a task follows, for one that breaks off.
    names: HashMap<task::Id, RunId>,
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
                    Some(ended) = self.tasks.join_next_with_id() => match ended {
                        Ok((task, (run, result))) => {
                            self.names.remove(&task);
                            self.note(run, &result).await;
                        }
                        Err(broken) => self.broken(&broken),
                    },
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), RunError> {
        let mut runs = self.house.storage.runs().await?;
        runs.retain(|run| !self.followed.contains(run) && !self.rests(run));
        let is_new = runs.iter().any(|run| !self.marked.contains(run));
        if is_new || self.marks_read.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            self.marked = self.house.storage.ended().await?;
            self.marks_read = Some(Instant::now());
        }
        for run in runs {
            if self.marked.contains(&run) {
                continue;
            }
            // one run that cannot be read keeps nobody from the others
            match self.open(&run).await {
                Ok(Some(manifest)) => self.follow(manifest),
                Ok(None) => self.ended(run).await,
                // of another version it stays until somebody updates: that is said once
                Err(error @ RunError::Storage(StorageError::Version { .. })) => {
                    if self.others.insert(run.clone()) {
                        warn!(%run, %error, "run is left to an nstore of that version");
                    }
                    self.rest(run);
                }
                Err(error) => self.set_back(run, "run cannot be looked at", &error),
            }
        }
        Ok(())
    }

    /// The run, if something of it is still to be done.
    async fn open(&self, run: &RunId) -> Result<Option<Manifest>, RunError> {
        let Some(manifest) = self.house.storage.manifest(run).await? else { return Ok(None) };
        let report = run::report::report(&self.house, &manifest).await?;
        Ok((report.verdict == Verdict::Open).then_some(manifest))
    }

    fn follow(&mut self, manifest: Manifest) {
        let house = self.house.clone();
        let run = manifest.run.clone();
        info!(%run, "following");
        self.followed.insert(run.clone());
        let name = run.clone();
        let task = self.tasks.spawn(async move { (run.clone(), follow(&house, &manifest, run).await) });
        self.names.insert(task.id(), name);
    }

    fn broken(&mut self, broken: &JoinError) {
        if let Some(run) = self.names.remove(&broken.id()) {
            self.set_back(run, "following a run broke off", broken);
        }
    }

    async fn note(&mut self, run: RunId, result: &Result<RunReport, RunError>) {
        match result {
            Ok(report) => {
                info!(%run, verdict = ?report.verdict, "run ended");
                self.ended(run).await;
            }
            Err(error) => self.set_back(run, "run cannot be followed", error),
        }
    }

    /// Nothing of it is to be done, until somebody says so: it is marked in storage, and looked at no more.
    async fn ended(&mut self, run: RunId) {
        if let Err(error) = self.mark(&run).await {
            warn!(%run, %error, "run cannot be marked as ended; trying again later");
        }
        self.rest(run);
    }

    /// Whoever gives a run work takes its mark away, which may not have been there yet: so it is looked at once more.
    async fn mark(&mut self, run: &RunId) -> Result<(), RunError> {
        self.house.storage.mark_ended(run).await?;
        if self.open(run).await?.is_some() {
            self.house.storage.reopen(run).await?;
        } else {
            self.marked.insert(run.clone());
        }
        Ok(())
    }

    fn rests(&self, run: &RunId) -> bool {
        self.resting.get(run).is_some_and(|rest| Instant::now() < rest.until)
    }

    /// It is looked at again after a while, unless it is marked as ended.
    fn rest(&mut self, run: RunId) {
        self.followed.remove(&run);
        self.resting.insert(run, Rest { until: Instant::now() + LOOK_AGAIN, setbacks: 0 });
    }

    /// It may be a garbled answer, or something that stays until a person sees to it: it is tried again less and less often.
    fn set_back(&mut self, run: RunId, what: &str, error: &dyn std::fmt::Display) {
        self.followed.remove(&run);
        let now = Instant::now();
        // what is long over does not count
        let recent = self.resting.get(&run).filter(|rest| now < rest.until + LOOK_AGAIN);
        let setbacks = recent.map_or(0, |rest| rest.setbacks) + 1;
        let wait = SETBACK.wait(setbacks, 0.5 + fastrand::f64() / 2.0);
        warn!(%run, %error, "{what}; trying again in {:.0?}", wait.max(LOOK));
        self.resting.insert(run, Rest { until: now + wait, setbacks });
    }
}

/// For how long a run is not looked at.
struct Rest {
    until: Instant,
    /// Failures in a row.
    setbacks: u32,
}

/// Follows a run to its end; a service that is away is waited for.
async fn follow(house: &House, manifest: &Manifest, run: RunId) -> Result<RunReport, RunError> {
    let mut setbacks = 0;
    loop {
        match follow_once(house, manifest, &run).await {
            Err(error) if error.may_pass() => {
                if setbacks == 0 {
                    warn!(%run, %error, "run cannot be followed yet; trying again, nothing is lost");
                }
                setbacks += 1;
                tokio::time::sleep(PATIENCE.wait(setbacks, 0.5 + fastrand::f64() / 2.0)).await;
            }
            ended => return ended,
        }
    }
}

/// Who submitted a run may have died before the end of that: repeating it is safe, and nothing is loaded before.
async fn follow_once(house: &House, manifest: &Manifest, run: &RunId) -> Result<RunReport, RunError> {
    run::submit::take_up(house, manifest, false).await?;
    let options =
        WatchOptions { extract: true, load: manifest.upload.enabled, fail_fast: manifest.fail_fast };
    let mut view = LogView { run: run.clone() };
    run::watch::watch(house, manifest, options, &mut view, std::future::pending()).await
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
