//! Redis killed, emptied and stalled.

use std::time::{Duration, Instant};

use nstore_shared::{
    chunk::ChunkState,
    redis::{
        Redis,
        queue::{Claim, Grant, Pulse, Tally},
    },
};
use nstore_tests::context::{self, Fault, Proxy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stage::{Stage, Worker, day, entry, held};

/// Long enough for a loaded machine to keep its leases alive, short enough to wait for.
const LEASE: Duration = Duration::from_millis(900);

/// Says a command to a server as another program would, and returns its answer.
pub(crate) async fn raw(url: &str, command: &str) -> String {
    let mut stream = TcpStream::connect(url.replace("redis://", "")).await.unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(!answer.starts_with('-'), "{command}: {answer}");
    answer
}

/// A claim loop's polls until it is granted something, and how long that took.
async fn granted_after(stage: &Stage, worker: &mut Worker) -> (Grant, Duration) {
    let start = Instant::now();
    loop {
        worker.nonce += 1;
        match stage.queue.claim(&stage.source, &worker.claimant(), None).await {
            Ok(Claim::Granted(grant)) => return (grant, start.elapsed()),
            Ok(Claim::Empty { ask_again, .. }) => tokio::time::sleep(ask_again.min(LEASE / 5)).await,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
        assert!(start.elapsed() < LEASE * 10, "nothing was granted");
    }
}

#[tokio::test]
async fn a_killed_redis_comes_back_with_its_leases_and_a_quiet_time() {
    let mut own = context::own_redis(true);
    raw(&own.url(), "CONFIG SET appendfsync always").await;
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 3);
    stage.enqueue(&run, 0..3).await;
    let (mut live, mut dead) = (Worker::with_lease("live", LEASE), Worker::with_lease("dead", LEASE));
    let living = stage.claim(&mut live).await.unwrap();
    let lost = stage.claim(&mut dead).await.unwrap();
    own.server.kill();
    own.server.restart().unwrap();
    // the connection is made anew, and living workers keep what they hold
    assert_eq!(stage.beat(&living, LEASE * 9).await, Pulse::Ok);
    let mut third = Worker::with_lease("third", LEASE);
    let (grant, wait) = granted_after(&stage, &mut third).await;
    assert!(wait > LEASE / 2, "quiet for one lease: {wait:?}");
    assert_eq!(grant.chunk.range, lost.chunk.range, "reaped after the quiet time");
    assert_eq!(stage.beat(&living, LEASE * 9).await, Pulse::Ok);
    assert_eq!(stage.count(&run, ChunkState::Running).await, 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_outage_and_the_next_one_comes() {
    let context::Redis { url, prefix, .. } = context::redis();
    let (user, server) = url.rsplit_once('@').unwrap();
    let line = Proxy::start(server.parse().unwrap()).await;
    let redis = Redis::connect(&format!("{user}@{}", line.address), &prefix).await.unwrap();
    for bytes in 0.."+PONG\r\n".len() {
        line.harm("PING", usize::MAX, Fault::CutAfter(bytes));
        let error = redis.check().await.unwrap_err();
        assert!(error.may_pass(), "after {bytes} bytes: {error}");
        line.heal();
        while let Err(error) = redis.check().await {
            assert!(error.may_pass(), "after {bytes} bytes, healed: {error}");
        }
    }
}

#[tokio::test]
async fn losses_in_an_outage_do_not_count() {
    let mut own = context::own_redis(true);
    raw(&own.url(), "CONFIG SET appendfsync always").await;
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 1);
    stage.enqueue(&run, 0..1).await;
    let lease = LEASE / 2;
    for n in 0..4 {
        let mut worker = Worker::with_lease(&format!("w{n}"), lease);
        let (grant, _) = granted_after(&stage, &mut worker).await;
        assert_eq!(grant.discard, None, "after {n} losses");
        own.server.kill();
        own.server.restart().unwrap();
    }
}

#[tokio::test]
async fn what_redis_lost_the_workers_tell_it_again() {
    let own = context::own_redis(false);
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.sequential("run", 3);
    stage.enqueue(&run, 0..3).await;
    let mut worker = Worker::with_lease("w1", LEASE);
    let first = stage.claim(&mut worker).await.unwrap();
    assert!(stage.fail(&first, Duration::ZERO).await);
    let grant = stage.claim(&mut worker).await.unwrap();
    assert!(!stage.queue.is_fresh(&stage.source).await.unwrap());
    raw(&own.url(), "FLUSHALL").await;
    assert!(stage.queue.is_fresh(&stage.source).await.unwrap());
    assert_eq!(stage.beat(&grant, LEASE * 9).await, Pulse::Ok);
    let mut other = Worker::with_lease("w2", LEASE);
    assert!(stage.claim(&mut other).await.is_none(), "quiet");
    let changed = stage.queue.enqueue(&run, &[0, 1, 2].map(|n| entry(n, 1))).await.unwrap();
    assert_eq!(changed.added, 2, "one is known by its worker's word");
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Running));
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!((progress.running.len(), progress.running[0].attempt), (1, 2));
    tokio::time::sleep(LEASE).await;
    assert!(stage.claim(&mut other).await.is_none(), "one in flight, as before");
    assert_eq!(stage.repeat(&worker).await.map(|again| again.chunk), Some(grant.chunk.clone()));
    assert!(stage.complete(&grant).await);
    assert_eq!(stage.claim(&mut other).await.unwrap().chunk.range, day(1));
    assert_eq!(stage.beat(&first, LEASE).await, Pulse::Lost);
}

#[tokio::test]
async fn a_server_that_lost_everything_is_taught_the_library_again() {
    let mut own = context::own_redis(false);
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    own.server.kill();
    own.server.restart().unwrap();
    assert_eq!(stage.queue.sources(run.kind).await.unwrap(), []);
    stage.enqueue(&run, 0..1).await;
    assert!(stage.claim(&mut Worker::new("w")).await.is_some(), "adopted: nobody waits");
}

/// Heartbeats of one lease until `end`; how many were not answered by `Ok`.
async fn keep_alive(stage: &Stage, grant: &Grant, end: Instant) -> usize {
    let mut bad = 0;
    while Instant::now() < end {
        let beat = [(held(grant), Tally::default())];
        match stage.queue.heartbeat(&beat, LEASE).await {
            Ok(pulses) => bad += usize::from(pulses != [Pulse::Ok]),
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
        tokio::time::sleep(LEASE / 3).await;
    }
    bad
}

#[tokio::test]
async fn a_stall_does_not_expire_the_fleet() {
    let own = context::own_redis(false);
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 10, 5);
    stage.enqueue(&run, 0..5).await;
    let mut grants = Vec::new();
    for n in 0..5 {
        let mut worker = Worker::with_lease(&format!("w{n}"), LEASE);
        grants.push(stage.claim(&mut worker).await.unwrap());
    }
    let end = Instant::now() + LEASE * 6;
    let poll = async {
        let mut idle = Worker::with_lease("idle", LEASE);
        let mut granted = 0;
        while Instant::now() < end {
            granted += usize::from(stage.claim(&mut idle).await.is_some());
            tokio::time::sleep(LEASE / 10).await;
        }
        granted
    };
    let stall = async {
        tokio::time::sleep(LEASE / 2).await;
        own.server.pause();
        tokio::time::sleep(LEASE * 2).await;
        own.server.resume();
    };
    let beats = futures::future::join_all(grants.iter().map(|grant| keep_alive(&stage, grant, end)));
    let (granted, (), bad) = futures::join!(poll, stall, beats);
    assert_eq!((granted, bad), (0, vec![0; 5]));
    assert_eq!(stage.count(&run, ChunkState::Running).await, 5);
}

#[tokio::test]
async fn a_full_redis_forgets_nothing() {
    let own = context::own_redis(true);
    let stage = Stage::at(&own.url(), "test").await;
    let (first, second) = (stage.sequential("a-run", 4), stage.sequential("b-run", 4));
    stage.enqueue(&first, 0..4).await;
    let mut worker = Worker::with_lease("w1", LEASE);
    let grant = stage.claim(&mut worker).await.unwrap();
    raw(&own.url(), "CONFIG SET maxmemory 1").await;
    assert!(stage.queue.pause(&stage.source, None, false).await.is_ok());
    assert!(stage.queue.pause(&stage.source, Some(&first.run), false).await.is_ok());
    assert!(stage.queue.enqueue(&first, &[]).await.is_err());
    assert_eq!(stage.beat(&grant, LEASE).await, Pulse::Ok);
    worker.nonce += 1;
    assert!(stage.queue.claim(&stage.source, &worker.claimant(), None).await.is_err());
    assert!(stage.complete(&grant).await);
    raw(&own.url(), "CONFIG SET maxmemory 0").await;
    stage.enqueue(&second, 4..8).await;
    for n in 1..8 {
        let grant = stage.claim(&mut worker).await.unwrap();
        assert_eq!(grant.chunk.range, day(n));
        assert!(stage.complete(&grant).await);
    }
}
