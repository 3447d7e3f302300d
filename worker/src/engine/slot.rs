//! One claim loop: goes round the open sources, claims, has the grant executed, reports with the next claim.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::{Kind, SourceId, WorkerId},
    redis::queue::{Claim, Claimant, Fact, GiveBack, Grant, Held},
    retry::Backoff,
};
use tokio::sync::watch;

use super::{
    bench::Bench,
    executor::{Done, Fault, execute},
    open::Open,
    rota::{LONGEST, Next, Rota},
    stop::Stop,
};

/// How long a source is left alone after storage or this host failed on it, growing.
const FAULT_WAIT: Backoff = Backoff { base: Duration::from_secs(2), ceiling: Duration::from_secs(15) };
/// The wait while the disk has no room.
const SPACE_WAIT: Duration = Duration::from_secs(2);
/// How long calls go on after the end was asked for: a claim whose answer was lost may have been granted.
pub(super) const LAST_CALLS: Duration = Duration::from_secs(2);

/// One claim loop.
pub(super) struct Slot {
    bench: Arc<Bench>,
    id: WorkerId,
    kind: Kind,
    open: watch::Receiver<Vec<Open>>,
    stop: Stop,
    rota: Rota,
    nonce: u64,
    /// It found nothing to do since its last chunk.
    idle: bool,
    /// What the last chunk came to, told with the next claim.
    fact: Option<Fact>,
    /// Faults in a row that no chunk is to blame for.
    faults: u32,
}

impl Slot {
    /// A loop under its own worker id.
    pub(super) fn new(
        bench: Arc<Bench>,
        id: WorkerId,
        kind: Kind,
        open: watch::Receiver<Vec<Open>>,
        stop: Stop,
    ) -> Self {
        Self {
            bench,
            id,
            kind,
            open,
            stop,
            rota: Rota::default(),
            nonce: 0,
            idle: true,
            fact: None,
            faults: 0,
        }
    }

    /// Works until the worker drains.
    pub(super) async fn run(mut self) {
        while !self.stop.is_draining() {
            if !self.bench.has_room() {
                self.tell_fact().await;
                self.stop.sleep(SPACE_WAIT).await;
                continue;
            }
            let open = self.bench.able(&self.open.borrow_and_update());
            self.rota.refresh(&open);
            match self.rota.next(Instant::now()) {
                Next::Ask(source) => self.ask(&source).await,
                Next::Sleep(wait) => {
                    self.idle = true;
                    self.tell_fact().await;
                    tokio::select! {
                        _ = self.stop.sleep(wait) => {}
                        changed = self.open.changed() => if changed.is_err() { return },
                        heard = self.bench.stir.heard() => self.rota.stir(heard.as_ref()),
                    }
                }
            }
        }
        self.tell_fact().await;
    }

    /// Asks a source for a chunk and works it off.
    async fn ask(&mut self, source: &SourceId) {
        if self.fact.as_ref().is_some_and(|fact| fact.chunk.source != *source) {
            self.tell_fact().await;
        }
        self.nonce += 1;
        let claimant = Claimant { worker: self.id.clone(), nonce: self.nonce, lease: self.bench.lease };
        let (bench, done) = (self.bench.clone(), self.fact.take());
        // the lease counts from here, however often the call is repeated
        let sent = Instant::now();
        let until = after(self.stop.draining());
        let answer = bench.redis.insist(until, || bench.queue.claim(source, &claimant, done.as_ref())).await;
        match answer {
            Some(Claim::Granted(grant)) => {
                self.rota.granted(source, Instant::now());
                // only the first chunk after a rest is news
                if std::mem::take(&mut self.idle) {
                    bench.stir.pass_on(source);
                }
                self.work(grant, sent + self.bench.lease).await;
            }
            Some(Claim::Empty { ask_again, closed }) => {
                if closed {
                    bench.redis.once(bench.queue.close(self.kind, source)).await;
                }
                self.rota.empty(source, Instant::now(), apart(ask_again));
            }
            None => {
                // the end, or an answer that makes no sense: the fact may not have arrived, and may be repeated
                self.fact = done;
                self.rota.empty(source, Instant::now(), Duration::MAX);
            }
        }
    }

    async fn work(&mut self, grant: Grant, until: Instant) {
        let held = Held { chunk: grant.chunk.clone(), generation: grant.generation, by: grant.by.clone() };
        if self.stop.is_draining() {
            return self.give_back(&held, GiveBack::Release).await;
        }
        tell!(info, &grant, attempts = grant.attempts, "claimed");
        let (began, lease) = (Instant::now(), self.bench.leases.hold(held, until));
        match execute(&self.bench, &grant, &lease).await {
            Ok(done) => {
                self.bench.stored.worked(began);
                self.faults = 0;
                match done {
                    Done::Fact(fact) => self.fact = Some(fact),
                    // heartbeats go on until the queue has it back
                    Done::Back(how) => self.give_back(lease.held(), how).await,
                    Done::Silence => {}
                }
            }
            Err(fault) => {
                self.faults += 1;
                let how = match fault {
                    Fault::Storage(error) if error.is_unreadable() => self.bench.refuse(&error),
                    Fault::Host(error) => {
                        tell!(warn, &grant, error, "left to other workers: this host cannot do it now");
                        GiveBack::Refuse { error }
                    }
                    fault => {
                        self.bench.stored.failed(&fault);
                        GiveBack::Release
                    }
                };
                self.give_back(lease.held(), how).await;
                let wait = FAULT_WAIT.wait(self.faults, fastrand::f64());
                self.rota.avoid(&grant.chunk.source, Instant::now(), wait);
            }
        }
    }

    async fn give_back(&self, held: &Held, how: GiveBack) {
        let (queue, until) = (&self.bench.queue, after(self.stop.halted()));
        self.bench.redis.insist(until, || queue.give_back(held, &how)).await;
    }

    /// Reports the last chunk's outcome by itself, where no claim of its source follows at once.
    async fn tell_fact(&mut self) {
        if let Some(fact) = self.fact.take() {
            let (queue, until) = (&self.bench.queue, after(self.stop.halted()));
            self.bench.redis.insist(until, || queue.report(&fact)).await;
        }
    }
}

/// Where nothing tells when there is work, idle loops ask at different times: the first to find some wakes the others.
fn apart(wait: Duration) -> Duration {
    if wait < LONGEST { wait } else { LONGEST.mul_f64(0.5 + fastrand::f64() / 2.0) }
}

/// Resolves a moment after the given step of the end.
async fn after(step: impl Future<Output = ()>) {
    step.await;
    tokio::time::sleep(LAST_CALLS).await;
}
