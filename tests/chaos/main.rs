//! Faults of all kinds, in an order that a seed decides, against real processes: what is in the tables must be the
//! truth, whatever died. `make chaos` runs it; docs/reliability.md tells what the classes and the invariants are.

mod fleet;
mod mutants;
mod oracle;
mod schedule;
mod strike;
mod witness;
mod world;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use fleet::Fleet;
use futures::{StreamExt as _, stream};
use oracle::{Findings, Slips};
use schedule::Store;
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
    /// Rounds at once: most of their time is spent waiting
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Keep what all processes wrote of rounds that hold, too
    #[arg(long)]
    keep_logs: bool,
    #[command(flatten)]
    mutants: mutants::Asked,
}

/// Of a round, or of all.
#[derive(Debug, Default)]
struct Sum {
    faults: usize,
    lost: u64,
    doubled: u64,
    stuck: u64,
    wrongly_discarded: u64,
    broken: usize,
    recoveries: Vec<Recovery>,
    waits: Vec<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let holds = match args.mutants.wanted() {
        true => mutants::check(&args.mutants).await,
        false => all(&args).await,
    };
    match holds {
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
    let mut rounds: Vec<_> = (0..args.faults).step_by(ROUND).enumerate().collect();
    // of two neighbours the one on S3 first: it takes longer
    rounds.sort_by_key(|(round, _)| round ^ 1);
    let asked = rounds.into_iter().filter(|(round, _)| args.round.is_none_or(|only| only == *round));
    let keep = args.keep_logs;
    let started = asked.map(|(round, first)| {
        let faults = ROUND.min(args.faults - first);
        // each a task of its own: what blocks in one holds no other up
        async move { (round, tokio::spawn(one(seed, round, faults, keep)).await) }
    });
    let mut ended = stream::iter(started).buffer_unordered(args.jobs.max(1));
    let mut sum = Sum::default();
    while let Some((round, of_round)) = ended.next().await {
        match of_round.context("a round that broke down").and_then(|of_round| of_round) {
            Ok(of_round) => sum.add(of_round),
            Err(error) => {
                println!("chaos: round {round} came to no end: {error:#}");
                sum.broken += 1;
            }
        }
    }
    let mut times: Vec<Duration> = sum.recoveries.iter().map(|recovery| recovery.time).collect();
    println!("chaos: recovery after a fault's end: {}", told(&mut times));
    let late = sum.recoveries.iter().filter(|recovery| recovery.is_late()).count();
    println!("chaos: later than two leases of what went on: {late} of {}", times.len());
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

impl Sum {
    fn add(&mut self, mut other: Self) {
        self.faults += other.faults;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.stuck += other.stuck;
        self.wrongly_discarded += other.wrongly_discarded;
        self.broken += other.broken;
        self.recoveries.append(&mut other.recoveries);
        self.waits.append(&mut other.waits);
    }

    fn take(&mut self, round: usize, found: &Findings) {
        for broken in &found.broken {
            println!("chaos: round {round}: {broken}");
        }
        self.add(Self {
            lost: found.lost,
            doubled: found.doubled,
            stuck: found.stuck,
            wrongly_discarded: found.wrongly_discarded,
            broken: found.broken.len(),
            ..Self::default()
        });
    }
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
async fn one(seed: u64, round: usize, faults: usize, keep_logs: bool) -> anyhow::Result<Sum> {
    let store = if round.is_multiple_of(2) { Store::Folder } else { Store::S3 };
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(round as u64 * 0x9E37_79B9));
    let groups = schedule::of(&mut rng, store, faults);
    println!("chaos: round {round}: {faults} faults, storage is {store:?}");
    let (world, side, mut sum) = (World::new(store, seed).await?, Side::default(), Sum::default());
    let began = Instant::now();
    *world.fleet.lock().await = Fleet::start(&world);
    let (mut slips, mut stalls) = (Slips::new(), vec![]);
    for group in groups {
        side.ensure_work(&world).await?;
        for fault in &group {
            println!("chaos: round {round}: {:6.1} s: {fault}", began.elapsed().as_secs_f64());
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
        match recovered(&world, &side).await? {
            Some(recovery) => {
                if let Some(long) = recovery.as_ref().filter(|recovery| recovery.time > LEASE * 2) {
                    let late = if long.is_late() { ", too late" } else { "" };
                    println!(
                        "chaos: round {round}: {:.1?} until something with a lease of {:?} went on{late}",
                        long.time, long.lease
                    );
                }
                sum.recoveries.extend(recovery);
            }
            None => stalls.push(format!("nothing went on for {PATIENCE:?} after {group:?}")),
        }
    }
    let found = oracle::look(&world, &side, &slips, stalls, keep_logs).await?;
    sum.take(round, &found);
    sum.waits.append(&mut *side.waits.lock().await);
    println!("chaos: round {round}: {} after {:.0} s", summary(&found), began.elapsed().as_secs_f64());
    Ok(sum)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How something went on after a fault.
#[derive(Debug)]
struct Recovery {
    time: Duration,
    /// How long a claim of what went on lasts.
    lease: Duration,
}

impl Recovery {
    fn is_late(&self) -> bool {
        self.time > self.lease * 2
    }
}

/// I8: how long it takes until something goes on. None when nothing does; no time when all is done.
async fn recovered(world: &World, side: &Side) -> anyhow::Result<Option<Option<Recovery>>> {
    let (healed, before) = (Instant::now(), world.progress().await);
    let mut asked = healed;
    loop {
        if let Some(lease) = world.progress().await.since(&before) {
            return Ok(Some(Some(Recovery { time: healed.elapsed(), lease })));
        }
        if healed.elapsed() > PATIENCE {
            return Ok(None);
        }
        // that costs more than all that is measured
        if asked.elapsed() > LEASE {
            if side.open_runs(world).await?.is_empty() {
                return Ok(Some(None));
            }
            asked = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn summary(found: &Findings) -> String {
    if found.none() { "all holds".to_owned() } else { format!("{} do not hold", found.broken.len()) }
}
