//! Loading from an S3 server against loading from a local folder: the same rows into the same kind of table, in turns.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use nstore_shared::storage::Storage;
use nstore_tests::{
    context::{Exit, own_s3},
    simulator::Options,
};

use crate::{
    field::{Field, median},
    memory::status_kb,
};

const DAYS: u64 = 30;
const EXTRACT: &str = "extract --start-date 2025-08-01 --end-date 2025-08-30 --sources buyer_orders --chunk-sizes buyer_orders:1";
const LIMIT: Duration = Duration::from_secs(1200);
/// How often the loader's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn measure(runs: usize, rows: u64) -> anyhow::Result<()> {
    let mut field =
        Field::new(Options { rows_per_day: rows / DAYS, exact: true, ..Options::default() }).await?;
    let s3 = own_s3().await;
    let mut on_s3 = s3.env();
    on_s3.push(("NSTORE_STORAGE_URL".into(), s3.url("bench")));
    let (local_run, local_took) = extract(&field).await?;
    field.env = on_s3.clone();
    let (s3_run, s3_took) = extract(&field).await?;
    println!("s3: {rows} rows extracted into a folder in {local_took:.1?}, into S3 in {s3_took:.1?}");
    let (bytes, took) = read_all(&Storage::open_with(&s3.url("bench"), s3.env())?, &s3_run).await?;
    let rate = bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "s3: the server gives out {} MB in {took:.1?}, {rate:.0} MB/s, when nothing is done with them",
        bytes / 1_000_000
    );

    let (mut ratios, mut peaks) = (vec![], (0, 0));
    for round in 0..=runs {
        field.env = vec![];
        let (local, local_kb) = load(&field, &local_run, rows).await?;
        field.env = on_s3.clone();
        let (remote, remote_kb) = load(&field, &s3_run, rows).await?;
        let ratio = remote.as_secs_f64() / local.as_secs_f64();
        // the first round warms the caches
        let word = if round == 0 { "warm-up" } else { "counted" };
        println!("s3: load from S3 {remote:.1?}, from a folder {local:.1?}, ratio {ratio:.2} ({word})");
        if round > 0 {
            ratios.push(ratio);
        }
        peaks = (peaks.0.max(local_kb), peaks.1.max(remote_kb));
    }
    println!("s3: median ratio to a local folder of {runs} runs: {:.2}", median(ratios));
    println!("s3: the loader's peak from S3 {} MB, from a folder {} MB", peaks.1 / 1000, peaks.0 / 1000);
    Ok(())
}

/// One run's name, and how long its extraction took.
async fn extract(field: &Field) -> anyhow::Result<(String, Duration)> {
    let (worker, started) = (field.worker(2), Instant::now());
    let exit = field.process("nstore").args(EXTRACT.split_whitespace()).run(LIMIT).await;
    good(&exit)?;
    let took = started.elapsed();
    worker.sigterm();
    let run = exit.stderr.lines().find_map(|line| line.strip_prefix("run "));
    Ok((run.context("no run is named")?.trim().to_owned(), took))
}

/// How long a load into a fresh table takes, and the loader's peak in kB.
async fn load(field: &Field, run: &str, rows: u64) -> anyhow::Result<(Duration, u64)> {
    let client = field.postgres.client().await;
    let fresh = "DROP TABLE IF EXISTS buyer_orders; DROP SCHEMA IF EXISTS nstore CASCADE; CHECKPOINT";
    client.batch_execute(fresh).await?;
    let (mut loader, started) = (field.process("nstore").args(["load", run]).start(), Instant::now());
    let mut peak = 0;
    while loader.is_running() {
        // it may end between the two
        peak = status_kb(&loader, "VmHWM").unwrap_or(peak);
        tokio::time::sleep(LOOK).await;
    }
    let took = started.elapsed();
    good(&loader.wait_exit(LIMIT).await)?;
    let loaded: i64 = client.query_one("SELECT count(*) FROM buyer_orders", &[]).await?.get(0);
    ensure!(loaded == i64::try_from(rows / DAYS * DAYS)?, "{loaded} rows are loaded");
    Ok((took, peak))
}

fn good(exit: &Exit) -> anyhow::Result<()> {
    ensure!(exit.code == Some(0), "ended with {:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
    Ok(())
}

/// The bytes of all artifacts of a run, and how long it takes to have them all, one after the other.
async fn read_all(storage: &Storage, run: &str) -> anyhow::Result<(usize, Duration)> {
    let (run, source) = (run.parse()?, "buyer_orders".parse()?);
    let (mut bytes, started) = (0, Instant::now());
    for marker in storage.standing(&source, &run).await?.values() {
        let committed = marker.committed().context("a chunk is not committed")?;
        let found = storage.read_artifact(&marker.chunk, &committed.artifact.name).await?;
        let mut pieces = found.context("an artifact is gone")?;
        while let Some(piece) = pieces.try_next().await? {
            bytes += piece.len();
        }
    }
    Ok((bytes, started.elapsed()))
}
