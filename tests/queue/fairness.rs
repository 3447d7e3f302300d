//! A huge source beside small ones, many runs of one source: nobody waits for another's size.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nstore_shared::{chunk::ChunkState, redis::queue::RunEntry};
use nstore_tests::context;

use crate::{
    stage::{Stage, Worker, entry, fact},
    versions::cli,
};

const HUGE: u32 = 100_000;
/// A small source's first claim comes within this time.
const FIRST_CLAIM: Duration = Duration::from_secs(1);
/// No call blocks the server for longer, but for the few that a busy machine took the processor from.
const LONG_CALL_MICROS: u64 = 50_000;
const LONG_CALLS: u64 = 5;

/// The number behind a name in what the server tells.
fn field(text: &str, name: &str) -> f64 {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap().parse().unwrap()
}

/// Puts one chunk into a source that nobody knew and claims it; how long that took.
async fn small_source(url: &str) -> Duration {
    let stage = Stage::at(url, "nstore").await;
    let run = stage.parallel("small", 4, 1);
    let start = Instant::now();
    stage.enqueue(&run, 0..1).await;
    let grant = stage.claim(&mut Worker::new("w")).await.expect("its chunk");
    let took = start.elapsed();
    assert!(stage.complete(&grant).await);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_chunks_come_in_and_go_without_holding_up_anybody() {
    let own = context::own_redis(false);
    let url = own.url();
    cli(&url, &["CONFIG", "SET", "slowlog-log-slower-than", &LONG_CALL_MICROS.to_string()]).await;
    let huge = Stage::at(&url, "nstore").await;
    huge.queue.adopt(&huge.source).await.unwrap();
    let run = huge.parallel("huge", 100, HUGE);
    let before = field(&cli(&url, &["INFO", "memory"]).await, "used_memory:");

    let (queue, entry_of_run) = (huge.queue.clone(), run.clone());
    let enqueue = tokio::spawn(async move {
        let chunks: Vec<_> = (0..HUGE).map(|n| entry(n, 1)).collect();
        queue.enqueue(&entry_of_run, &chunks).await.unwrap();
    });
    let (mut worker, mut slowest, mut beside) = (Worker::new("host-4711-0"), Duration::ZERO, 0);
    while !enqueue.is_finished() {
        slowest = slowest.max(small_source(&url).await);
        // what is in of the huge one is worked on meanwhile
        beside += u32::from(huge.claim(&mut worker).await.is_some());
    }
    enqueue.await.unwrap();
    assert!(beside > 0 && slowest < FIRST_CLAIM, "{beside} claims beside, a small source waited {slowest:?}");
    let bytes = (field(&cli(&url, &["INFO", "memory"]).await, "used_memory:") - before) / f64::from(HUGE);

    let known = huge.queue.known(&huge.source, &run.run);
    let (known, waited) = tokio::join!(known, small_source(&url));
    assert_eq!(known.unwrap().len(), HUGE as usize);
    assert!(waited < FIRST_CLAIM, "{waited:?} while all was listed");
    let (cancelled, waited) = tokio::join!(huge.queue.cancel(&huge.source, &run.run), small_source(&url));
    cancelled.unwrap();
    assert!(waited < FIRST_CLAIM, "{waited:?} while all was cancelled");
    let (forgotten, waited) = tokio::join!(huge.queue.forget(&huge.source, &run.run), small_source(&url));
    forgotten.unwrap();
    assert!(waited < FIRST_CLAIM, "{waited:?} while all was forgotten");

    let long = field(&cli(&url, &["SLOWLOG", "LEN"]).await, "");
    let calls = cli(&url, &["INFO", "commandstats"]).await;
    let (_, calls) = calls.split_once("cmdstat_fcall:").unwrap();
    let each = field(calls, "usec_per_call=");
    println!(
        "{bytes:.0} bytes a chunk; {each:.0} us a call, {long} above {LONG_CALL_MICROS}; a small source waited {slowest:?}"
    );
    assert!(bytes < 1000.0 && each < 20_000.0, "{bytes} bytes, {each} us");
    assert!(long <= LONG_CALLS as f64, "{long} long calls: {}", cli(&url, &["SLOWLOG", "GET", "3"]).await);
}

#[tokio::test]
async fn runs_of_one_source_are_served_by_turns_whatever_their_size() {
    let stage = Stage::new().await;
    let sizes = [200, 3, 40, 7, 120];
    let runs: Vec<RunEntry> =
        (0..).zip(sizes).map(|(n, size)| stage.parallel(&format!("run-{n}"), 50, size)).collect();
    for (run, size) in runs.iter().zip(sizes) {
        stage.enqueue(run, 0..size).await;
    }
    let mut worker = Worker::new("w");
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    let mut done = None;
    for _ in 0..sizes.iter().sum() {
        worker.nonce += 1;
        let grant = stage.ask(&worker, done.as_ref()).await.unwrap();
        *served.entry(grant.chunk.run.to_string()).or_default() += 1;
        // those that have chunks left are never more than one turn apart
        let open = runs
            .iter()
            .zip(sizes)
            .map(|(run, size)| (served.get(run.run.as_str()).copied().unwrap_or(0), size));
        let turns: Vec<u32> = open.filter(|(served, size)| served < size).map(|(served, _)| served).collect();
        let apart = turns.iter().max().unwrap_or(&0) - turns.iter().min().unwrap_or(&0);
        assert!(apart <= 1, "{served:?}");
        done = Some(fact(&grant, ChunkState::Completed));
    }
    worker.nonce += 1;
    assert!(stage.ask(&worker, done.as_ref()).await.is_none());
    for (run, size) in runs.iter().zip(sizes) {
        assert_eq!(stage.count(run, ChunkState::Completed).await, u64::from(size));
    }
}
