//! Leases that run out, and what a loss counts.

use std::time::Duration;

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{Grant, Pulse, Tally},
};

use crate::stage::{LONG, SHORT, Stage, Worker, day, held};

/// Polls as an idle worker does, often enough that nobody takes it for a stall.
async fn poll_until_granted(stage: &Stage, worker: &mut Worker) -> Grant {
    loop {
        if let Some(grant) = stage.claim(worker).await {
            return grant;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

#[tokio::test]
async fn an_expired_lease_is_granted_again() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut dead = Worker::with_lease("dead", SHORT);
    let grant = stage.claim(&mut dead).await.unwrap();
    let mut live = Worker::with_lease("live", SHORT);
    let start = std::time::Instant::now();
    let again = poll_until_granted(&stage, &mut live).await;
    assert!(start.elapsed() < SHORT * 4, "{:?}", start.elapsed());
    assert_eq!((again.chunk.range, again.by.attempt), (day(0), 1), "a loss is no try");
    assert_eq!(stage.beat(&grant, SHORT).await, Pulse::Lost);
    assert_eq!(stage.repeat(&dead).await, None);
}

#[tokio::test]
async fn a_late_heartbeat_keeps_what_nobody_took() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::with_lease("slow", SHORT);
    let grant = stage.claim(&mut worker).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(stage.beat(&grant, LONG).await, Pulse::Ok);
    assert!(stage.claim(&mut Worker::new("other")).await.is_none());
    assert!(stage.complete(&grant).await);
}

#[tokio::test]
async fn the_third_loss_asks_for_a_discard() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let lease = Duration::from_millis(200);
    let mut worker = Worker::with_lease("w", lease);
    for losses in 0..3 {
        let grant = poll_until_granted(&stage, &mut worker).await;
        assert_eq!((&grant.discard, grant.alone), (&None, losses == 2), "its last chance it has alone");
    }
    let grant = poll_until_granted(&stage, &mut worker).await;
    assert_eq!((grant.discard.as_deref(), grant.alone), (Some("lost its worker 3 times"), false));
    assert_eq!(stage.repeat(&worker).await.unwrap().discard, grant.discard);
    // a user's retry begins anew
    stage.reopen(&run, 0, 2).await;
    let grant = poll_until_granted(&stage, &mut worker).await;
    assert_eq!((grant.generation, grant.discard), (2, None));
}

#[tokio::test]
async fn a_single_worker_that_comes_back_late_counts_its_loss() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let lease = Duration::from_millis(200);
    for n in 0..3 {
        let mut worker = Worker::with_lease(&format!("w{n}"), lease);
        assert_eq!(poll_until_granted(&stage, &mut worker).await.discard, None);
        // nobody calls for long: the lease is prolonged once, and then it ends
        tokio::time::sleep(lease * 2).await;
    }
    let mut worker = Worker::with_lease("last", lease);
    assert!(stage.claim(&mut worker).await.is_none(), "perhaps redis stalled: its holder has more time");
    assert!(poll_until_granted(&stage, &mut worker).await.discard.is_some());
}

#[tokio::test]
async fn adopt_ends_leases_without_a_loss() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::new("w");
    for _ in 0..12 {
        let grant = stage.claim(&mut worker).await.unwrap();
        assert_eq!(grant.discard, None);
        stage.queue.adopt(&stage.source).await.unwrap();
        assert_eq!(stage.beat(&grant, LONG).await, Pulse::Lost);
        assert_eq!(stage.count(&run, ChunkState::Available).await, 1);
    }
}

#[tokio::test]
async fn heartbeats_show_how_far_each_chunk_is() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 3);
    stage.enqueue(&run, 0..3).await;
    let mut beats = Vec::new();
    for n in 0..3 {
        let grant = stage.claim(&mut Worker::new(&format!("w{n}"))).await.unwrap();
        let tally = Tally { pages: n, rows: 10 * n, bytes: 100 * n };
        beats.push((held(&grant), tally));
    }
    beats[1].0.by.nonce += 1;
    let pulses = stage.queue.heartbeat(&beats, LONG).await.unwrap();
    assert_eq!(pulses, [Pulse::Ok, Pulse::Lost, Pulse::Ok]);
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    let rows: Vec<u64> = progress.running.iter().map(|running| running.tally.rows).collect();
    assert_eq!(rows, [0, 0, 20]);
    assert!(stage.queue.heartbeat(&[], LONG).await.unwrap().is_empty());
}
