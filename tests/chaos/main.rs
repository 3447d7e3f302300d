//! Faults of all kinds, in an order that a seed decides, against real processes: what is in the tables must be the
//! truth, whatever died. `make chaos` runs it; docs/reliability.md tells what the classes and the invariants are.

mod fleet;
mod oracle;
mod schedule;
mod strike;
mod world;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use fleet::Fleet;
use oracle::{Findings, Slips};
use schedule::{Fault, Store};
use strike::Side;
use world::{LEASE, World};

/// Faults of a round: after so many, all is looked at, and a fresh world begins.
const ROUND: usize = 25;
/// How long progress is waited for after a fault.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Args {
    /// How many faults
    #[arg(long, default_value_t = 100)]
    faults: usize,
    /// What decides them; drawn by lot unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Only this round
    #[arg(long)]
    round: Option<usize>,
}

/// Of all rounds.
#[derive(Debug, Default)]
struct Sum {
    faults: usize,
    lost: u64,
    doubled: u64,
    stuck: u64,
    wrongly_discarded: u64,
    broken: usize,
    recoveries: Vec<Duration>,
    waits: Vec<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match all(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all holds.
async fn all(args: &Args) -> anyhow::Result<bool> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("chaos: seed {seed}, lease {LEASE:?}");
    let mut sum = Sum::default();
    for (round, first) in (0..args.faults).step_by(ROUND).enumerate() {
        if args.round.is_none_or(|only| only == round) {
            one(seed, round, ROUND.min(args.faults - first), &mut sum).await?;
        }
    }
    println!("chaos: recovery after a fault's end: {}", told(&mut sum.recoveries));
    println!("chaos: a small run beside a very large one waited: {}", told(&mut sum.waits));
    if sum.broken > 0 {
        println!(
            "chaos: {} invariants did not hold; again: --faults {} --seed {seed}",
            sum.broken, args.faults
        );
    }
    println!(
        "{} faults, {} lost, {} doubled, {} stuck, {} wrongly discarded",
        sum.faults, sum.lost, sum.doubled, sum.stuck, sum.wrongly_discarded
    );
    Ok(sum.broken == 0 && sum.faults > 0)
}

/// The middle, the 99th of a hundred, the largest.
fn told(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: f64| times.get(((times.len() as f64 * share).ceil() as usize).saturating_sub(1));
    match (at(0.5), at(0.99), times.last()) {
        (Some(middle), Some(most), Some(last)) => {
            format!("p50 {middle:.2?}, p99 {most:.2?}, longest {last:.2?}, of {}", times.len())
        }
        _ => "never".to_owned(),
    }
}

/// A fresh world, its faults, and what is left of it.
async fn one(seed: u64, round: usize, faults: usize, sum: &mut Sum) -> anyhow::Result<()> {
    let store = if round.is_multiple_of(2) { Store::Folder } else { Store::S3 };
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(round as u64 * 0x9E37_79B9));
    let groups = schedule::of(&mut rng, store, faults);
    println!("chaos: round {round} on {store:?}: {faults} faults");
    let (world, side) = (World::new(store, seed).await?, Side::default());
    let began = Instant::now();
    *world.fleet.lock().await = Fleet::start(&world);
    let mut slips = Slips::new();
    for group in groups {
        side.ensure_work(&world).await?;
        for fault in &group {
            println!("chaos: {:7.1} s: {fault}", began.elapsed().as_secs_f64());
        }
        let from = began.elapsed();
        let strikes = group.iter().map(|fault| strike::strike(&world, &side, *fault, rng.fork()));
        for struck in futures::future::join_all(strikes).await {
            struck.with_context(|| format!("{group:?}"))?;
        }
        sum.faults += group.len();
        if group.iter().any(|fault| fault.loses_redis()) {
            slips.push((millis(from), millis(began.elapsed() + LEASE * 2)));
        }
        recover(&world, &side, &group, sum).await?;
    }
    let found = oracle::look(&world, &side, &slips).await?;
    take(&found, sum);
    sum.waits.append(&mut *side.waits.lock().await);
    println!("chaos: round {round}: {} after {:.0} s", summary(&found), began.elapsed().as_secs_f64());
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// I8: how long it takes until something goes on.
async fn recover(world: &World, side: &Side, group: &[Fault], sum: &mut Sum) -> anyhow::Result<()> {
    let (healed, before) = (Instant::now(), world.progress().await);
    while world.progress().await <= before {
        if healed.elapsed() > PATIENCE {
            println!("chaos: I8: nothing went on for {PATIENCE:?} after {group:?}");
            sum.broken += 1;
            return Ok(());
        }
        if side.open_runs(world).await?.is_empty() {
            // all was done meanwhile
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sum.recoveries.push(healed.elapsed());
    Ok(())
}

fn take(found: &Findings, sum: &mut Sum) {
    for broken in &found.broken {
        println!("chaos: {broken}");
    }
    sum.lost += found.lost;
    sum.doubled += found.doubled;
    sum.stuck += found.stuck;
    sum.wrongly_discarded += found.wrongly_discarded;
    sum.broken += found.broken.len();
}

fn summary(found: &Findings) -> String {
    if found.none() { "all holds".to_owned() } else { format!("{} do not hold", found.broken.len()) }
}
