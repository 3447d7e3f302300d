//! The loader against `psql \copy`: the same files, the same kind of table, on the same server, in turns.

use std::path::PathBuf;

use nstore_tests::{context::Process, simulator::Options};

use crate::field::{Field, median, timed};

const DAYS: u64 = 30;

pub(crate) async fn measure(runs: usize, rows: u64) -> anyhow::Result<()> {
    let field = Field::new(Options { rows_per_day: rows / DAYS, exact: true, ..Options::default() }).await?;
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
    let script = copy_script(&field, &run)?;
    let client = field.postgres.client().await;
    let mut ratios = vec![];
    for round in 0..=runs {
        client
            .batch_execute(
                "DROP TABLE IF EXISTS buyer_orders; DROP SCHEMA IF EXISTS nstore CASCADE; CHECKPOINT",
            )
            .await?;
        let ours = field.nstore(&format!("load {run}")).await?;
        let loaded: i64 = client.query_one("SELECT count(*) FROM buyer_orders", &[]).await?.get(0);
        client
            .batch_execute(
                "DROP TABLE IF EXISTS copied; CREATE TABLE copied (LIKE buyer_orders INCLUDING ALL);
                 TRUNCATE buyer_orders; CHECKPOINT",
            )
            .await?;
        let url = field.postgres.url();
        let psql = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script.to_str().unwrap_or_default(), &url];
        let theirs = timed(Process::new("/usr/bin/psql").args(psql)).await?;
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        // the first round warms the caches
        let word = if round == 0 { "warm-up" } else { "counted" };
        println!("load: {loaded} rows, nstore {ours:.1?}, psql {theirs:.1?}, ratio {ratio:.2} ({word})");
        if round > 0 {
            ratios.push(ratio);
        }
    }
    println!("load: median ratio to psql \\copy of {runs} runs: {:.2}", median(ratios));
    Ok(())
}

/// One `\copy` per artifact, columns by name as their headers say.
fn copy_script(field: &Field, run: &str) -> anyhow::Result<PathBuf> {
    let folder = field.storage.dir.join("chunks/buyer_orders").join(run);
    let mut script = String::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(&path)?;
            let header = text.lines().next().unwrap_or_default();
            script +=
                &format!("\\copy copied ({header}) FROM '{}' WITH (FORMAT csv, HEADER)\n", path.display());
        }
    }
    let path = field.storage.dir.join("copy.sql");
    std::fs::write(&path, script)?;
    Ok(path)
}
