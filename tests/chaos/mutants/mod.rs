//! What each guard is there for: with it taken away a promise must break, with all of them standing none may.
//!
//! - `scene`: a world with few processes, and what is asked of it again and again
//! - `work`: scenes of workers and what they store; `load`: scenes of what comes into tables
//!
//! Guards of the queue are missed in random histories, the others in a scene that strikes what the guard is there for.
//! A scene is played by a process of its own, as guards are taken away by its environment. docs/reliability.md tells
//! which promise each row is about.

mod load;
mod scene;
mod work;

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nstore_shared::guard::Guard;
use nstore_tests::{
    context::{Process, own_redis},
    histories::{losses, play},
};
use scene::Scene;

use crate::{oracle::Findings, schedule::Store, world::UNGUARDED};

/// How long a scene may take.
const LIMIT: Duration = Duration::from_secs(150);
/// What a line about something broken begins with, among all that a scene says.
const BROKEN: &str = "broken: ";
/// Of what broke, so much is shown.
const WIDTH: usize = 160;
/// Histories of the queue that a row plays at most.
const HISTORIES: u32 = 24;

/// How the check is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// Take each guard away in turn, and want to see its promise break
    #[arg(long)]
    mutants: bool,
    /// Take this guard away alone
    #[arg(long, value_name = "GUARD")]
    mutant: Option<String>,
    /// Play a guard's scene in this process, whatever stands in it, and print what broke
    #[arg(long, value_name = "GUARD", hide = true)]
    scene: Option<String>,
}

impl Asked {
    /// Whether any of it is wanted.
    pub(crate) fn wanted(&self) -> bool {
        self.mutants || self.mutant.is_some() || self.scene.is_some()
    }
}

/// A guard, and the promise that it keeps.
struct Row {
    guard: Guard,
    /// What must break when it alone is taken away.
    invariant: &'static str,
    seed: u64,
}

const fn row(guard: Guard, invariant: &'static str, seed: u64) -> Row {
    Row { guard, invariant, seed }
}

const ROWS: [Row; 15] = [
    row(Guard::RisingNonces, "Q1", 1),
    row(Guard::Order, "Q1", 1),
    row(Guard::GiveBackFence, "Q2", 1),
    row(Guard::Generations, "Q3", 1),
    row(Guard::QuietTime, "Q4", 1),
    row(Guard::SelfFence, "I5", 1),
    row(Guard::Budget, "I6", 1),
    row(Guard::CreateOnly, "I2", 1),
    row(Guard::ReadBack, "I10", 1),
    row(Guard::CommittedStays, "I1", 1),
    row(Guard::LedgerKey, "I1", 1),
    row(Guard::Checksum, "I1", 1),
    row(Guard::ClaimedDays, "I1", 1),
    row(Guard::RunLock, "I1", 1),
    row(Guard::Supersede, "I11", 1),
];

/// Answers whether every guard that was asked for is missed when it is taken away, and by nothing when it is not.
pub(crate) async fn check(asked: &Asked) -> anyhow::Result<bool> {
    if let Some(guard) = &asked.scene {
        for line in play_row(&find(guard)?).await?.broken {
            println!("{BROKEN}{}", line.replace('\n', " "));
        }
        return Ok(true);
    }
    ensure!(cfg!(feature = "unguarded"), "no guard can be taken away in this build: make chaos-mutants");
    let rows = match &asked.mutant {
        Some(guard) => vec![find(guard)?],
        None => ROWS.into(),
    };
    println!("{:16} {:9} {:>4} {:>7}", "guard", "invariant", "seed", "seconds");
    let (mut shown, mut all_hold) = (0, true);
    for row in &rows {
        let began = Instant::now();
        let (missed, holds) = (is_missed(row, run(row, true).await), run(row, false).await);
        let seconds = began.elapsed().as_secs_f64();
        let holds = holds.and_then(|broken| match broken.is_empty() {
            true => Ok(()),
            false => bail!("{}", broken.join("\n")),
        });
        let told = match (&missed, &holds) {
            (Ok(_), Ok(())) => "shown",
            (Err(_), _) => "NOT SHOWN",
            (Ok(_), Err(_)) => "DOES NOT HOLD WITH IT",
        };
        let Row { guard, invariant, seed } = row;
        println!("{:16} {invariant:9} {seed:>4} {seconds:>7.1}  {told}", guard.name());
        match &missed {
            Ok(first) => println!("    without it: {}", first.chars().take(WIDTH).collect::<String>()),
            Err(error) => println!("    without it: {error:#}"),
        }
        match &holds {
            Ok(()) => println!("    with it: all holds"),
            Err(error) => println!("    with it: {error:#}"),
        }
        shown += usize::from(missed.is_ok());
        all_hold &= holds.is_ok();
    }
    println!("{} guards, {shown} shown", rows.len());
    Ok(shown == rows.len() && all_hold)
}

/// What of the row's invariant broke first.
fn is_missed(row: &Row, broken: anyhow::Result<Vec<String>>) -> anyhow::Result<String> {
    let (broken, named) = (broken?, format!("{}: ", row.invariant));
    let first = broken.iter().find(|line| line.starts_with(&named)).cloned();
    first.with_context(|| format!("{} holds; broken: {broken:?}", row.invariant))
}

fn find(guard: &str) -> anyhow::Result<Row> {
    ROWS.into_iter().find(|row| row.guard.name() == guard).with_context(|| format!("no row for `{guard}`"))
}

/// Plays a row's scene in a process of its own, with its guard or without; answers what broke.
async fn run(row: &Row, without: bool) -> anyhow::Result<Vec<String>> {
    let program = std::env::current_exe()?;
    let mut scene =
        Process::new(program.to_str().context("a path of ours")?).args(["--scene", row.guard.name()]);
    if without {
        scene = scene.env(UNGUARDED, row.guard.name());
    }
    let exit = scene.run(LIMIT * 2).await;
    let name = row.guard.name();
    let how = if without { "without it" } else { "with it" };
    ensure!(exit.code == Some(0), "{name}, {how}: {:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
    Ok(exit.stdout.lines().filter_map(|line| Some(line.strip_prefix(BROKEN)?.to_owned())).collect())
}

async fn play_row(row: &Row) -> anyhow::Result<Findings> {
    match tokio::time::timeout(LIMIT, played(row)).await {
        Ok(found) => found,
        Err(_elapsed) => bail!("{}: its scene does not end", row.guard.name()),
    }
}

async fn played(row: &Row) -> anyhow::Result<Findings> {
    let seed = row.seed;
    let folder = || Scene::on(Store::Folder, seed);
    let s3 = || Scene::on(Store::S3, seed);
    match row.guard {
        Guard::RisingNonces | Guard::Order | Guard::GiveBackFence | Guard::Generations => {
            let own = own_redis(false);
            Ok(broken(play::search(&own.url(), "histories", seed, HISTORIES).await))
        }
        Guard::QuietTime => {
            let own = own_redis(false);
            Ok(broken(losses::play(&own.url(), seed).await.err()))
        }
        Guard::SelfFence => work::a_worker_wakes_up_long_after_its_lease(folder().await?).await,
        Guard::Budget => work::workers_share_a_budget(folder().await?).await,
        Guard::CreateOnly => work::a_marker_arrives_late(s3().await?).await,
        Guard::ReadBack => work::the_reply_to_a_marker_is_lost(s3().await?).await,
        Guard::CommittedStays => work::a_loaded_chunk_meets_a_cap(s3().await?).await,
        Guard::LedgerKey => load::the_reply_to_commit_is_lost(folder().await?).await,
        Guard::Checksum => load::a_stored_file_is_changed(folder().await?).await,
        Guard::ClaimedDays => load::days_are_asked_for_again(folder().await?).await,
        Guard::RunLock => load::a_run_is_cancelled_in_its_load(folder().await?).await,
        Guard::Supersede => load::older_data_comes_later(folder().await?).await,
    }
}

fn broken(seen: Option<nstore_tests::histories::Broken>) -> Findings {
    let mut found = Findings::default();
    if let Some(seen) = seen {
        found.broken(&seen.promise.to_string(), seen.what);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_has_its_row() {
        for guard in Guard::ALL {
            assert!(find(guard.name()).is_ok(), "{guard:?}");
        }
    }
}
