//! Chunks that lose their workers: what is the chunk's fault, and what is not.

use std::{collections::BTreeSet, time::Duration};

use nstore_shared::{
    chunk::{ChunkRange, ChunkState},
    retry::FailureClass,
    storage::marker::{Marker, Outcome},
};
use nstore_tests::{
    context::{self, OwnRedis, Running},
    simulator::{
        Options,
        faults::{Fault, FaultKind},
    },
};
use tokio::time::Instant;

use crate::house::{House, LEASE, LIMIT, Run, day};

const SOURCE: &str = "buyer_orders";

/// Who works on that chunk, if it is somebody new.
async fn new_holder(house: &House, run: &Run, range: ChunkRange, seen: &mut BTreeSet<String>) -> bool {
    let progress = house.progress(run).await;
    let holder = progress.running.iter().find(|running| running.range == range);
    holder.is_some_and(|running| seen.insert(running.worker.to_string()))
}

/// Waits until somebody new works on the chunk, which is not to end it.
async fn taken(house: &House, run: &Run, range: ChunkRange, seen: &mut BTreeSet<String>) {
    let end = Instant::now() + LIMIT;
    while !new_holder(house, run, range, seen).await {
        assert!(Instant::now() < end, "nobody takes it: {:?}", house.progress(run).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // the work on it hangs, a discard would be done by then
    tokio::time::sleep(LEASE / 5).await;
    assert_eq!(house.marker(run, range).await, None, "it has ended after {} losses", seen.len() - 1);
}

/// Waits for the chunk's outcome.
async fn ended(house: &House, run: &Run, range: ChunkRange) -> Marker {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(marker) = house.marker(run, range).await {
            return marker;
        }
        assert!(Instant::now() < end, "it does not end: {:?}", house.progress(run).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn discarded(outcome: &Outcome) -> (FailureClass, &str) {
    let Outcome::Discarded { class, error, .. } = outcome else { panic!("{outcome:?}") };
    (*class, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_kills_its_workers_is_discarded_after_three_and_harms_no_other() {
    let house = House::new(Options::default()).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Hang).on(day("2025-08-02")).times(1000));
    let run = house.run(SOURCE, 4).await;
    let poison = run.chunks[1];
    let (mut worker, mut seen) = (house.process().start(), BTreeSet::new());
    // whoever takes it dies of it, and somebody starts another one
    for _ in 0..3 {
        taken(&house, &run, poison, &mut seen).await;
        worker.kill9();
        worker = house.process().start();
    }
    let marker = ended(&house, &run, poison).await;
    let (class, error) = discarded(&marker.outcome);
    assert_eq!(class, FailureClass::Poison);
    assert!(error.contains("lost its worker 3 times"), "{error}");
    house.wait_for(&run, ChunkState::Completed, 3).await;
    house.wait_for(&run, ChunkState::Discarded, 1).await;
    for (at, range) in run.chunks.iter().enumerate().filter(|(at, _)| *at != 1) {
        let (marker, _) = house.committed(&run, *range).await;
        assert_eq!(marker.grant.attempt, 1, "chunk {at} has paid no try");
    }
    assert!(worker.is_running(), "the last one lives");
}

/// A host goes down with the worker and the Redis on it, in the middle of a chunk, and comes up again.
async fn power_cut(house: &House, worker: Running, own: &mut OwnRedis) -> Running {
    worker.kill9();
    drop(worker);
    own.server.kill();
    own.server.restart().expect("the same server again");
    write_through(own);
    house.process().start()
}

/// No grant and no loss is forgotten by a cut.
fn write_through(own: &OwnRedis) {
    context::say(&own.url(), "CONFIG SET appendfsync always");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_discards_nothing_and_ten_losses_of_whatever_reason_do() {
    let mut own = tokio::task::spawn_blocking(|| context::own_redis(true)).await.unwrap();
    write_through(&own);
    let house = House::on(own.url(), "nstore:test".into(), Options::default()).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Hang).on(day("2025-08-02")).times(1000));
    let run = house.run(SOURCE, 3).await;
    let (cut, mut seen) = (run.chunks[1], BTreeSet::new());
    let mut worker = house.process().start();
    // were they counted, three would be enough
    for _ in 0..10 {
        taken(&house, &run, cut, &mut seen).await;
        worker = power_cut(&house, worker, &mut own).await;
    }
    let marker = ended(&house, &run, cut).await;
    let (class, error) = discarded(&marker.outcome);
    assert_eq!(class, FailureClass::Poison);
    assert!(error.contains("lost its worker 10 times"), "{error}");
    house.wait_for(&run, ChunkState::Completed, 2).await;
    for range in [run.chunks[0], run.chunks[2]] {
        house.committed(&run, range).await;
    }
    assert!(worker.is_running(), "the last one lives");
}
