//! Order, width and turns over several runs of a source.

use std::time::Duration;

use nstore_shared::{
    chunk::{ChunkRange, ChunkState},
    redis::queue::{Grant, RunEntry},
};

use crate::stage::{Stage, Worker, day, entry, fact, what};

/// Claims with new workers until nothing comes.
async fn claim_all(stage: &Stage) -> Vec<Grant> {
    let mut grants = Vec::new();
    loop {
        let mut worker = Worker::new(&format!("w{:x}", fastrand::u64(..)));
        match stage.claim(&mut worker).await {
            Some(grant) => grants.push(grant),
            None => return grants,
        }
    }
}

fn ranges(grants: &[Grant]) -> Vec<(&str, ChunkRange)> {
    grants.iter().filter_map(|grant| what(Some(grant))).collect()
}

#[tokio::test]
async fn order_and_width_hold_over_several_runs() {
    let stage = Stage::new().await;
    let (late, early) = (stage.sequential("a", 2), stage.sequential("b", 2));
    stage.enqueue(&late, 2..4).await;
    stage.enqueue(&early, 0..2).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        let grants = claim_all(&stage).await;
        assert_eq!(grants.len(), 1, "one in flight over all runs");
        order.extend(ranges(&grants).into_iter().map(|(run, range)| (run.to_owned(), range)));
        assert!(stage.complete(&grants[0]).await);
    }
    let wanted = [("b", 0), ("b", 1), ("a", 2), ("a", 3)].map(|(run, n)| (run.to_owned(), day(n)));
    assert_eq!(order, wanted);

    let narrow = |run, workers| RunEntry { width: Some(3), ..stage.parallel(run, workers, 10) };
    for run in [narrow("c", 2), narrow("d", 8)] {
        stage.enqueue(&run, 0..10).await;
    }
    let grants = claim_all(&stage).await;
    assert_eq!(ranges(&grants), [("c", day(0)), ("d", day(0)), ("c", day(1))], "three of the source");
    assert!(stage.complete(&grants[0]).await);
    assert_eq!(ranges(&claim_all(&stage).await), [("d", day(1))]);
    assert!(stage.complete(&grants[1]).await);
    assert_eq!(ranges(&claim_all(&stage).await), [("c", day(2))]);
}

#[tokio::test]
async fn parallel_runs_take_turns() {
    let stage = Stage::new().await;
    let (large, small) = (stage.parallel("large", 100, 50), stage.parallel("small", 100, 2));
    stage.enqueue(&large, 0..50).await;
    let mut worker = Worker::new("w");
    for _ in 0..5 {
        stage.claim(&mut worker).await.unwrap();
    }
    stage.enqueue(&small, 0..2).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(stage.claim(&mut worker).await.unwrap().chunk.run.to_string());
    }
    assert_eq!(runs, ["small", "large", "small", "large", "large", "large"]);
}

#[tokio::test]
async fn a_sequential_run_waits_until_all_its_chunks_are_in() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 3);
    stage.enqueue(&run, 1..3).await;
    assert!(claim_all(&stage).await.is_empty());
    stage.enqueue(&run, 0..1).await;
    assert_eq!(ranges(&claim_all(&stage).await), [("run", day(0))]);
}

#[tokio::test]
async fn the_lowest_chunk_waits_out_its_back_off_in_front_of_the_others() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 2);
    stage.enqueue(&run, 0..2).await;
    let mut worker = Worker::new("w");
    let grant = stage.claim(&mut worker).await.unwrap();
    assert!(stage.fail(&grant, Duration::from_millis(300)).await);
    assert!(claim_all(&stage).await.is_empty());
    tokio::time::sleep(Duration::from_millis(320)).await;
    let grant = stage.claim(&mut worker).await.unwrap();
    assert_eq!((grant.chunk.range, grant.by.attempt), (day(0), 2));
    // a chunk that is reopened goes first again
    let next = stage.next(&mut worker, &fact(&grant, ChunkState::Completed)).await.unwrap();
    assert_eq!(next.chunk.range, day(1));
    stage.reopen(&run, 0, 2).await;
    assert!(stage.fail(&next, Duration::ZERO).await);
    assert_eq!(stage.claim(&mut worker).await.unwrap().chunk.range, day(0));
}

#[tokio::test]
async fn a_discarded_chunk_is_skipped_unless_the_run_stops_there() {
    let stage = Stage::new().await;
    let stops = RunEntry { stop_on_discard: true, ..stage.sequential("stops", 2) };
    let goes_on = stage.sequential("goes-on", 2);
    stage.enqueue(&stops, 0..2).await;
    stage.enqueue(&goes_on, 10..12).await;
    let mut worker = Worker::new("w");
    let mut order = Vec::new();
    while let Some(grant) = stage.claim(&mut worker).await {
        order.push((grant.chunk.run.to_string(), grant.chunk.range));
        assert!(stage.queue.report(&fact(&grant, ChunkState::Discarded)).await.unwrap());
    }
    let wanted = [("stops", 0), ("goes-on", 10), ("goes-on", 11)].map(|(run, n)| (run.to_owned(), day(n)));
    assert_eq!(order, wanted);
    let progress = stage.queue.progress(&stage.source, &stops.run).await.unwrap().unwrap();
    assert!(progress.stopped);
    assert_eq!(progress.last_error.as_deref(), Some("no use"));
    // its discard undone, it goes on by itself
    stage.queue.enqueue(&stops, &[entry(0, 2)]).await.unwrap();
    assert_eq!(stage.claim(&mut worker).await.unwrap().chunk.range, day(0));
}

#[tokio::test]
async fn a_sequential_run_gets_its_turn_beside_a_parallel_one() {
    let stage = Stage::new().await;
    let (wide, narrow) = (stage.parallel("wide", 3, 30), stage.sequential("narrow", 2));
    stage.enqueue(&wide, 0..30).await;
    let mut in_flight = claim_all(&stage).await;
    assert_eq!(in_flight.len(), 3);
    stage.enqueue(&narrow, 0..2).await;
    let mut before = 0;
    let first = loop {
        let done = in_flight.remove(0);
        assert!(stage.complete(&done).await);
        let granted = claim_all(&stage).await;
        match granted.first() {
            Some(grant) if grant.chunk.run == narrow.run => break grant.clone(),
            _ => in_flight.extend(granted),
        }
        before += 1;
    };
    assert!(in_flight.is_empty(), "alone in flight");
    assert!(before <= 4, "{before} chunks of the other run came first");
    assert!(claim_all(&stage).await.is_empty());
    assert!(stage.complete(&first).await);
    assert_eq!(claim_all(&stage).await[0].chunk.run, wide.run, "and then it is the other's turn");
}
