//! The clock of Redis is set back by an hour: nothing lasts longer for that.

use std::time::{Duration, Instant};

use nstore_shared::{
    chunk::ChunkState,
    redis::{
        budget::TimeSlot,
        fleet::WorkerCard,
        queue::{Claim, GiveBack, Grant, Pulse},
        vault::VaultKey,
    },
};
use nstore_tests::context::{Clock, OwnRedis, own_redis_with_clock};

use crate::{
    budgets::budget,
    servers::card,
    stage::{Stage, Worker},
};

const LEASE: Duration = Duration::from_millis(900);
const HOUR: i64 = 3600;

/// A Redis whose clock is an hour ahead, as after a wrong boot.
fn ahead() -> (Clock, OwnRedis) {
    let clock = Clock::new(HOUR);
    let own = own_redis_with_clock(false, &clock);
    (clock, own)
}

/// Claims until something is granted, for no longer than a few leases.
async fn granted(stage: &Stage, worker: &mut Worker) -> Grant {
    let start = Instant::now();
    loop {
        worker.nonce += 1;
        match stage.queue.claim(&stage.source, &worker.claimant(), None).await.unwrap() {
            Claim::Granted(grant) => return grant,
            Claim::Empty { ask_again, .. } => tokio::time::sleep(ask_again.min(LEASE / 5)).await,
        }
        assert!(start.elapsed() < LEASE * 5, "nothing is granted");
    }
}

#[tokio::test]
async fn leases_waits_and_holds_last_no_longer() {
    let (clock, own) = ahead();
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 3);
    stage.enqueue(&run, 0..3).await;
    let (mut dead, mut live) = (Worker::with_lease("dead", LEASE), Worker::with_lease("live", LEASE));
    let lost = stage.claim(&mut dead).await.unwrap();
    let failed = stage.claim(&mut dead).await.unwrap();
    let kept = stage.claim(&mut live).await.unwrap();
    assert!(stage.fail(&failed, LEASE / 2).await);
    stage.queue.hold(&stage.source, LEASE / 3, "429").await.unwrap();

    clock.set(0);
    assert_eq!(stage.beat(&kept, LEASE * 9).await, Pulse::Ok, "what is held stays so");
    let mut third = Worker::with_lease("third", LEASE);
    let again = [granted(&stage, &mut third).await, granted(&stage, &mut third).await];
    let ranges = again.map(|grant| grant.chunk.range);
    assert!(ranges.contains(&lost.chunk.range) && ranges.contains(&failed.chunk.range), "{ranges:?}");
    let told = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    let step = told.set_back.as_secs();
    assert!((3590..=3600).contains(&step), "that is said: {:?}", told.set_back);
    assert_eq!((told.damage, told.hold), (None, None));
    assert_eq!(stage.beat(&kept, LEASE * 9).await, Pulse::Ok);
    assert_eq!(stage.count(&run, ChunkState::Running).await, 3);

    // and once more, and forward: leases end at once, and the living are given time
    clock.set(-HOUR);
    assert!(stage.give_back(&kept, GiveBack::Release).await);
    assert_eq!(granted(&stage, &mut live).await.chunk, kept.chunk);
    clock.set(HOUR);
    assert!(stage.claim(&mut dead).await.is_none(), "nobody's lease ended");
}

#[tokio::test]
async fn a_quiet_time_that_began_in_the_future_ends() {
    let (clock, mut own) = ahead();
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 2);
    // as a coordinator enqueues that knows of no worker: nobody adopts
    stage.queue.enqueue(&run, &[0, 1].map(|n| crate::stage::entry(n, 1))).await.unwrap();
    clock.set(0);
    granted(&stage, &mut Worker::with_lease("w", LEASE)).await;
    clock.set(HOUR);
    own.server.restart().unwrap();
    stage.queue.enqueue(&run, &[0, 1].map(|n| crate::stage::entry(n, 1))).await.unwrap();
    assert!(stage.claim(&mut Worker::with_lease("w", LEASE)).await.is_none(), "quiet");
    clock.set(0);
    granted(&stage, &mut Worker::with_lease("w2", LEASE)).await;
}

#[tokio::test]
async fn leases_in_the_future_end_although_the_record_of_the_source_was_lost() {
    let (clock, own) = ahead();
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 1);
    stage.enqueue(&run, 0..1).await;
    let lost = stage.claim(&mut Worker::with_lease("dead", LEASE)).await.unwrap();
    clock.set(0);
    nstore_tests::context::say(&own.url(), &format!("DEL test:{{{}}}:meta", stage.source));
    let again = granted(&stage, &mut Worker::with_lease("w", LEASE)).await;
    assert_eq!(again.chunk, lost.chunk);
}

#[tokio::test]
async fn a_worker_that_died_is_shown_no_longer() {
    let (clock, own) = ahead();
    let redis = nstore_shared::redis::Redis::connect(&own.url(), "test").await.unwrap();
    let card = WorkerCard { lease_ms: 900, ..card("dead") };
    redis.fleet().announce(&card, LEASE).await.unwrap();
    clock.set(0);
    let start = Instant::now();
    while !redis.fleet().workers().await.unwrap().is_empty() {
        assert!(start.elapsed() < LEASE * 5, "it is shown still");
        tokio::time::sleep(LEASE / 10).await;
    }
}

#[tokio::test]
async fn a_budget_is_held_no_longer_and_a_login_is_locked_no_longer() {
    let (clock, own) = ahead();
    let redis = nstore_shared::redis::Redis::connect(&own.url(), "test").await.unwrap();
    let (budget, budgets) = (budget("10/s", 1), redis.budgets());
    budgets.hold(&budget.key, LEASE).await.unwrap();
    let (vault, name) = (redis.vault(VaultKey::random()), "portal".parse().unwrap());
    vault.lock(&name, "dead", LEASE).await.unwrap().unwrap();
    clock.set(0);
    let start = Instant::now();
    while !matches!(budgets.take(&budget).await.unwrap(), TimeSlot::In(_)) {
        assert!(start.elapsed() < LEASE * 5, "no slot");
        tokio::time::sleep(LEASE / 10).await;
    }
    while vault.lock(&name, "next", LEASE).await.unwrap().is_none() {
        assert!(start.elapsed() < LEASE * 5, "still locked");
        tokio::time::sleep(LEASE / 10).await;
    }
}
