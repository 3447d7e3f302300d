//! Runs as a whole: cancel, forget, hints, what is known.

use std::time::Duration;

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{GiveBack, Pulse},
};

use crate::stage::{LONG, SHORT, Stage, Worker, day, fact, untimed};

#[tokio::test]
async fn a_cancelled_run_ends_in_every_state() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 10, 1200);
    stage.enqueue(&run, 0..1200).await;
    let mut workers: Vec<Worker> = (0..6).map(|n| Worker::new(&format!("w{n}"))).collect();
    let mut grants = Vec::new();
    for worker in &mut workers {
        grants.push(stage.claim(worker).await.unwrap());
    }
    assert!(stage.complete(&grants[0]).await);
    assert!(stage.fail(&grants[1], LONG).await);
    stage.queue.cancel(&stage.source, &run.run).await.unwrap();
    assert_eq!(stage.count(&run, ChunkState::Cancelled).await, 1195);
    assert_eq!(stage.count(&run, ChunkState::Running).await, 4);
    assert!(stage.claim(&mut workers[0]).await.is_none());
    assert_eq!(stage.beat(&grants[2], LONG).await, Pulse::Cancel);
    assert!(stage.give_back(&grants[2], GiveBack::Release).await);
    assert!(stage.fail(&grants[3], Duration::ZERO).await);
    assert!(stage.complete(&grants[4]).await, "a proved fact counts all the same");
    assert_eq!(stage.count(&run, ChunkState::Cancelled).await, 1197);
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 2);
    // a slow submit does not bring it back
    stage.enqueue(&run, 1190..1210).await;
    assert!(stage.claim(&mut workers[0]).await.is_none());
    assert_eq!(stage.count(&run, ChunkState::Cancelled).await, 1207);
    stage.queue.cancel(&stage.source, &run.run).await.unwrap();
    assert_eq!(stage.count(&run, ChunkState::Running).await, 1);
}

#[tokio::test]
async fn a_lost_chunk_of_a_cancelled_run_is_cancelled() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 10, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::with_lease("w", SHORT);
    stage.claim(&mut worker).await.unwrap();
    stage.queue.cancel(&stage.source, &run.run).await.unwrap();
    let mut other = Worker::with_lease("other", SHORT);
    while stage.count(&run, ChunkState::Running).await > 0 {
        tokio::time::sleep(SHORT / 4).await;
        assert!(stage.claim(&mut other).await.is_none());
    }
    assert_eq!(stage.count(&run, ChunkState::Cancelled).await, 1);
}

#[tokio::test]
async fn nothing_of_what_is_paused_is_granted_and_what_runs_goes_on() {
    for sequential in [false, true] {
        let stage = Stage::new().await;
        let (held, other) = match sequential {
            false => (stage.parallel("held", 4, 3), stage.parallel("other", 4, 3)),
            true => (stage.sequential("held", 3), stage.sequential("other", 3)),
        };
        stage.enqueue(&held, 0..3).await;
        let mut worker = Worker::new("w");
        let grant = stage.claim(&mut worker).await.unwrap();
        stage.queue.pause(&stage.source, Some(&held.run), true).await.unwrap();
        stage.queue.pause(&stage.source, Some(&held.run), true).await.unwrap();
        let progress = stage.queue.progress(&stage.source, &held.run).await.unwrap().unwrap();
        assert!(progress.paused && progress.running.len() == 1);
        let again = stage.repeat(&worker).await;
        assert_eq!(untimed(again), untimed(Some(grant.clone())), "a lost answer is given again");
        assert_eq!(stage.beat(&grant, LONG).await, Pulse::Ok);
        assert!(stage.complete(&grant).await);
        assert!(stage.claim(&mut worker).await.is_none());
        // another run of the source is not held
        stage.enqueue(&other, 10..13).await;
        assert_eq!(stage.claim(&mut worker).await.unwrap().chunk.run, other.run);

        stage.queue.pause(&stage.source, None, true).await.unwrap();
        let mut second = Worker::new("second");
        stage.queue.adopt(&stage.source).await.unwrap();
        assert!(stage.claim(&mut second).await.is_none(), "the whole source is");
        stage.queue.pause(&stage.source, Some(&held.run), false).await.unwrap();
        assert!(stage.claim(&mut second).await.is_none());
        stage.queue.pause(&stage.source, None, false).await.unwrap();
        assert_eq!(stage.claim(&mut second).await.unwrap().chunk.range, day(1));
        // and a paused one is cancelled like any other
        stage.queue.pause(&stage.source, Some(&other.run), true).await.unwrap();
        stage.queue.cancel(&stage.source, &other.run).await.unwrap();
        assert_eq!(stage.count(&other, ChunkState::Cancelled).await, 3);
    }
}

#[tokio::test]
async fn a_source_may_be_paused_before_anybody_works_on_it() {
    let stage = Stage::new().await;
    stage.queue.pause(&stage.source, None, true).await.unwrap();
    assert!(stage.queue.is_fresh(&stage.source).await.unwrap(), "no quiet time is due to that");
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::new("w");
    assert!(stage.claim(&mut worker).await.is_none());
    stage.queue.pause(&stage.source, None, false).await.unwrap();
    assert!(stage.claim(&mut worker).await.is_some());
}

#[tokio::test]
async fn a_run_that_is_forgotten_is_gone() {
    let stage = Stage::new().await;
    let (run, other) = (stage.sequential("run", 700), stage.parallel("other", 1, 1));
    stage.enqueue(&run, 0..700).await;
    stage.enqueue(&other, 0..1).await;
    let mut worker = Worker::new("w");
    let first = stage.claim(&mut worker).await.unwrap();
    assert_eq!(stage.queue.progress(&stage.source, &"none".parse().unwrap()).await.unwrap(), None);
    stage.queue.forget(&stage.source, &run.run).await.unwrap();
    assert_eq!(stage.queue.progress(&stage.source, &run.run).await.unwrap(), None);
    assert!(stage.queue.known(&stage.source, &run.run).await.unwrap().is_empty());
    let gone = first.chunk.run == run.run;
    assert_eq!(stage.beat(&first, LONG).await, if gone { Pulse::Lost } else { Pulse::Ok });
    if gone {
        // no slot of it is left in the way
        assert_eq!(stage.claim(&mut worker).await.unwrap().chunk.run, other.run);
    }
}

#[tokio::test]
async fn hints_come_in_the_order_of_completion() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 10, 4);
    stage.enqueue(&run, 0..4).await;
    let mut grants = Vec::new();
    for n in 0..4 {
        grants.push(stage.claim(&mut Worker::new(&format!("w{n}"))).await.unwrap());
    }
    for n in [2, 0, 3] {
        assert!(stage.complete(&grants[n]).await);
    }
    stage.queue.report(&fact(&grants[1], ChunkState::Split)).await.unwrap();
    let hints = |from| stage.queue.hints(&stage.source, &run.run, from);
    assert_eq!(hints(0).await.unwrap(), [day(2), day(0), day(3)]);
    assert_eq!(hints(2).await.unwrap(), [day(3)]);
    assert!(hints(3).await.unwrap().is_empty());
}
