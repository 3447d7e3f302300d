//! A worker that goes on: memory at some of 100 one-day chunks in a row.

use std::time::Duration;

use anyhow::ensure;
use nstore_tests::context::Running;

use super::{
    lanes::run_of,
    portal::{Portal, all_told, told},
};
use crate::memory::status_kb;

/// Rows of a day.
const ROWS: u64 = 1_000;
const CHUNKS: usize = 100;
/// At which chunks it is told.
const TOLD: [usize; 3] = [10, 50, 100];
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) async fn endurance() -> anyhow::Result<()> {
    let portal = Portal::new(ROWS, "response").await?;
    let worker = portal.worker();
    let args = run_of("2025-08-01", "2025-11-08");
    let run = portal.field.nstore(&args);
    tokio::pin!(run);
    // the worker's memory after each chunk, as near as looking often comes to it
    let mut sizes: Vec<u64> = Vec::new();
    let took = loop {
        let ended = tokio::select! {
            ended = &mut run => Some(ended?),
            () = tokio::time::sleep(LOOK_AGAIN) => None,
        };
        let chunks = after_chunks(&worker).len();
        if chunks > sizes.len() {
            sizes.resize(chunks, status_kb(&worker, "VmRSS")? >> 10);
        }
        if let Some(took) = ended {
            break took;
        }
    };
    let browsers = after_chunks(&worker);
    ensure!(browsers.len() == CHUNKS, "{} chunks were read, not {CHUNKS}", browsers.len());
    let replaced = told(&worker, "browser replaced").len();
    for chunk in TOLD {
        println!(
            "endurance: chunk {chunk}: worker {} MiB (RSS), browser {} MiB (PSS)",
            sizes[chunk - 1],
            browsers[chunk - 1]
        );
    }
    println!("endurance: {CHUNKS} chunks in {took:.0?}, {replaced} browsers replaced for their age");
    Ok(())
}

/// What the browser held after each chunk so far, in MiB, as the worker tells it.
fn after_chunks(worker: &Running) -> Vec<u64> {
    let kept = all_told(worker).into_iter().filter(|event| {
        ["browser kept", "browser replaced"].iter().any(|text| event["fields"]["message"] == *text)
    });
    kept.filter_map(|event| event["fields"]["mib"].as_u64()).collect()
}
