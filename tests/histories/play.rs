//! Random histories, played on Redis and on the naive queue: every answer and every state must agree.
//!
//! Time passes in the history alone: a lease is long, or it ends with the next `Wait`. Where the machine is so slow
//! that a short one may have ended between, the history ends there.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::{ChunkState, ExecutionMode},
    redis::queue::{ChunkEntry, Fact, GiveBack, Grant, Held, Pulse, RunEntry, Tally},
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::{
    Broken, Promise,
    model::{Beat, By, Granted, Key, Model, Settings},
    stage::{LONG, SHORT, Stage, Worker, day, fact, granted, held},
};
use crate::context::unique;

const DAYS: u32 = 5;
const WORKERS: usize = 4;

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Step(Event);

#[derive(Debug, Clone)]
enum Event {
    Enqueue { run: usize, from: u32, to: u32, generation: u32, unproven: bool },
    Claim { worker: usize, short: bool },
    SameAgain { worker: usize, short: bool },
    LateCopy { worker: usize },
    Report { grant: usize, state: ChunkState },
    ReportAndClaim { grant: usize, state: ChunkState, worker: usize },
    Proved { run: usize, n: u32, generation: u32, state: ChunkState },
    Fail { grant: usize, due: bool },
    Release { grant: usize },
    Defer { grant: usize },
    Beat { grant: usize, short: bool },
    Cancel { run: usize },
    Pause { what: Option<usize>, paused: bool },
    Wait,
}

fn runs() -> Vec<Settings> {
    let run = |name, mode, parallel_workers, width, stop_on_discard, total| Settings {
        name,
        mode,
        parallel_workers,
        width,
        stop_on_discard,
        total,
    };
    vec![
        run("a-wide", ExecutionMode::Parallel, 3, None, false, 5),
        run("b-narrow", ExecutionMode::Parallel, 2, Some(2), false, 5),
        run("c-seq", ExecutionMode::Sequential, 4, None, false, 3),
        run("d-stop", ExecutionMode::Sequential, 4, None, true, 2),
    ]
}

/// What may happen, one thing after the other.
pub fn histories() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(event().prop_map(Step), 20..60)
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = || prop_oneof![4 => Just(ChunkState::Completed), 1 => Just(ChunkState::Split), 2 => Just(ChunkState::Discarded)];
    let run = || 0..runs().len();
    let worker = || 0..WORKERS;
    let grant = || 0..1000usize;
    prop_oneof![
        4 => (run(), 0..DAYS, 1..=DAYS, prop_oneof![4 => Just(1u32), 1 => 2..4u32], any::<bool>()).prop_map(
            |(run, from, count, generation, unproven)| {
                Event::Enqueue { run, from, to: (from + count).min(DAYS), generation, unproven }
            }
        ),
        12 => (worker(), any::<bool>()).prop_map(|(worker, short)| Event::Claim { worker, short }),
        2 => (worker(), any::<bool>()).prop_map(|(worker, short)| Event::SameAgain { worker, short }),
        1 => worker().prop_map(|worker| Event::LateCopy { worker }),
        4 => (grant(), outcome()).prop_map(|(grant, state)| Event::Report { grant, state }),
        4 => (grant(), outcome(), worker())
            .prop_map(|(grant, state, worker)| Event::ReportAndClaim { grant, state, worker }),
        1 => (run(), 0..DAYS, 1..3u32, outcome())
            .prop_map(|(run, n, generation, state)| Event::Proved { run, n, generation, state }),
        3 => (grant(), prop_oneof![3 => Just(true), 1 => Just(false)])
            .prop_map(|(grant, due)| Event::Fail { grant, due }),
        2 => grant().prop_map(|grant| Event::Release { grant }),
        1 => grant().prop_map(|grant| Event::Defer { grant }),
        3 => (grant(), any::<bool>()).prop_map(|(grant, short)| Event::Beat { grant, short }),
        1 => prop_oneof![8 => Just(None), 1 => run().prop_map(Some)]
            .prop_map(|run| run.map_or(Event::Wait, |run| Event::Cancel { run })),
        1 => Just(Event::Wait),
        // what is paused is mostly let go on, else the histories would stand still
        2 => (prop_oneof![1 => Just(None), 4 => run().prop_map(Some)], prop_oneof![1 => Just(true), 2 => Just(false)])
            .prop_map(|(what, paused)| Event::Pause { what, paused }),
    ]
}

/// A grant of the history, as both sides speak of it.
#[derive(Debug, Clone)]
struct Past {
    held: Held,
    key: Key,
    by: By,
}

struct Play {
    stage: Stage,
    model: Model,
    entries: Vec<RunEntry>,
    workers: Vec<Worker>,
    past: Vec<Past>,
    /// When the first short lease may end, and the last one has ended.
    short: Option<(Instant, Instant)>,
}

/// What did not agree; of no account where a short lease may have ended between.
type Told = Result<(), Broken>;

impl Promise {
    fn same<T: PartialEq + std::fmt::Debug>(self, got: &T, wanted: &T, what: impl std::fmt::Debug) -> Told {
        if got == wanted {
            return Ok(());
        }
        Err(Broken { promise: self, what: format!("{what:?}: got {got:?}, wanted {wanted:?}") })
    }
}

fn lease(short: bool) -> Duration {
    if short { SHORT } else { LONG }
}

impl Play {
    async fn new(stage: Stage) -> Self {
        let entries: Vec<RunEntry> = runs()
            .into_iter()
            .map(|run| RunEntry {
                mode: run.mode,
                width: run.width.map(|width| u32::try_from(width).unwrap()),
                stop_on_discard: run.stop_on_discard,
                ..stage.parallel(
                    run.name,
                    u32::try_from(run.parallel_workers).unwrap(),
                    u32::try_from(run.total).unwrap(),
                )
            })
            .collect();
        // the source is known and nobody holds a thing
        stage.queue.adopt(&stage.source).await.unwrap();
        let workers = (0..WORKERS).map(|n| Worker::new(&format!("w{n}"))).collect();
        Self { stage, model: Model::new(runs()), entries, workers, past: Vec::new(), short: None }
    }

    /// Lets short leases end while another worker is heard, then has it find that they have.
    async fn wait(&mut self) {
        let Some((_, ended)) = self.short.take() else { return };
        let mut bystander = Worker::new(&unique("bystander"));
        bystander.nonce = 0;
        self.stage.repeat(&bystander).await;
        tokio::time::sleep_until((ended + Duration::from_millis(20)).into()).await;
        self.stage.queue.hold(&self.stage.source, Duration::ZERO, "429").await.unwrap();
        self.stage.repeat(&bystander).await;
        self.model.wait();
    }

    fn lease_given(&mut self, short: bool, before: Instant) {
        if short {
            let first = self.short.map_or(before + SHORT, |(first, _)| first.min(before + SHORT));
            self.short = Some((first, Instant::now() + SHORT));
        }
    }

    fn past(&self, grant: usize) -> Option<Past> {
        (!self.past.is_empty()).then(|| self.past[grant % self.past.len()].clone())
    }

    fn agree(&mut self, got: Option<&Grant>, wanted: Option<&Granted>, by: By) -> Told {
        let seen = got.map(|grant| Granted {
            key: self.key(grant),
            generation: grant.generation,
            attempt: grant.by.attempt,
            discard: grant.discard.is_some(),
        });
        Promise::Grants.same(&seen.as_ref(), &wanted, by)?;
        if let Some(grant) = got {
            let held = held(grant);
            let key = self.key(grant);
            self.past.push(Past { held, key, by });
        }
        Ok(())
    }

    fn key(&self, grant: &Grant) -> Key {
        let run = self.entries.iter().position(|entry| entry.run == grant.chunk.run).unwrap();
        (run, (0..DAYS).find(|n| day(*n) == grant.chunk.range).unwrap())
    }

    async fn claim(&mut self, worker: usize, nonce: u64, short: bool, done: Option<&Fact>) -> Told {
        let asks = Worker { nonce, lease: lease(short), ..self.workers[worker].clone() };
        let before = Instant::now();
        let got = self.stage.ask(&asks, done).await;
        if got.is_some() {
            self.lease_given(short, before);
        }
        let by = By { worker, nonce };
        let wanted = self.model.claim(by, short);
        self.agree(got.as_ref(), wanted.as_ref(), by)
    }

    async fn new_claim(&mut self, worker: usize, short: bool, done: Option<&Fact>) -> Told {
        self.workers[worker].nonce += 1;
        self.claim(worker, self.workers[worker].nonce, short, done).await
    }

    async fn report(&mut self, key: Key, fact: &Fact, by: Option<By>, with_claim_of: Option<usize>) -> Told {
        let changed =
            self.model.report(key, fact.generation, fact.state, by, if by.is_some() { 10 } else { 0 });
        match with_claim_of {
            Some(worker) => self.new_claim(worker, false, Some(fact)).await,
            None => Promise::States.same(&self.stage.queue.report(fact).await.unwrap(), &changed, fact),
        }
    }

    async fn give_back(&mut self, grant: usize, how: GiveBack, retry: Option<bool>) -> Told {
        let Some(past) = self.past(grant) else { return Ok(()) };
        let wanted = self.model.give_back(past.key, past.held.generation, past.by, retry);
        Promise::Holders.same(&self.stage.queue.give_back(&past.held, &how).await.unwrap(), &wanted, past)
    }

    async fn beat(&mut self, grant: usize, short: bool) -> Told {
        let Some(past) = self.past(grant) else { return Ok(()) };
        let before = Instant::now();
        let beats = [(past.held.clone(), Tally { pages: 1, rows: 1, bytes: 1 })];
        let got = self.stage.queue.heartbeat(&beats, lease(short)).await.unwrap();
        let wanted = match self.model.beat(past.key, past.held.generation, past.by, short) {
            Beat::Ok => Pulse::Ok,
            Beat::Cancel => Pulse::Cancel,
            Beat::Lost => Pulse::Lost,
        };
        self.lease_given(short && wanted == Pulse::Ok, before);
        Promise::Holders.same(&got, &vec![wanted], past)
    }

    async fn enqueue(
        &mut self,
        run: usize,
        days: std::ops::Range<u32>,
        generation: u32,
        unproven: bool,
    ) -> Told {
        let chunks: Vec<ChunkEntry> =
            days.clone().map(|n| ChunkEntry { range: day(n), generation, unproven }).collect();
        let changed = self.stage.queue.enqueue(&self.entries[run], &chunks).await.unwrap();
        let entries: Vec<_> = days.map(|n| (n, generation, unproven)).collect();
        let wanted = self.model.enqueue(run, &entries);
        Promise::States.same(&(changed.added, changed.reopened), &wanted, entries)
    }

    async fn take(&mut self, step: &Event) -> Told {
        match *step {
            Event::Enqueue { run, from, to, generation, unproven } => {
                self.enqueue(run, from..to, generation, unproven).await
            }
            Event::Claim { worker, short } => self.new_claim(worker, short, None).await,
            Event::SameAgain { worker, short } => {
                self.claim(worker, self.workers[worker].nonce, short, None).await
            }
            Event::LateCopy { worker } => {
                self.claim(worker, self.workers[worker].nonce.saturating_sub(1), false, None).await
            }
            Event::Report { grant, state } => self.report_past(grant, state, None).await,
            Event::ReportAndClaim { grant, state, worker } => {
                self.report_past(grant, state, Some(worker)).await
            }
            Event::Proved { run, n, generation, state } => {
                let chunk = self.stage.chunk(&self.entries[run].run, n);
                let fact = Fact { chunk, generation, state, by: None, tally: Tally::default(), error: None };
                self.report((run, n), &fact, None, None).await
            }
            Event::Fail { grant, due } => {
                let how =
                    GiveBack::Retry { wait: lease(false) * u32::from(!due) * 60, error: "x".to_owned() };
                self.give_back(grant, how, Some(due)).await
            }
            Event::Release { grant } => self.give_back(grant, GiveBack::Release, None).await,
            Event::Defer { grant } => {
                self.give_back(grant, GiveBack::Defer { wait: Duration::ZERO, error: String::new() }, None)
                    .await
            }
            Event::Beat { grant, short } => self.beat(grant, short).await,
            Event::Cancel { run } => {
                self.stage.queue.cancel(&self.stage.source, &self.entries[run].run).await.unwrap();
                self.model.cancel(run);
                Ok(())
            }
            Event::Pause { what, paused } => {
                let run = what.map(|run| &self.entries[run].run);
                self.stage.queue.pause(&self.stage.source, run, paused).await.unwrap();
                self.model.pause(what, paused);
                Ok(())
            }
            Event::Wait => {
                self.wait().await;
                Ok(())
            }
        }
    }

    async fn report_past(&mut self, grant: usize, state: ChunkState, with_claim_of: Option<usize>) -> Told {
        let Some(past) = self.past(grant) else { return Ok(()) };
        let as_grant = granted(&past.held);
        self.report(past.key, &fact(&as_grant, state), Some(past.by), with_claim_of).await
    }

    /// Both sides know the same of every run.
    async fn compare(&self) -> Told {
        let states = Promise::States;
        for (run, entry) in self.entries.iter().enumerate() {
            let known = self.stage.queue.known(&entry.source, &entry.run).await.unwrap();
            let got: Vec<_> = known.iter().map(|(range, k)| (*range, k.state, k.generation)).collect();
            let of_run = self.model.chunks.iter().filter(|(key, _)| key.0 == run);
            let wanted: Vec<_> =
                of_run.map(|(key, chunk)| (day(key.1), chunk.state, chunk.generation)).collect();
            states.same(&got, &wanted, &entry.run)?;
            let mut counts: BTreeMap<ChunkState, u64> = BTreeMap::new();
            for (_, state, _) in wanted {
                *counts.entry(state).or_default() += 1;
            }
            let progress =
                self.stage.queue.progress(&entry.source, &entry.run).await.unwrap().unwrap_or_default();
            states.same(&progress.chunks, &counts, &entry.run)?;
            states.same(&progress.done.rows, &self.model.rows(run), &entry.run)?;
            let running = counts.get(&ChunkState::Running).copied().unwrap_or(0);
            states.same(&(progress.running.len() as u64), &running, &entry.run)?;
            let hints = self.stage.queue.hints(&entry.source, &entry.run, 0).await.unwrap();
            let wanted: Vec<_> = self.model.hints.get(&run).into_iter().flatten().map(|n| day(*n)).collect();
            states.same(&hints, &wanted, &entry.run)?;
        }
        Ok(())
    }
}

/// Plays a history on that stage.
///
/// # Errors
/// What did not agree, and at which step.
pub async fn play(stage: Stage, steps: &[Step]) -> Result<(), Broken> {
    let mut play = Play::new(stage).await;
    for (at, Step(step)) in steps.iter().enumerate() {
        if play.short.is_some_and(|(first, _)| Instant::now() + SHORT / 2 > first) {
            play.wait().await;
        }
        let must_end_before = play.short.map(|(first, _)| first);
        let told = match play.take(step).await {
            Ok(()) => play.compare().await,
            Err(differs) => Err(differs),
        };
        let slow =
            !matches!(step, Event::Wait) && must_end_before.is_some_and(|first| Instant::now() > first);
        if slow {
            return Ok(());
        }
        told.map_err(|broken| Broken { what: format!("step {at}: {}", broken.what), ..broken })?;
    }
    Ok(())
}

/// Plays so many histories by lot there; answers what the first one that does not agree has shown.
pub async fn search(url: &str, prefix: &str, seed: u64, histories_at_most: u32) -> Option<Broken> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    for _ in 0..histories_at_most {
        let steps = histories().new_tree(&mut runner).unwrap().current();
        if let Err(broken) = play(Stage::at(url, prefix).await, &steps).await {
            return Some(broken);
        }
    }
    None
}
