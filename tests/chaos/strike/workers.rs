//! Workers that are killed, ended, frozen, and browsers.

use std::{collections::BTreeSet, time::Duration};

use nstore_tests::context::{Fault as LineFault, Running};
use rustix::process::{Pid, Signal, kill_process};

use super::{office::Side, some};
use crate::{
    fleet::{Worker, ended_well, writer},
    schedule::{Fault, Step},
    world::{LEASE, World},
};

/// How long a step is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The same for what stands in storage, where it is a server that others wait for.
const LOOK_AT_S3: Duration = Duration::from_millis(100);
/// Three losses of a chunk take no longer.
const LAST: u32 = 2;
const POISONED: Duration = Duration::from_secs(40);

fn look(world: &World) -> Duration {
    if world.s3.is_some() { LOOK_AT_S3 } else { LOOK }
}

/// Kills a worker when it reaches that step; any, when none does in time.
pub(super) async fn kill(world: &World, step: Step, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    if step == Step::Completing {
        // reports wait on the way
        world.workers_line.harm("nstore_1_claim", usize::MAX, LineFault::Delay(LEASE / 4));
    }
    let reached = tokio::time::timeout(PATIENCE, reach(world, step, rng)).await;
    let mut fleet = world.fleet.lock().await;
    let caught = reached.ok().and_then(|pid| fleet.victim(|worker| worker.running.pid() == pid));
    let busy = caught.or_else(|| fleet.victim(|worker| !worker.holds().is_empty()));
    if let Some(victim) = busy.or_else(|| fleet.victim(|_| true)) {
        fleet.bury(victim).await;
    }
    drop(fleet);
    if step == Step::Completing {
        world.workers_line.heal();
    }
    tokio::time::sleep(some(rng, LEASE)).await;
    world.fleet.lock().await.fill(world);
    Ok(())
}

/// Waits until an API worker reaches that step; answers its process.
async fn reach(world: &World, step: Step, rng: &mut fastrand::Rng) -> u32 {
    if matches!(step, Step::Claimed | Step::Fetching) {
        let pid = claims(world).await;
        if step == Step::Fetching {
            tokio::time::sleep(some(rng, LEASE / 8)).await;
        }
        return pid;
    }
    let before: BTreeSet<String> = world.keys().await.into_iter().collect();
    loop {
        tokio::time::sleep(look(world)).await;
        let now = world.keys().await;
        let fresh = |ending: &str| {
            let ending = ending.to_owned();
            let chunks = now.iter().filter(|key| key.starts_with("chunks/") && !before.contains(*key));
            chunks.filter(move |key| key.ends_with(&ending) && !key.ends_with(".void.json"))
        };
        let named = match step {
            Step::Uploaded => fresh(".csv").next().and_then(|key| writer(key)),
            _ => fresh(".json").next().and_then(|marker| {
                let of = marker.strip_suffix("json")?;
                now.iter()
                    .find(|key| key.starts_with(of) && key.ends_with(".csv"))
                    .and_then(|key| writer(key))
            }),
        };
        let fleet = world.fleet.lock().await;
        if let Some(pid) = named
            && fleet.workers.iter().any(|worker| worker.running.pid() == pid)
        {
            return pid;
        }
    }
}

/// Waits until an API worker claims something.
async fn claims(world: &World) -> u32 {
    let mut before: Option<BTreeSet<String>> = None;
    loop {
        let fleet = world.fleet.lock().await;
        let held: Vec<_> =
            fleet.workers.iter().map(|worker| (worker.running.pid(), worker.holds())).collect();
        drop(fleet);
        let all: BTreeSet<String> = held.iter().flat_map(|(_, chunks)| chunks.clone()).collect();
        let before = before.get_or_insert_with(|| all.clone());
        if let Some((pid, _)) = held.iter().find(|(_, chunks)| !chunks.is_subset(before)) {
            return *pid;
        }
        // what was let go may be claimed again
        before.retain(|chunk| all.contains(chunk));
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends one in good order: it loses nothing, and nothing counts against anything.
pub(super) async fn end(world: &World, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    let mut fleet = world.fleet.lock().await;
    let at = rng.usize(..fleet.workers.len());
    let worker = fleet.workers.remove(at);
    drop(fleet);
    leave(world, worker.running).await?;
    world.fleet.lock().await.fill(world);
    Ok(())
}

async fn leave(world: &World, running: Running) -> anyhow::Result<()> {
    let pid = running.pid();
    running.sigterm();
    let exit = running.wait_exit(Duration::from_secs(40)).await;
    ended_well("a worker that was asked to end", &exit)?;
    world.fleet.lock().await.bid_farewell(pid, exit.stderr);
    Ok(())
}

/// A zombie: it wakes up long after its leases are over.
pub(super) async fn freeze_one(world: &World, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    tokio::time::sleep(some(rng, LEASE / 4)).await;
    let mut fleet = world.fleet.lock().await;
    let Some(victim) = fleet.victim(|worker| !worker.holds().is_empty()) else { return Ok(()) };
    victim.running.signal(Signal::STOP);
    fleet.lose(victim.holds());
    // it stays one of them
    fleet.workers.push(victim);
    let pid = fleet.workers.last().map(|worker| worker.running.pid());
    drop(fleet);
    tokio::time::sleep(LEASE * 3).await;
    let fleet = world.fleet.lock().await;
    for worker in fleet.workers.iter().filter(|worker| Some(worker.running.pid()) == pid) {
        worker.running.signal(Signal::CONT);
    }
    Ok(())
}

pub(super) async fn freeze_all(world: &World) -> anyhow::Result<()> {
    for worker in &world.fleet.lock().await.workers {
        worker.running.signal(Signal::STOP);
    }
    tokio::time::sleep(LEASE * 3).await;
    world.fleet.lock().await.thaw();
    Ok(())
}

/// Kills every worker that is at work on one chunk, until that is discarded. A worker that was given it for the last
/// time is first seen to be at work on nothing else.
pub(super) async fn poison(world: &World, side: &Side) -> anyhow::Result<()> {
    let Ok(pid) = tokio::time::timeout(PATIENCE, claims(world)).await else { return Ok(()) };
    let mut fleet = world.fleet.lock().await;
    let held = fleet.workers.iter().find(|worker| worker.running.pid() == pid).map(Worker::holds);
    let fresh = |chunk: &String| !fleet.losses.contains_key(chunk);
    let Some(chunk) = held.into_iter().flatten().find(fresh) else { return Ok(()) };
    // nobody else harms it
    fleet.losses.insert(chunk.clone(), u32::MAX / 2);
    drop(fleet);
    side.poisoned.lock().await.insert(chunk.clone());
    let marker = format!("chunks/{chunk}.g1.json");
    let (end, mut kills) = (tokio::time::Instant::now() + POISONED, 0);
    while tokio::time::Instant::now() < end {
        let mut fleet = world.fleet.lock().await;
        let at_work = |held: BTreeSet<String>| held.contains(&chunk) && (kills < LAST || held.len() == 1);
        if let Some(at) = fleet.workers.iter().position(|worker| at_work(worker.holds())) {
            let victim = fleet.workers.remove(at);
            fleet.bury(victim).await;
            fleet.fill(world);
            kills += 1;
        }
        drop(fleet);
        if world.keys().await.contains(&marker) {
            return Ok(());
        }
        tokio::time::sleep(look(world)).await;
    }
    Ok(())
}

/// From few workers to many and back.
pub(super) async fn scale(world: &World) -> anyhow::Result<()> {
    for count in [1, 5, crate::fleet::WORKERS] {
        let mut fleet = world.fleet.lock().await;
        while fleet.workers.len() < count {
            fleet.add(world);
        }
        let leaving: Vec<_> = fleet.workers.drain(count..).collect();
        drop(fleet);
        for worker in leaving {
            leave(world, worker.running).await?;
        }
        tokio::time::sleep(LEASE / 2).await;
    }
    Ok(())
}

/// The browser dies, or hangs.
pub(super) async fn browser(world: &World, fault: Fault) -> anyhow::Result<()> {
    let (pids, _) = world.browsers();
    let all = |signal| {
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // it may have ended by itself
            let _ = kill_process(pid, signal);
        }
    };
    if fault == Fault::BrowserKilled {
        all(Signal::KILL);
        return Ok(());
    }
    all(Signal::STOP);
    tokio::time::sleep(LEASE * 2).await;
    all(Signal::CONT);
    Ok(())
}
