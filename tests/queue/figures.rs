//! Time and memory per chunk, printed with `--nocapture`; the bound of the time is far away, so that no loaded machine
//! fails.

use std::time::Instant;

use nstore_shared::chunk::ChunkState;
use nstore_tests::context;

use crate::{
    outages::raw,
    stage::{Stage, Worker, entry, fact},
};

const CHUNKS: u32 = 10_000;

async fn used_memory(url: &str) -> u64 {
    let info = raw(url, "INFO memory").await;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|bytes| bytes.trim().parse().ok()).expect("a number of bytes")
}

#[tokio::test]
async fn ten_thousand_chunks() {
    let own = context::own_redis(false);
    let stage = Stage::at(&own.url(), "nstore").await;
    let run = stage.parallel("20251123-040312-k3f9", 100, CHUNKS);
    stage.enqueue(&run, 0..1).await;
    let chunks: Vec<_> = (0..CHUNKS).map(|n| entry(n, 1)).collect();
    let (before, start) = (used_memory(&own.url()).await, Instant::now());
    stage.queue.enqueue(&run, &chunks).await.unwrap();
    let enqueued = start.elapsed();
    let bytes = (used_memory(&own.url()).await - before) / u64::from(CHUNKS);
    let start = Instant::now();
    assert_eq!(stage.queue.known(&stage.source, &run.run).await.unwrap().len(), CHUNKS as usize);
    let listed = start.elapsed();
    let (mut worker, mut done, mut count) = (Worker::new("host-4711-0"), None, 0);
    let start = Instant::now();
    while count < 2000 {
        worker.nonce += 1;
        let grant = stage.ask(&worker, done.as_ref()).await.unwrap();
        done = Some(fact(&grant, ChunkState::Completed));
        count += 1;
    }
    let each = start.elapsed() / count;
    println!(
        "enqueue of {CHUNKS}: {enqueued:?}, {bytes} bytes each; listing: {listed:?}; complete and claim: {each:?}"
    );
    assert!(enqueued.as_secs() < 10 && bytes <= 400, "{enqueued:?}, {bytes} bytes");
}
