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
        println!(
            "memory: one chunk of {rows} rows, worker's peak {} MiB",
            status_kb(&worker, "VmHWM")? >> 10
        );
    }
    Ok(())
}

/// A size in `/proc/<pid>/status`, see proc(5), in kB: `VmRSS` is what is resident, `VmHWM` the largest so far.
pub(crate) fn status_kb(process: &Running, name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such size")?;
    Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
}
