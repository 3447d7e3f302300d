//! Peak memory of a worker process: one chunk of many rows against one of few.

use anyhow::Context;
use nstore_tests::{context::Running, simulator::Options};

use crate::field::Field;

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-01 --sources buyer_orders";

pub(crate) async fn measure(rows: u64) -> anyhow::Result<()> {
    for rows in [10_000, rows] {
        let field = Field::new(Options { rows_per_day: rows, exact: true, ..Options::default() }).await?;
        let worker = field.worker(1);
        field.nstore(RUN).await?;
        println!("memory: one chunk of {rows} rows, worker's peak {} MB", peak_kb(&worker)? / 1000);
    }
    Ok(())
}

/// `VmHWM` of proc(5): the largest resident set so far, in kB.
fn peak_kb(worker: &Running) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
