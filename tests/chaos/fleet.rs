//! The processes that may die: workers and daemons, what each holds, and who is started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::ensure;
use nstore_tests::context::{Exit, Running};
use rustix::process::Signal;

use crate::world::World;

/// API workers at rest.
pub(crate) const WORKERS: usize = 3;
/// A chunk whose worker was lost so often is lost no more: once more, and it were rightly discarded.
const MOST_LOSSES: u32 = 2;

/// An API worker.
pub(crate) struct Worker {
    pub(crate) running: Running,
    /// It has a clock of its own.
    clock: bool,
}

impl Worker {
    /// The chunks that it has in hand, by its own words.
    pub(crate) fn holds(&self) -> BTreeSet<String> {
        holds(&self.running.stderr())
    }
}

/// All that runs, and what it came to.
#[derive(Default)]
pub(crate) struct Fleet {
    pub(crate) workers: Vec<Worker>,
    pub(crate) browser: Option<Running>,
    pub(crate) daemons: Vec<Running>,
    /// Processes that follow a run beside the daemons.
    pub(crate) others: Vec<Running>,
    /// How often a chunk lost its worker by our hand.
    pub(crate) losses: BTreeMap<String, u32>,
    /// What those who are gone wrote, by their processes.
    gone: BTreeMap<u32, String>,
}

impl Fleet {
    pub(crate) fn start(world: &World) -> Self {
        let mut fleet = Self::default();
        fleet.fill(world);
        fleet.browser = Some(world.browser_worker().start());
        fleet.daemons = (0..2).map(|_| world.nstore("serve").start()).collect();
        fleet
    }

    /// Starts as many as are missing, as whoever looks after workers does: one that finds no service when it starts
    /// ends with code 4.
    pub(crate) fn fill(&mut self, world: &World) {
        for at in (0..self.workers.len()).rev() {
            if !self.workers[at].running.is_running() {
                let worker = self.workers.remove(at);
                self.bid_farewell(worker.running.pid(), worker.running.stderr());
            }
        }
        while self.workers.len() < WORKERS {
            self.add(world);
        }
    }

    pub(crate) fn add(&mut self, world: &World) {
        let clock = !self.workers.iter().any(|worker| worker.clock);
        self.workers.push(Worker { running: world.api_worker(clock).start(), clock });
    }

    /// Takes such a worker, if its death harms no chunk too often.
    pub(crate) fn victim(&mut self, wanted: impl Fn(&Worker) -> bool) -> Option<Worker> {
        let spared = |chunk: &String| self.losses.get(chunk).is_some_and(|losses| *losses >= MOST_LOSSES);
        let may_go = |worker: &Worker| wanted(worker) && !worker.holds().iter().any(spared);
        let at = self.workers.iter().position(may_go)?;
        Some(self.workers.remove(at))
    }

    /// Notes that these chunks lose their worker.
    pub(crate) fn lose(&mut self, held: BTreeSet<String>) {
        for chunk in held {
            *self.losses.entry(chunk).or_default() += 1;
        }
    }

    /// Keeps what a process wrote that is gone.
    pub(crate) fn bid_farewell(&mut self, pid: u32, log: String) {
        self.gone.insert(pid, log);
    }

    /// What each process wrote so far.
    pub(crate) fn logs(&self) -> BTreeMap<u32, String> {
        let workers = self.workers.iter().map(|worker| &worker.running);
        let running = workers.chain(&self.browser).chain(&self.daemons).chain(&self.others);
        let mut logs = self.gone.clone();
        logs.extend(running.map(|running| (running.pid(), running.stderr())));
        logs
    }

    /// Kills a worker that was taken out.
    pub(crate) async fn bury(&mut self, worker: Worker) {
        let pid = worker.running.pid();
        worker.running.kill9();
        let exit = worker.running.wait_exit(Duration::from_secs(10)).await;
        // what it held at its very end
        self.lose(holds(&exit.stderr));
        self.bid_farewell(pid, exit.stderr);
    }

    /// Lets everything go on that may stand still.
    pub(crate) fn thaw(&self) {
        for worker in &self.workers {
            worker.running.signal(Signal::CONT);
        }
    }

    /// Ends all, in good order; fails for one that ends badly.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let workers = self.workers.into_iter().map(|worker| ("worker", worker.running));
        let browser = self.browser.into_iter().map(|running| ("browser worker", running));
        let daemons = self.daemons.into_iter().map(|running| ("serve", running));
        for (what, running) in workers.chain(browser).chain(daemons) {
            running.sigterm();
            let exit = running.wait_exit(Duration::from_secs(60)).await;
            ended_well(what, &exit)?;
        }
        Ok(())
    }
}

/// Exit code 0, or 4 when it was asked before it found its services.
pub(crate) fn ended_well(what: &str, exit: &Exit) -> anyhow::Result<()> {
    ensure!(
        matches!(exit.code, Some(0 | 4)),
        "{what} ended with {:?}\n{}\n{}",
        exit.code,
        exit.stdout,
        exit.stderr
    );
    Ok(())
}

/// `source/run/range` of a line that is about a chunk.
pub(crate) fn chunk_of(line: &str) -> Option<String> {
    let field = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name));
    Some(format!("{}/{}/{}", field("source=")?, field("run=")?, field("chunk=")?))
}

/// What is claimed in a log and not ended.
fn holds(log: &str) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for line in log.lines() {
        let Some(chunk) = chunk_of(line) else { continue };
        if line.contains(": claimed ") {
            held.insert(chunk);
        } else if !line.contains("is not kept") && !line.contains(": to be split ") {
            held.remove(&chunk);
        }
    }
    held
}

/// The process in an artifact's key, `…/<range>.g<N>.<host>-<process>-<start>-s<slot>-<nonce>.csv`.
pub(crate) fn writer(artifact: &str) -> Option<u32> {
    let worker = artifact.rsplit('/').next()?.split('.').nth(2)?;
    worker.rsplit('-').nth(3)?.parse().ok()
}
