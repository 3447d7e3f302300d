//! How workers end, and what becomes of what they had in hand.

use std::time::{Duration, Instant};

use nstore_shared::chunk::ChunkState;
use nstore_tests::{
    context,
    simulator::{
        Options,
        faults::{Fault, FaultKind},
    },
};

use crate::house::{House, LEASE, LIMIT, chunk};

const SOURCE: &str = "buyer_orders";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_running_is_finished_in_the_grace_time_and_nothing_more_is_claimed() {
    let house = House::new(Options { latency: Duration::from_millis(400), ..Options::default() }).await;
    let run = house.run(SOURCE, 20).await;
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Running, 2).await;
    worker.end().await;
    let progress = house.progress(&run).await;
    let count = |state| progress.chunks.get(&state).copied().unwrap_or_default();
    assert_eq!(count(ChunkState::Running), 0);
    assert_eq!(count(ChunkState::Completed) + count(ChunkState::Available), 20, "{progress:?}");
    assert!((1..6).contains(&count(ChunkState::Completed)), "{progress:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_time_is_given_back_without_counting_a_try() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Hang));
    let mut config = house.config();
    config.grace = Duration::from_millis(200);
    let worker = house.worker(config);
    house.wait_for(&run, ChunkState::Running, 1).await;
    let asked = Instant::now();
    worker.end().await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    house.wait_for(&run, ChunkState::Available, 1).await;
    assert_eq!(house.files(&run).await, [] as [&str; 0]);
    let next = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 1).await;
    next.end().await;
    assert_eq!(house.committed(&run, run.chunks[0]).await.0.grant.attempt, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_in_the_middle_of_a_chunk() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 4).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Hang).times(100));
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Running, 2).await;
    house.storage.cancel(&run.run, "asked for").await.unwrap();
    house.queue.cancel(&run.source, &run.run).await.unwrap();
    house.wait_for(&run, ChunkState::Cancelled, 4).await;
    worker.end().await;
    assert_eq!(house.files(&run).await, [] as [&str; 0]);
    assert!(house.storage.standing(&run.source, &run.run).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cancelled_in_storage_alone_is_not_extracted() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 3).await;
    house.storage.cancel(&run.run, "redis was away").await.unwrap();
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Cancelled, 3).await;
    worker.end().await;
    assert_eq!(house.simulator.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chunk_of_a_killed_worker_runs_again_within_a_lease_and_a_second() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Hang));
    let mut victim = house.process().start();
    victim.wait_for("claimed", LIMIT).await;
    let mut other = house.process().start();
    other.wait_for("started", LIMIT).await;
    tokio::time::sleep(LEASE / 2).await;
    victim.kill9();
    let killed = Instant::now();
    other.wait_for("claimed", LIMIT).await;
    assert!(killed.elapsed() < LEASE + Duration::from_secs(1), "{:?}", killed.elapsed());
    house.wait_for(&run, ChunkState::Completed, 1).await;
    let (marker, committed) = house.committed(&run, run.chunks[0]).await;
    assert_eq!(house.files(&run).await, [committed.artifact.name]);
    assert_eq!(marker.chunk, chunk(&run, run.chunks[0]));
    other.sigterm();
    let exit = other.wait_exit(LIMIT).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(exit.stderr.contains("stopped"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_over_an_outage_of_redis_with_few_words() {
    /// A longer one makes no worker say more.
    const OUTAGE: Duration = Duration::from_secs(15);
    const MOST_SAID: usize = 10;
    let mut redis = context::own_redis(true);
    let slow = Options { latency: Duration::from_millis(150), ..Options::default() };
    let house = House::on(redis.url(), "test".into(), slow).await;
    let run = house.run(SOURCE, 10).await;
    let mut worker = house.process().start();
    worker.wait_for("committed", LIMIT).await;
    redis.server.kill();
    let before = worker.stderr().lines().count();
    tokio::time::sleep(OUTAGE).await;
    let said = worker.stderr().lines().count() - before;
    assert!(said <= MOST_SAID, "{said} lines in {OUTAGE:?}: {}", worker.stderr());
    redis.server.restart().unwrap();
    house.wait_for(&run, ChunkState::Completed, 10).await;
    worker.wait_for("redis answers again", LIMIT).await;
    worker.sigterm();
    let exit = worker.wait_exit(LIMIT).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let about = |text: &str| exit.stderr.lines().filter(|line| line.contains(text)).count();
    assert_eq!((about("redis does not answer"), about("redis answers again")), (1, 1), "{}", exit.stderr);
    assert_eq!(about("discarded") + about("retried"), 0, "{}", exit.stderr);
    for range in &run.chunks {
        assert_eq!(house.committed(&run, *range).await.0.grant.attempt, 1);
    }
    assert_eq!(house.files(&run).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_wakes_up_and_harms_nothing() {
    let house = House::new(Options { latency: Duration::from_millis(200), ..Options::default() }).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault { delay_ms: 1500, ..Fault::new(SOURCE, FaultKind::Slow) });
    let mut zombie = house.process().start();
    zombie.wait_for("claimed", LIMIT).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    zombie.signal(rustix::process::Signal::STOP);
    let mut other = house.process().start();
    other.wait_for("committed", LIMIT).await;
    zombie.signal(rustix::process::Signal::CONT);
    zombie.wait_for("lost", LIMIT).await;
    let (_, committed) = house.committed(&run, run.chunks[0]).await;
    assert_eq!(house.files(&run).await, [committed.artifact.name]);
    assert_eq!(house.progress(&run).await.done.rows, committed.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_start_says_why() {
    let house = House::new(Options::default()).await;
    let away = house.process().env("NSTORE_REDIS_URL", "redis://127.0.0.1:1").run(LIMIT).await;
    assert_eq!(away.code, Some(4), "{}", away.stderr);
    assert!(away.stderr.contains("redis at redis://127.0.0.1:1"), "{}", away.stderr);
    let nowhere = house.process().env("NSTORE_STORAGE_URL", "/tmp/storage").run(LIMIT).await;
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}
