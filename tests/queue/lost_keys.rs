//! Single keys of a source are lost, as by a Redis that evicts: it is seen, no answer makes no sense, and what is told
//! anew after a reset is all there is.

use std::time::Duration;

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{ChunkEntry, Known, Progress, RunEntry},
};
use nstore_tests::context::{OwnRedis, own_redis, say};

use crate::stage::{Stage, Worker, day, entry, fact};

const DAYS: u32 = 8;
const WORKERS: u32 = 3;

/// Kinds of keys whose loss loses what a run needs to come to its end.
const NEEDED: [&str; 11] =
    ["meta", "slots", "turns", "seqs", "run", "all", "a", "later", "hints", "c:waiting", "c:running"];
/// Kinds whose loss costs nothing but time or memory.
const SPARE: [&str; 3] = ["extended", "n", "c:completed"];

/// A run with chunks in every state that is at work: two completed, one waiting for its next try, one running, the rest
/// available.
async fn scene(own: &OwnRedis, sequential: bool) -> (Stage, RunEntry) {
    let stage = Stage::at(&own.url(), "test").await;
    let run = match sequential {
        true => stage.sequential("run", DAYS),
        false => stage.parallel("run", WORKERS, DAYS),
    };
    stage.enqueue(&run, 0..DAYS).await;
    let mut worker = Worker::new("w");
    for _ in 0..2 {
        let grant = stage.claim(&mut worker).await.unwrap();
        assert!(stage.complete(&grant).await);
    }
    let grant = stage.claim(&mut worker).await.unwrap();
    if sequential {
        return (stage, run);
    }
    assert!(stage.fail(&grant, Duration::from_secs(600)).await);
    stage.claim(&mut worker).await.unwrap();
    (stage, run)
}

fn key(stage: &Stage, kind: &str) -> String {
    let base = format!("test:{{{}}}", stage.source);
    let chunk = |n| format!("{base}:c:run/{}", day(n));
    match kind {
        "meta" | "slots" | "extended" | "turns" | "seqs" => format!("{base}:{kind}"),
        "n" => format!("{base}:n:w"),
        "c:completed" => chunk(0),
        "c:waiting" => chunk(2),
        "c:running" => chunk(3),
        kind => format!("{base}:{kind}:run"),
    }
}

fn lose(own: &OwnRedis, stage: &Stage, kind: &str) {
    say(&own.url(), &format!("DEL {}", key(stage, kind)));
}

async fn progress(stage: &Stage, run: &RunEntry) -> Option<Progress> {
    stage.queue.progress(&stage.source, &run.run).await.unwrap()
}

/// Tells all of a run anew: the first two days are completed.
async fn tell(stage: &Stage, run: &RunEntry) {
    stage.queue.reset(&stage.source, &run.run).await.unwrap();
    let entries: Vec<ChunkEntry> = (2..DAYS).map(|n| entry(n, 1)).collect();
    stage.queue.enqueue(run, &entries).await.unwrap();
    for n in 0..2 {
        let done = nstore_shared::redis::queue::Fact {
            chunk: stage.chunk(&run.run, n),
            generation: 1,
            state: ChunkState::Completed,
            by: None,
            tally: Default::default(),
            error: None,
        };
        stage.queue.report(&done).await.unwrap();
    }
}

/// All of a run is there, and works to its end in the hands of a worker that nobody disturbs.
async fn assert_whole(stage: &Stage, run: &RunEntry, lost: &str) {
    let told = progress(stage, run).await.unwrap();
    assert_eq!(told.damage, None, "after {lost}");
    assert_eq!(told.chunks.values().sum::<u64>(), u64::from(DAYS), "after {lost}: {told:?}");
    let known = stage.queue.known(&stage.source, &run.run).await.unwrap();
    assert_eq!(known.len(), DAYS as usize, "after {lost}");
    stage.queue.adopt(&stage.source).await.unwrap();
    let mut worker = Worker::new("after");
    for _ in 2..DAYS {
        let grant = stage.claim(&mut worker).await.unwrap_or_else(|| panic!("after {lost}"));
        assert!(stage.complete(&grant).await, "after {lost}");
    }
    let told = progress(stage, run).await.unwrap();
    assert_eq!(told.chunks.get(&ChunkState::Completed), Some(&u64::from(DAYS)), "after {lost}: {told:?}");
    assert_eq!((told.damage, told.running.len()), (None, 0), "after {lost}");
}

#[tokio::test]
async fn each_lost_key_is_seen_and_what_is_told_again_is_whole() {
    let own = own_redis(false);
    for sequential in [false, true] {
        for kind in NEEDED {
            let (stage, run) = scene(&own, sequential).await;
            let there = say(&own.url(), &format!("EXISTS {}", key(&stage, kind)));
            if there.starts_with(":0") {
                // a sequential run has nothing in some, a parallel one no set of sequential ones
                assert!(sequential || kind == "seqs", "{kind} is not there");
                continue;
            }
            assert_eq!(progress(&stage, &run).await.unwrap().damage, None, "before {kind}");
            lose(&own, &stage, kind);
            // a worker that looks for work makes no sense of it, and breaks nothing
            stage.claim(&mut Worker::new("looks")).await;
            let seen = progress(&stage, &run).await.unwrap_or_else(|| panic!("{kind}: the run is unknown"));
            let known = stage.queue.known(&stage.source, &run.run).await.unwrap();
            let completed =
                known.values().filter(|known| known.state == ChunkState::Completed).count() as u64;
            let differs = seen.chunks.get(&ChunkState::Completed) != Some(&completed);
            assert!(seen.damage.is_some() || differs, "{kind} is missed by nobody: {seen:?}");
            tell(&stage, &run).await;
            assert_whole(&stage, &run, kind).await;
        }
    }
}

#[tokio::test]
async fn pairs_of_lost_keys_are_told_again_as_well() {
    let own = own_redis(false);
    let all = [&NEEDED[..], &SPARE[..]].concat();
    for (at, first) in all.iter().enumerate() {
        for second in &all[at + 1..] {
            let (stage, run) = scene(&own, at % 2 == 1).await;
            lose(&own, &stage, first);
            lose(&own, &stage, second);
            let held = stage.claim(&mut Worker::new("looks")).await;
            if let Some(grant) = held {
                stage.queue.report(&fact(&grant, ChunkState::Completed)).await.unwrap();
            }
            progress(&stage, &run).await;
            tell(&stage, &run).await;
            let told = progress(&stage, &run).await.unwrap();
            assert_eq!(told.damage, None, "after {first} and {second}");
            let known = stage.queue.known(&stage.source, &run.run).await.unwrap();
            let open = |known: &Known| known.state == ChunkState::Available;
            let open = known.values().filter(|known| open(known)).count();
            assert_eq!((known.len(), open), (DAYS as usize, DAYS as usize - 2), "after {first} and {second}");
        }
    }
}

#[tokio::test]
async fn counts_never_fall_below_nothing() {
    let own = own_redis(false);
    let (stage, run) = scene(&own, false).await;
    lose(&own, &stage, "run");
    let mut late = Worker::new("w");
    late.nonce = 100;
    // what was counted before ends after the counts were lost
    for n in 2..DAYS {
        let proved = nstore_shared::redis::queue::Fact {
            chunk: stage.chunk(&run.run, n),
            generation: 2,
            state: ChunkState::Discarded,
            by: None,
            tally: Default::default(),
            error: Some("no use".to_owned()),
        };
        stage.queue.report(&proved).await.unwrap();
        let told = progress(&stage, &run).await.unwrap();
        assert!(told.damage.is_some(), "{told:?}");
    }
}
