//! What the tests of the queue play on: a source of its own, workers with rising nonces, days as chunks.

use std::{ops::Range, time::Duration};

use chrono::{Days, NaiveDate};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, ChunkState, ExecutionMode, Kind, RunId, SourceId, WorkerId},
    redis::{
        Redis,
        queue::{ChunkEntry, Claim, Claimant, Fact, GiveBack, Grant, Held, Pulse, Queue, RunEntry, Tally},
    },
};

use crate::context::{self, unique};

/// A lease that no test outlives.
pub const LONG: Duration = Duration::from_secs(60);
/// A lease that tests let run out.
pub const SHORT: Duration = Duration::from_millis(400);

/// A source of its own on a Redis.
pub struct Stage {
    /// The connection.
    pub redis: Redis,
    /// Its door to chunks.
    pub queue: Queue,
    /// The source, that nobody else has.
    pub source: SourceId,
}

impl Stage {
    /// On the Redis of all tests.
    pub async fn new() -> Self {
        let redis = context::redis();
        Self::at(&redis.url, &redis.prefix).await
    }

    /// On that Redis, under that prefix.
    pub async fn at(url: &str, prefix: &str) -> Self {
        let redis = Redis::connect(url, prefix).await.unwrap();
        let source = unique("source").parse().unwrap();
        Self { queue: redis.queue(), redis, source }
    }

    /// A run of so many chunks, so many of them at once.
    pub fn parallel(&self, run: &str, parallel_workers: u32, total: u32) -> RunEntry {
        RunEntry {
            run: run.parse().unwrap(),
            source: self.source.clone(),
            kind: Kind::Api,
            mode: ExecutionMode::Parallel,
            parallel_workers,
            width: None,
            stop_on_discard: false,
            attempts: 3,
            total: u64::from(total),
            plan: Some("a1".to_owned()),
        }
    }

    /// A run of so many chunks, one after the other.
    pub fn sequential(&self, run: &str, total: u32) -> RunEntry {
        RunEntry { mode: ExecutionMode::Sequential, ..self.parallel(run, 4, total) }
    }

    /// Puts days in at generation 1, as the first coordinator does that finds no worker at work.
    pub async fn enqueue(&self, run: &RunEntry, days: Range<u32>) {
        let fresh = self.queue.is_fresh(&self.source).await.unwrap();
        let chunks: Vec<ChunkEntry> = days.map(|n| entry(n, 1)).collect();
        self.queue.enqueue(run, &chunks).await.unwrap();
        if fresh {
            self.queue.adopt(&self.source).await.unwrap();
        }
    }

    /// Puts a day in once more, at a later generation.
    pub async fn reopen(&self, run: &RunEntry, n: u32, generation: u32) {
        self.queue.enqueue(run, &[entry(n, generation)]).await.unwrap();
    }

    /// The next claim of a worker.
    pub async fn claim(&self, worker: &mut Worker) -> Option<Grant> {
        worker.nonce += 1;
        self.repeat(worker).await
    }

    /// What the source's only sequential run is at, by the word of another worker that takes it over.
    pub async fn claim_again(&self, worker: &mut Worker) -> Grant {
        self.queue.adopt(&self.source).await.unwrap();
        self.claim(worker).await.unwrap()
    }

    /// The same claim again.
    pub async fn repeat(&self, worker: &Worker) -> Option<Grant> {
        self.ask(worker, None).await
    }

    /// Reports and claims in one call.
    pub async fn next(&self, worker: &mut Worker, done: &Fact) -> Option<Grant> {
        worker.nonce += 1;
        self.ask(worker, Some(done)).await
    }

    /// A claim under the nonce that the worker has, with what is reported first.
    pub async fn ask(&self, worker: &Worker, done: Option<&Fact>) -> Option<Grant> {
        match self.queue.claim(&self.source, &worker.claimant(), done).await.unwrap() {
            Claim::Granted(grant) => Some(grant),
            Claim::Empty { ask_again, .. } => {
                assert!((20..=1000).contains(&ask_again.as_millis()), "{ask_again:?}");
                None
            }
        }
    }

    /// A heartbeat of what was granted.
    pub async fn beat(&self, grant: &Grant, lease: Duration) -> Pulse {
        self.queue.heartbeat(&[(held(grant), Tally::default())], lease).await.unwrap()[0]
    }

    /// Gives back what was granted; whether it was taken.
    pub async fn give_back(&self, grant: &Grant, how: GiveBack) -> bool {
        self.queue.give_back(&held(grant), &how).await.unwrap()
    }

    /// The try failed, and the next one waits so long; whether that was taken.
    pub async fn fail(&self, grant: &Grant, wait: Duration) -> bool {
        self.give_back(grant, GiveBack::Retry { wait, error: "no luck".to_owned() }).await
    }

    /// What was granted is completed; whether that changed anything.
    pub async fn complete(&self, grant: &Grant) -> bool {
        self.queue.report(&fact(grant, ChunkState::Completed)).await.unwrap()
    }

    /// The state of a day, if it is known.
    pub async fn state(&self, run: &RunEntry, n: u32) -> Option<ChunkState> {
        self.queue.known(&self.source, &run.run).await.unwrap().get(&day(n)).map(|known| known.state)
    }

    /// How many chunks of a run are in a state.
    pub async fn count(&self, run: &RunEntry, state: ChunkState) -> u64 {
        let progress = self.queue.progress(&self.source, &run.run).await.unwrap();
        progress.and_then(|progress| progress.chunks.get(&state).copied()).unwrap_or(0)
    }

    /// A day of a run.
    pub fn chunk(&self, run: &RunId, n: u32) -> Chunk {
        Chunk { source: self.source.clone(), run: run.clone(), range: day(n) }
    }
}

/// One claim loop.
#[derive(Debug, Clone)]
pub struct Worker {
    /// What it calls itself.
    pub id: WorkerId,
    /// The number of its last claim.
    pub nonce: u64,
    /// How long its claims last.
    pub lease: Duration,
}

impl Worker {
    /// One that has not claimed yet, with a long lease.
    pub fn new(id: &str) -> Self {
        Self { id: id.parse().unwrap(), nonce: 0, lease: LONG }
    }

    /// One with that lease.
    pub fn with_lease(id: &str, lease: Duration) -> Self {
        Self { lease, ..Self::new(id) }
    }

    /// What it says of itself when it claims.
    pub fn claimant(&self) -> Claimant {
        Claimant { worker: self.id.clone(), nonce: self.nonce, lease: self.lease }
    }
}

/// The n-th day of 2025.
pub fn day(n: u32) -> ChunkRange {
    let start = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + Days::new(u64::from(n));
    ChunkRange::days(start, start + Days::new(1)).unwrap()
}

/// The n-th day, to be put in at a generation.
pub fn entry(n: u32, generation: u32) -> ChunkEntry {
    ChunkEntry { range: day(n), generation, unproven: false }
}

/// What its holder says that it holds.
pub fn held(grant: &Grant) -> Held {
    Held { chunk: grant.chunk.clone(), generation: grant.generation, by: grant.by.clone() }
}

/// The grant's holder tells how it ended, with one page of ten rows.
pub fn fact(grant: &Grant, state: ChunkState) -> Fact {
    Fact {
        chunk: grant.chunk.clone(),
        generation: grant.generation,
        state,
        by: Some((grant.by.worker.clone(), grant.by.nonce)),
        tally: Tally { pages: 1, rows: 10, bytes: 100 },
        error: (state == ChunkState::Discarded).then(|| "no use".to_owned()),
    }
}

/// What a grant is for, as tests write it.
pub fn what(grant: Option<&Grant>) -> Option<(&str, ChunkRange)> {
    grant.map(|grant| (grant.chunk.run.as_str(), grant.chunk.range))
}

/// A grant without its time: a repeated claim is granted the same at another one.
pub fn untimed(grant: Option<Grant>) -> Option<Grant> {
    grant.map(|grant| Grant { granted_at: chrono::DateTime::UNIX_EPOCH, ..grant })
}

/// What a worker that holds something was granted.
pub fn granted(held: &Held) -> Grant {
    Grant {
        chunk: held.chunk.clone(),
        generation: held.generation,
        by: held.by.clone(),
        attempts: 3,
        discard: None,
        alone: false,
        plan: None,
        granted_at: chrono::DateTime::UNIX_EPOCH,
    }
}
