//! 64 one-day chunks of an API that takes 50 ms a request, with 1, 2, 4 and 8 workers of one slot each.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nstore_shared::storage::marker::{Marker, Outcome};
use nstore_tests::{context::edit, simulator::Options};

use crate::field::{Field, load_average, median};

const WORKERS: [usize; 4] = [1, 2, 4, 8];
const LATENCY: Duration = Duration::from_millis(50);
const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-10-03 --sources buyer_razorpay \
                   --chunk-sizes buyer_razorpay:1 --execution-mode buyer_razorpay:parallel --parallel-workers 8";

/// What one run took.
struct Took {
    /// The whole command, seconds.
    command: f64,
    /// From the first chunk's start to the last one's end, seconds.
    extraction: f64,
    /// What the requests alone wait, one after the other, seconds.
    waiting: f64,
}

pub(crate) async fn measure(runs: usize) -> anyhow::Result<()> {
    // ten small pages a day: what is measured is the waiting, not two cores at work
    let options = Options { rows_per_day: 4_900, exact: true, latency: LATENCY, ..Options::default() };
    let field = Field::new(options).await?;
    // as shipped, no more than four of its chunks are in flight
    edit(&field.config.join("sources/buyer_razorpay.yaml"), "width: 4", "width: 8");
    let mut one = (0., 0.);
    for workers in WORKERS {
        let _running: Vec<_> = (0..workers).map(|_| field.worker(1)).collect();
        let (mut commands, mut extractions) = (vec![], vec![]);
        // the first one finds the workers just starting
        for round in 0..=runs {
            let took = run(&field).await?;
            if round > 0 {
                commands.push(took.command);
                extractions.push(took.extraction);
            } else if workers == 1 {
                println!("scale: the requests alone wait {:.1} s, one after the other", took.waiting);
            }
        }
        let (command, extraction) = (median(commands), median(extractions));
        if workers == 1 {
            one = (command, extraction);
        }
        let (by_command, by_extraction) = (one.0 / command, one.1 / extraction);
        println!(
            "scale: {workers} workers, extraction {extraction:.2} s, {by_extraction:.2} times faster, {:.0}% of \
             linear; whole command {command:.2} s, {by_command:.2} times (median of {runs}, load average {})",
            100. * by_extraction / workers as f64,
            load_average()?
        );
    }
    Ok(())
}

async fn run(field: &Field) -> anyhow::Result<Took> {
    let command = field.nstore(RUN).await?.as_secs_f64();
    let folder = field.storage.dir.join("chunks/buyer_razorpay").join(field.newest_run()?);
    let (mut starts, mut ends, mut pages) = (vec![], vec![], 0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let marker: Marker = serde_json::from_slice(&std::fs::read(path)?)?;
            let Outcome::Committed(committed) = marker.outcome else { bail!("a chunk failed") };
            starts.push(marker.started_at);
            ends.push(marker.finished_at);
            pages += committed.pages;
        }
    }
    ensure!(starts.len() == 64, "{} chunks", starts.len());
    let span = *ends.iter().max().context("no chunk")? - *starts.iter().min().context("no chunk")?;
    let waiting = pages as f64 * LATENCY.as_secs_f64();
    Ok(Took { command, extraction: span.as_seconds_f64(), waiting })
}
