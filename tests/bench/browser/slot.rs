//! What one slot costs: seconds until its browser gives the first row, and memory.

use std::time::Duration;

use super::{
    lanes::run_of,
    portal::{DAY, Portal, reads, seconds, time_of, told},
};
use crate::{field::median, memory::status_kb};

/// Rows of a day of a report.
const ROWS: u64 = 5_000;
/// How long a worker may take to end.
const END: Duration = Duration::from_secs(30);

pub(crate) async fn slot(runs: usize) -> anyhow::Result<()> {
    let portal = Portal::new(ROWS, "response").await?;
    let (mut starts, mut firsts, mut browsers, mut workers) = (vec![], vec![], vec![], vec![]);
    for round in 0..=runs {
        // a worker of its own: nobody has signed in, and no browser runs
        let worker = portal.worker();
        portal.field.nstore(&run_of(DAY, DAY)).await?;
        let read = reads(&worker, 1).await?[0];
        let started = &told(&worker, "browser started")[0];
        let start = seconds(started, "ms")?;
        let first = (read.at - time_of(started)?).as_seconds_f64() + start;
        let (browser, own) = (portal.browsers()? >> 20, status_kb(&worker, "VmRSS")? >> 10);
        let word = if round == 0 { " (warm-up)" } else { "" };
        println!(
            "slot: browser up after {start:.2} s, first row after {first:.2} s, browser {browser} MiB, worker {own} MiB{word}"
        );
        if round > 0 {
            starts.push(start);
            firsts.push(first);
            browsers.push(browser as f64);
            workers.push(own as f64);
        }
        worker.sigterm();
        worker.wait_exit(END).await;
    }
    println!(
        "slot: medians of {runs} runs: browser up after {:.2} s, first row after {:.2} s",
        median(starts),
        median(firsts)
    );
    println!(
        "slot: memory after a chunk of {ROWS} rows: browser {:.0} MiB (PSS), worker {:.0} MiB (RSS)",
        median(browsers),
        median(workers)
    );
    Ok(())
}
