//! Runs that are submitted, submitted together, followed twice, cancelled; coordinators that die.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use chrono::{Days, NaiveDate};
use futures::future::{try_join, try_join_all};
use nstore_shared::retry::FailureClass;
use nstore_tests::{context::Exit, simulator::Api};
use serde_json::Value;
use tokio::sync::Mutex;

use super::some;
use crate::{
    schedule::Fault,
    witness::Witness,
    world::{LEASE, World},
};

/// Days of a block of work.
const BLOCK: u64 = 4;
/// Runs that are under way at least.
const OPEN: usize = 2;
/// How long a command is tried again that a fault keeps from its end.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is submitted together.
const TOGETHER: usize = 8;
/// A source with very many chunks, for which nobody waits.
const FLOOD: &str = "extract --start-date 1990-01-01 --end-date 2017-05-18 --sources seller_tickets \
                     --chunk-sizes seller_tickets:1 --detach --json --idempotency-key flood";

/// What is known beside the servers.
#[derive(Default)]
pub(crate) struct Side {
    /// Runs whose rows must be there in the end.
    pub(crate) runs: Mutex<Vec<String>>,
    /// Runs whose cancel was acknowledged, and their chunks in the ledger then.
    pub(crate) cancelled: Mutex<Vec<(String, i64)>>,
    /// Chunks that were made to kill their workers.
    pub(crate) poisoned: Mutex<BTreeSet<String>>,
    /// Sources that gave wrong data or too much, and how a chunk of theirs rightly fails for good.
    pub(crate) refused: Mutex<Vec<(&'static str, FailureClass)>>,
    /// How long a small run waited beside a very large one.
    pub(crate) waits: Mutex<Vec<Duration>>,
    /// What was seen on the way.
    pub(crate) witness: Witness,
    /// Those of the runs that have come to an end.
    over: Mutex<BTreeSet<String>>,
    blocks: Mutex<u64>,
}

impl Side {
    /// The days of all blocks so far.
    pub(crate) async fn days(&self) -> (NaiveDate, NaiveDate) {
        days(0, (*self.blocks.lock().await).max(1))
    }

    /// Sees to it that there is work.
    pub(crate) async fn ensure_work(&self, world: &World) -> anyhow::Result<()> {
        self.witness.look(world).await?;
        // one after the other: their order is the order of a sequential source, and of tables that are replaced
        for _ in self.open_runs(world).await?.len()..OPEN {
            self.submit(world).await?;
        }
        Ok(())
    }

    /// The runs that are not over.
    pub(crate) async fn open_runs(&self, world: &World) -> anyhow::Result<Vec<String>> {
        let mut over = self.over.lock().await;
        let mut runs = self.runs.lock().await.clone();
        runs.retain(|run| !over.contains(run));
        let verdicts = try_join_all(runs.iter().map(|run| verdict(world, run))).await?;
        let (open, ended): (Vec<_>, Vec<_>) =
            runs.into_iter().zip(verdicts).partition(|(_, verdict)| verdict == "open");
        over.extend(ended.into_iter().map(|(run, _)| run));
        Ok(open.into_iter().map(|(run, _)| run).collect())
    }

    /// Submits the next block.
    pub(crate) async fn submit(&self, world: &World) -> anyhow::Result<String> {
        let block = self.next_block().await;
        self.submit_block(world, block).await
    }

    async fn next_block(&self) -> u64 {
        let mut blocks = self.blocks.lock().await;
        *blocks += 1;
        *blocks - 1
    }

    async fn submit_block(&self, world: &World, block: u64) -> anyhow::Result<String> {
        let (days, table) = (extract(block), extract_table(block));
        let (run, table) = try_join(insist(world, &days), insist(world, &table)).await?;
        let (run, table) = (run_of(&run)?, run_of(&table)?);
        self.runs.lock().await.extend([run.clone(), table]);
        Ok(run)
    }
}

/// The first and the last day of so many blocks.
fn days(block: u64, blocks: u64) -> (NaiveDate, NaiveDate) {
    let first = NaiveDate::default() + Days::new(20_301 + block * BLOCK);
    (first, first + Days::new(blocks * BLOCK - 1))
}

/// Five sources, in three modes: append with a key and without, and `replace_range`.
fn extract(block: u64) -> String {
    let (first, last) = days(block, 1);
    let names = Api::HTTP.map(Api::name);
    let daily: Vec<&str> = names.into_iter().filter(|name| *name != "buyer_tickets").collect();
    format!(
        "extract --start-date {first} --end-date {last} --sources {},network_observability \
         --chunk-sizes {}:1,network_observability:2 --parallel-workers 3 --upload --detach --json \
         --idempotency-key block-{block}",
        daily.join(","),
        daily.join(":1,")
    )
}

/// The sixth one: a whole table that is replaced, by more days each time.
fn extract_table(block: u64) -> String {
    let (first, last) = days(0, block + 1);
    format!(
        "extract --start-date {first} --end-date {last} --sources buyer_tickets --chunk-sizes buyer_tickets:4 \
         --upload-mode buyer_tickets:replace --upload --detach --json --idempotency-key table-{block}"
    )
}

/// How a run stands.
pub(crate) async fn verdict(world: &World, run: &str) -> anyhow::Result<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let exit = world.nstore(&format!("status {run} --json")).run(PATIENCE).await;
        if let Ok(told) = serde_json::from_str::<Value>(&exit.stdout)
            && let Some(verdict) = told["verdict"].as_str()
        {
            return Ok(verdict.to_owned());
        }
        ensure!(Instant::now() < end, "no status of {run}: {}\n{}", exit.stdout, exit.stderr);
        tokio::time::sleep(LEASE / 4).await;
    }
}

/// Repeats a command until it gets through.
async fn insist(world: &World, args: &str) -> anyhow::Result<Exit> {
    let end = Instant::now() + PATIENCE;
    loop {
        let exit = world.nstore(args).run(PATIENCE).await;
        match exit.code {
            Some(0) => return Ok(exit),
            // a service that is away, or that broke off
            Some(1 | 4) if Instant::now() < end => tokio::time::sleep(LEASE / 4).await,
            code => bail!("nstore {args}: {code:?}\n{}\n{}", exit.stdout, exit.stderr),
        }
    }
}

/// The run that was submitted.
pub(crate) fn run_of(exit: &Exit) -> anyhow::Result<String> {
    let told: Value = serde_json::from_str(&exit.stdout).with_context(|| exit.stdout.clone())?;
    Ok(told["run"].as_str().context("a run")?.to_owned())
}

pub(super) async fn strike(
    world: &World,
    side: &Side,
    fault: Fault,
    rng: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    match fault {
        Fault::SecondLoader => {
            let newest = side.runs.lock().await.last().cloned().context("a run")?;
            let follower = world.nstore(&format!("resume {newest}")).start();
            tokio::time::sleep(some(rng, LEASE)).await;
            if rng.bool() {
                follower.kill9();
            } else {
                world.fleet.lock().await.others.push(follower);
            }
            Ok(())
        }
        Fault::KillCoordinator => {
            let mut fleet = world.fleet.lock().await;
            let at = rng.usize(..fleet.daemons.len());
            let daemon = fleet.daemons.remove(at);
            daemon.kill9();
            fleet.bid_farewell(daemon.pid(), daemon.stderr());
            drop(fleet);
            tokio::time::sleep(some(rng, LEASE)).await;
            world.fleet.lock().await.daemons.push(world.nstore("serve").start());
            Ok(())
        }
        Fault::KillSubmit => {
            let block = side.next_block().await;
            let first = world.nstore(&extract(block)).start();
            tokio::time::sleep(some(rng, LEASE / 3)).await;
            first.kill9();
            side.submit_block(world, block).await.map(drop)
        }
        Fault::SubmitTogether => {
            let block = side.next_block().await;
            let asked = extract(block);
            let all = (0..TOGETHER).map(|_| insist(world, &asked));
            let mut runs = BTreeSet::new();
            for exit in futures::future::join_all(all).await {
                runs.insert(run_of(&exit?)?);
            }
            ensure!(runs.len() == 1, "one key, and these runs: {runs:?}");
            side.submit_block(world, block).await.map(drop)
        }
        Fault::Cancel => cancel(world, side, rng).await,
        Fault::TwoModes => two_modes(world, side, rng).await,
        _ => flood(world, side).await,
    }
}

/// A run beside the others that ends before its time.
async fn cancel(world: &World, side: &Side, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    let (_, last) = side.days().await;
    let first = last - Days::new(BLOCK - 1);
    let extract = format!(
        "extract --start-date {first} --end-date {last} --sources buyer_orders --chunk-sizes buyer_orders:1 \
         --upload --detach --json --idempotency-key cancelled-{}",
        side.cancelled.lock().await.len()
    );
    let run = run_of(&insist(world, &extract).await?)?;
    tokio::time::sleep(some(rng, LEASE)).await;
    insist(world, &format!("cancel {run}")).await?;
    let loaded = loaded(world, &run).await?;
    side.cancelled.lock().await.push((run, loaded));
    Ok(())
}

/// A run that replaces days which an append without a key is loading: it is refused until they are loaded, and then
/// takes them.
async fn two_modes(world: &World, side: &Side, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    side.submit(world).await?;
    let (_, last) = side.days().await;
    let first = last - Days::new(BLOCK - 1);
    for nth in 0..3 {
        tokio::time::sleep(some(rng, LEASE)).await;
        let extract = format!(
            "extract --start-date {first} --end-date {last} --sources seller_tickets --chunk-sizes seller_tickets:2 \
             --upload --upload-mode seller_tickets:replace_range --detach --json --idempotency-key modes-{last}-{nth}"
        );
        let exit = world.nstore(&extract).run(PATIENCE).await;
        if exit.code == Some(0) {
            side.runs.lock().await.push(run_of(&exit)?);
        }
    }
    Ok(())
}

/// Chunks of a run in the ledger.
pub(crate) async fn loaded(world: &World, run: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM nstore.ledger WHERE run = '{run}'");
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(count) = world.number(&sql).await {
            return Ok(count);
        }
        ensure!(Instant::now() < end, "postgres does not come back");
        tokio::time::sleep(LEASE / 10).await;
    }
}

/// Ten thousand chunks, and a small run beside them.
async fn flood(world: &World, side: &Side) -> anyhow::Result<()> {
    let key = side.cancelled.lock().await.len();
    let large = run_of(&insist(world, &format!("{FLOOD}-{key}")).await?)?;
    let small = side.submit(world).await?;
    let (submitted, claimed) = (Instant::now(), format!("run={small} "));
    while submitted.elapsed() < PATIENCE {
        let fleet = world.fleet.lock().await;
        if fleet.workers.iter().any(|worker| worker.running.stderr().contains(&claimed)) {
            side.waits.lock().await.push(submitted.elapsed());
            break;
        }
        drop(fleet);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    insist(world, &format!("cancel {large}")).await?;
    side.cancelled.lock().await.push((large, 0));
    Ok(())
}
