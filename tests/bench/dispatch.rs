//! Chunks dispatched and completed a second, with nothing done for them, against Celery and RQ on the same Redis;
//! and what a chunk costs in Redis.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate};
use nstore_shared::{
    chunk::{ChunkRange, ChunkState, ExecutionMode, Kind, SourceId},
    redis::{
        Redis,
        queue::{ChunkEntry, Claim, Claimant, Fact, Grant, Queue, RunEntry, Tally},
    },
};
use nstore_tests::context::{own_redis, unique};

use crate::field::{load_average, median, venv};

/// How many claim loops work at once.
const LOOPS: [u32; 3] = [1, 8, 64];
/// Chunks of one measurement with so many loops.
const CHUNKS: [u32; 3] = [20_000, 60_000, 100_000];
/// Tasks of the others, which take longer for each.
const TASKS: u32 = 3_000;
/// In which the kernel tells time spent, a second.
const TICKS: f64 = 100.;
/// Chunks whose memory is weighed.
const WEIGHED: u32 = 100_000;
const PACKAGES: [&str; 2] = ["celery[redis]==5.7.0", "rq==3.0.0"];

/// Measures on a Redis of its own that writes what changes to disk every second.
pub(crate) async fn measure(runs: usize) -> anyhow::Result<()> {
    let python = venv("dispatch", &PACKAGES)?;
    let server = tokio::task::spawn_blocking(|| own_redis(true)).await?;
    let url = server.url();
    let queue = Redis::connect(&url, "nstore").await?.queue();
    println!("dispatch: {} bytes of Redis a chunk, of {WEIGHED}", weight(&queue, &url).await?);
    let pid = server.server.pid().context("no redis")?;
    for (loops, chunks) in LOOPS.into_iter().zip(CHUNKS) {
        let (mut rates, before) = (vec![], (cpu(pid)?, cpu(std::process::id())?));
        for _ in 0..runs {
            rates.push(rate(&queue, loops, chunks).await?);
        }
        let all = f64::from(chunks) * runs as f64 / 1e6;
        let (redis, own) = ((cpu(pid)? - before.0) / all, (cpu(std::process::id())? - before.1) / all);
        let (least, most) =
            (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0., f64::max));
        let nstore = median(rates);
        println!(
            "dispatch: {loops} loops, nstore {nstore:.0}/s ({least:.0} to {most:.0}, {runs} runs of {chunks} chunks, \
             load average {})",
            load_average()?
        );
        // enqueueing included; it does not hang on what else the machine does
        println!(
            "dispatch: {loops} loops, a chunk takes {redis:.0} us of Redis's processor and {own:.0} us of nstore's"
        );
        for other in ["celery-prefork", "celery-threads", "rq"] {
            let theirs = others(&python, other, &url, loops)?;
            println!(
                "dispatch: {loops} loops, {other} {theirs:.0}/s, nstore has {:.1} times as much",
                nstore / theirs
            );
        }
    }
    Ok(())
}

/// A source and a run with so many chunks of a day, all of them claimable.
struct Stage {
    source: SourceId,
    run: RunEntry,
    chunks: Vec<ChunkEntry>,
}

impl Stage {
    async fn new(queue: &Queue, source: &str, loops: u32, count: u32) -> anyhow::Result<Self> {
        let source: SourceId = source.parse()?;
        let run = RunEntry {
            run: "20251123-040312-k3f9".parse()?,
            source: source.clone(),
            kind: Kind::Api,
            mode: ExecutionMode::Parallel,
            parallel_workers: loops,
            width: None,
            stop_on_discard: false,
            attempts: 3,
            total: u64::from(count),
            plan: None,
        };
        let first: NaiveDate = "2000-01-01".parse()?;
        let chunk = |n: u32| {
            let start = first + Days::new(n.into());
            let range = ChunkRange::days(start, start + Days::new(1)).context("a day")?;
            anyhow::Ok(ChunkEntry { range, generation: 1, unproven: false })
        };
        let chunks = (0..count).map(chunk).collect::<Result<_, _>>()?;
        ensure!(queue.is_fresh(&source).await?, "a source that nobody had before");
        queue.enqueue(&run, &[]).await?;
        queue.adopt(&source).await?;
        Ok(Self { source, run, chunks })
    }
}

/// Bytes of Redis for each chunk that waits.
async fn weight(queue: &Queue, url: &str) -> anyhow::Result<u64> {
    let stage = Stage::new(queue, "buyer_orders", 1, WEIGHED).await?;
    let before = used_memory(url)?;
    queue.enqueue(&stage.run, &stage.chunks).await?;
    let bytes = (used_memory(url)? - before) / u64::from(WEIGHED);
    queue.forget(&stage.source, &stage.run.run).await?;
    Ok(bytes)
}

fn used_memory(url: &str) -> anyhow::Result<u64> {
    let told = Command::new("redis-cli").args(["-u", url, "INFO", "memory"]).output().context("redis-cli")?;
    let told = String::from_utf8(told.stdout)?;
    let used = told.lines().find_map(|line| line.strip_prefix("used_memory:")).context("no used_memory")?;
    Ok(used.trim().parse()?)
}

/// Seconds of processor that a process has had, see proc(5).
fn cpu(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the name before the fields may hold blanks
    let fields = stat.rsplit(") ").next().context("no fields")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// Chunks a second: each loop reports its chunk and claims the next one in one call, over one connection.
async fn rate(queue: &Queue, loops: u32, chunks: u32) -> anyhow::Result<f64> {
    let stage = Stage::new(queue, &unique("source"), loops, chunks).await?;
    queue.enqueue(&stage.run, &stage.chunks).await?;
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..loops).map(|n| tokio::spawn(claim_all(queue.clone(), stage.source.clone(), n))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    let took = started.elapsed();
    let progress = queue.progress(&stage.source, &stage.run.run).await?.context("a run")?;
    let completed = progress.chunks.get(&ChunkState::Completed).copied();
    ensure!(done == chunks && completed == Some(u64::from(chunks)), "{done} done, {completed:?} completed");
    queue.forget(&stage.source, &stage.run.run).await?;
    Ok(f64::from(chunks) / took.as_secs_f64())
}

/// Claims and completes until there is nothing left; answers how many.
async fn claim_all(queue: Queue, source: SourceId, number: u32) -> anyhow::Result<u32> {
    let mut claimant =
        Claimant { worker: format!("bench-1-{number}").parse()?, nonce: 0, lease: Duration::from_secs(60) };
    let (mut done, mut count) = (None, 0);
    loop {
        claimant.nonce += 1;
        match queue.claim(&source, &claimant, done.as_ref()).await? {
            Claim::Granted(grant) => done = Some(completed(grant)),
            // the last one was reported by this very call
            Claim::Empty { .. } => return Ok(count),
        }
        count += 1;
    }
}

fn completed(grant: Grant) -> Fact {
    Fact {
        by: Some((grant.by.worker, grant.by.nonce)),
        chunk: grant.chunk,
        generation: grant.generation,
        state: ChunkState::Completed,
        tally: Tally { pages: 1, rows: 1000, bytes: 100_000 },
        error: None,
    }
}

/// Tasks a second of one of the others.
fn others(python: &Path, which: &str, url: &str, loops: u32) -> anyhow::Result<f64> {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/dispatch/field.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .args([which, url, &loops.to_string(), &TASKS.to_string()])
        .env("FIELD_REDIS_URL", url);
    let told = command.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(told.status.success(), "{which} ended with {}", told.status);
    Ok(String::from_utf8(told.stdout)?.trim().parse()?)
}
