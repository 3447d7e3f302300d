//! Random histories in which Redis loses everything: what a living worker holds stays its own.

use std::time::Duration;

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{Grant, Pulse, RunEntry},
};

use super::{
    Broken, Promise,
    stage::{Stage, Worker, entry},
};
use crate::context::say;

/// Long enough for a few calls of a loaded machine, short enough to wait for.
const LEASE: Duration = Duration::from_millis(600);
const DAYS: u32 = 4;
const WORKERS: usize = 3;

struct History<'a> {
    url: &'a str,
    stage: Stage,
    run: RunEntry,
    workers: Vec<Worker>,
    /// What is worked on, and by whom.
    held: Option<(usize, Grant)>,
    done: Vec<u32>,
}

/// Plays one history on a Redis that is its alone: a sequential run is worked off, and Redis loses everything time and
/// again. Workers that live are heard within the quiet time.
///
/// # Errors
/// Who was granted what another worker held.
pub async fn play(url: &str, seed: u64) -> Result<(), Broken> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let stage = Stage::at(url, "losses").await;
    let run = stage.sequential("run", DAYS);
    stage.enqueue(&run, 0..DAYS).await;
    let workers = (0..WORKERS).map(|n| Worker::with_lease(&format!("w{n}"), LEASE)).collect();
    let mut history = History { url, stage, run, workers, held: None, done: vec![] };
    while history.done.len() < DAYS as usize {
        history.claim(&mut rng).await?;
        history.lose(&mut rng).await?;
        if rng.bool() {
            history.complete().await?;
        }
    }
    Ok(())
}

impl History<'_> {
    fn broken(what: String) -> Broken {
        Broken { promise: Promise::Losses, what }
    }

    /// All ask, one after the other in an order by lot.
    async fn claim(&mut self, rng: &mut fastrand::Rng) -> Result<(), Broken> {
        let mut order: Vec<usize> = (0..WORKERS).collect();
        rng.shuffle(&mut order);
        for worker in order {
            if self.held.as_ref().is_some_and(|(holder, _)| *holder == worker) {
                continue;
            }
            let Some(grant) = self.stage.claim(&mut self.workers[worker]).await else { continue };
            if let Some((holder, held)) = &self.held {
                let (chunk, other) = (grant.chunk.range, held.chunk.range);
                return Err(Self::broken(format!(
                    "worker {worker} was granted {chunk} of a sequential source while worker {holder} held {other}"
                )));
            }
            self.held = Some((worker, grant));
        }
        Ok(())
    }

    /// Redis loses everything, and is filled again; some ask before the one who works is heard.
    async fn lose(&mut self, rng: &mut fastrand::Rng) -> Result<(), Broken> {
        say(self.url, "FLUSHALL");
        let days = (0..DAYS).filter(|n| !self.done.contains(n)).map(|n| entry(n, 1));
        self.stage.queue.enqueue(&self.run, &days.collect::<Vec<_>>()).await.unwrap();
        for n in &self.done {
            let (chunk, tally) = (self.stage.chunk(&self.run.run, *n), Default::default());
            let fact = nstore_shared::redis::queue::Fact {
                chunk,
                generation: 1,
                state: ChunkState::Completed,
                by: None,
                tally,
                error: None,
            };
            self.stage.queue.report(&fact).await.unwrap();
        }
        self.claim(rng).await?;
        if let Some((holder, grant)) = &self.held {
            let pulse = self.stage.beat(grant, LEASE * 20).await;
            if pulse != Pulse::Ok {
                return Err(Self::broken(format!("worker {holder} lost what it held: {pulse:?}")));
            }
        }
        tokio::time::sleep(LEASE).await;
        self.claim(rng).await
    }

    async fn complete(&mut self) -> Result<(), Broken> {
        if let Some((_, grant)) = self.held.take() {
            let n = (0..DAYS).find(|n| super::stage::day(*n) == grant.chunk.range).unwrap();
            self.stage.complete(&grant).await;
            self.done.push(n);
        }
        Ok(())
    }
}
