//! Sources that have nothing left to grant are asked about no more, until more is enqueued.

use std::time::Duration;

use nstore_shared::{
    chunk::{ChunkState, Kind},
    redis::queue::{Claim, RunEntry},
};

use crate::stage::{LONG, SHORT, Stage, Worker, entry, fact};

/// A claim finds nothing; whether the source is closed.
async fn is_closed(stage: &Stage, worker: &mut Worker) -> bool {
    worker.nonce += 1;
    match stage.queue.claim(&stage.source, &worker.claimant(), None).await.unwrap() {
        Claim::Empty { closed, .. } => closed,
        Claim::Granted(grant) => panic!("{grant:?}"),
    }
}

async fn is_listed(stage: &Stage) -> bool {
    stage.queue.sources(Kind::Api).await.unwrap().contains(&stage.source)
}

#[tokio::test]
async fn a_source_is_closed_once_nothing_is_open_or_held_and_opens_with_the_next_enqueue() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 1, 2);
    stage.enqueue(&run, 0..2).await;
    let (mut worker, mut other) = (Worker::new("w"), Worker::new("other"));
    let first = stage.claim(&mut worker).await.unwrap();
    assert!(!is_closed(&stage, &mut other).await, "one runs, one waits");
    assert!(stage.complete(&first).await);
    let second = stage.claim(&mut worker).await.unwrap();
    assert!(stage.fail(&second, LONG).await);
    assert!(!is_closed(&stage, &mut other).await, "one waits for its next try");
    stage.queue.cancel(&stage.source, &run.run).await.unwrap();
    assert!(is_closed(&stage, &mut other).await);
    stage.queue.close(Kind::Api, &stage.source).await.unwrap();
    assert!(!is_listed(&stage).await);
    let more = stage.parallel("more", 1, 1);
    stage.queue.enqueue(&more, &[entry(3, 1)]).await.unwrap();
    assert!(is_listed(&stage).await);
    assert!(stage.claim(&mut worker).await.is_some());
}

#[tokio::test]
async fn one_that_was_enqueued_meanwhile_stays_on_the_list() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 1, 1);
    stage.enqueue(&run, 0..1).await;
    // the claim that found it closed was before the enqueue
    stage.queue.close(Kind::Api, &stage.source).await.unwrap();
    assert!(is_listed(&stage).await);
}

#[tokio::test]
async fn a_lease_that_nobody_holds_any_more_keeps_it_open_until_it_has_ended() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 1, 1);
    stage.enqueue(&run, 0..1).await;
    let mut dead = Worker::with_lease("dead", SHORT);
    let grant = stage.claim(&mut dead).await.unwrap();
    // another one proves its outcome
    let proved = nstore_shared::redis::queue::Fact { by: None, ..fact(&grant, ChunkState::Completed) };
    assert!(stage.queue.report(&proved).await.unwrap());
    let mut other = Worker::with_lease("other", SHORT);
    assert!(!is_closed(&stage, &mut other).await);
    tokio::time::sleep(SHORT * 2).await;
    while !is_closed(&stage, &mut other).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_sequential_run_that_stopped_is_closed_until_its_chunk_is_tried_again() {
    let stage = Stage::new().await;
    let run = RunEntry { stop_on_discard: true, ..stage.sequential("run", 3) };
    stage.enqueue(&run, 0..3).await;
    let mut worker = Worker::new("w");
    let grant = stage.claim(&mut worker).await.unwrap();
    assert!(stage.queue.report(&fact(&grant, ChunkState::Discarded)).await.unwrap());
    assert!(is_closed(&stage, &mut worker).await);
    stage.queue.close(Kind::Api, &stage.source).await.unwrap();
    assert!(!is_listed(&stage).await);
    stage.reopen(&run, 0, 2).await;
    assert!(is_listed(&stage).await);
    assert!(stage.claim(&mut worker).await.is_some());
}
