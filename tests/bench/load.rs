//! The loader against `psql \copy`: the same files, the same kind of table, on the same server, in turns.
//!
//! The loader has two connections. So it is told against one psql, as people would run it, and against two at once with
//! half of the files each.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::ensure;
use nstore_tests::{context::Process, simulator::Options};
use tokio_postgres::Client;

use crate::field::{Field, median, timed};

const DAYS: u64 = 30;
/// What the loader has, too.
const CONNECTIONS: usize = 2;

pub(crate) async fn measure(runs: usize, rows: u64) -> anyhow::Result<()> {
    let field =
        Field::new(Options { rows_per_day: rows.div_ceil(DAYS), exact: true, ..Options::default() }).await?;
    let worker = field.worker(2);
    field
        .nstore(
            "extract --start-date 2025-08-01 --end-date 2025-08-30 --sources buyer_orders \
             --chunk-sizes buyer_orders:1",
        )
        .await?;
    worker.sigterm();
    drop(worker);
    let run = field.newest_run()?;
    let (one, two) = (copy_scripts(&field, &run, 1)?, copy_scripts(&field, &run, CONNECTIONS)?);
    let client = field.postgres.client().await;
    let (mut ratios, mut even) = (vec![], vec![]);
    for round in 0..=runs {
        client
            .batch_execute(
                "DROP TABLE IF EXISTS buyer_orders; DROP SCHEMA IF EXISTS nstore CASCADE; CHECKPOINT",
            )
            .await?;
        let ours = field.nstore(&format!("load {run}")).await?;
        let loaded = count(&client, "buyer_orders").await?;
        ensure!(loaded >= rows, "{loaded} rows were loaded, not {rows}");
        let single = copied(&field, &client, &one, loaded).await?;
        let double = copied(&field, &client, &two, loaded).await?;
        let ratio = |theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
        // the first round warms the caches
        let word = if round == 0 { "warm-up" } else { "counted" };
        println!(
            "load: {loaded} rows, nstore with {CONNECTIONS} connections {ours:.1?}, one psql {single:.1?}, ratio {:.2}, \
             {CONNECTIONS} psql at once {double:.1?}, ratio {:.2} ({word})",
            ratio(single),
            ratio(double)
        );
        if round > 0 {
            ratios.push(ratio(single));
            even.push(ratio(double));
        }
    }
    println!(
        "load: medians of {runs} runs: {:.2} times the wall time of one psql \\copy, {:.2} times that of {CONNECTIONS}",
        median(ratios),
        median(even)
    );
    Ok(())
}

async fn count(client: &Client, table: &str) -> anyhow::Result<u64> {
    let found: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
    Ok(found.cast_unsigned())
}

/// How long psql takes for all rows, into an empty table like ours; one process for each script.
async fn copied(field: &Field, client: &Client, scripts: &[PathBuf], rows: u64) -> anyhow::Result<Duration> {
    client
        .batch_execute(
            "DROP TABLE IF EXISTS copied; CREATE TABLE copied (LIKE buyer_orders INCLUDING ALL); CHECKPOINT",
        )
        .await?;
    let url = field.postgres.url();
    let started = Instant::now();
    let psql = |script: &PathBuf| {
        let args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script.to_str().unwrap_or_default(), &url];
        timed(Process::new("/usr/bin/psql").args(args))
    };
    futures::future::try_join_all(scripts.iter().map(psql)).await?;
    let took = started.elapsed();
    let found = count(client, "copied").await?;
    ensure!(found == rows, "psql copied {found} rows, not {rows}");
    Ok(took)
}

/// One `\copy` per artifact, columns by name as their headers say, dealt out to so many scripts.
fn copy_scripts(field: &Field, run: &str, scripts: usize) -> anyhow::Result<Vec<PathBuf>> {
    let folder = field.storage.dir.join("chunks/buyer_orders").join(run);
    let mut texts = vec![String::new(); scripts];
    for (at, entry) in std::fs::read_dir(folder)?.enumerate() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(&path)?;
            let header = text.lines().next().unwrap_or_default();
            texts[at % scripts] +=
                &format!("\\copy copied ({header}) FROM '{}' WITH (FORMAT csv, HEADER)\n", path.display());
        }
    }
    let mut paths = vec![];
    for (at, text) in texts.into_iter().enumerate() {
        let path = field.storage.dir.join(format!("copy-{at}-of-{scripts}.sql"));
        std::fs::write(&path, text)?;
        paths.push(path);
    }
    Ok(paths)
}
