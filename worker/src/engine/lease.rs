//! The leases that this process holds, each with its own deadline, and the gate that work passes through.
//!
//! Past its deadline a lease may belong to someone else: work on it pauses until a heartbeat says whether it
//! still stands. Deadlines are counted from before the call that won them, on the monotonic clock.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Instant,
};

use nstore_shared::{
    guard::Guard,
    redis::queue::{Held, Tally},
};
use tokio::{sync::watch, time::sleep_until};

/// How a lease came to its end before its work did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The run is cancelled.
    Cancelled,
    /// Someone else holds the chunk, or it has ended.
    Lost,
    /// This worker's grace time is over.
    Halted,
}

/// What is known of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Held { until: Instant },
    Ended(Ended),
}

impl Word {
    /// The lease stands, as far as this process knows.
    fn stands(self) -> bool {
        match self {
            Self::Held { until } => Instant::now() < until || !Guard::SelfFence.stands(),
            Self::Ended(_) => false,
        }
    }
}

/// All leases of the process; the heart speaks for them.
#[derive(Default)]
pub(super) struct Leases(Mutex<BTreeMap<(String, u64), Entry>>);

struct Entry {
    held: Held,
    tally: Arc<Mutex<Tally>>,
    word: watch::Sender<Word>,
}

impl Entry {
    /// An end stays an end.
    fn tell(&self, word: Word) {
        self.word.send_if_modified(|now| {
            let open = matches!(now, Word::Held { .. });
            if open {
                *now = word;
            }
            open
        });
    }
}

impl Leases {
    /// Takes up a grant whose lease lasts until `until` at least.
    pub(super) fn hold(self: &Arc<Self>, held: Held, until: Instant) -> Lease {
        let (sender, word) = watch::channel(Word::Held { until });
        let tally = Arc::<Mutex<Tally>>::default();
        let entry = Entry { held: held.clone(), tally: tally.clone(), word: sender };
        self.entries().insert(key(&held), entry);
        Lease { leases: self.clone(), held, word, tally }
    }

    /// What the next heartbeat says.
    pub(super) fn beats(&self) -> Vec<(Held, Tally)> {
        let told = |entry: &Entry| (entry.held.clone(), *locked(&entry.tally));
        self.entries().values().map(told).collect()
    }

    /// A heartbeat renewed the lease.
    pub(super) fn renew(&self, held: &Held, until: Instant) {
        self.tell(held, Word::Held { until });
    }

    /// A heartbeat ended the lease.
    pub(super) fn end(&self, held: &Held, how: Ended) {
        self.tell(held, Word::Ended(how));
    }

    /// The grace time is over for all that is in hand.
    pub(super) fn halt(&self) {
        for entry in self.entries().values() {
            entry.tell(Word::Ended(Ended::Halted));
        }
    }

    fn tell(&self, held: &Held, word: Word) {
        if let Some(entry) = self.entries().get(&key(held)) {
            entry.tell(word);
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u64), Entry>> {
        locked(&self.0)
    }
}

fn key(held: &Held) -> (String, u64) {
    (held.by.worker.to_string(), held.by.nonce)
}

fn locked<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One lease in hand; heartbeats renew it until it is dropped.
pub(super) struct Lease {
    leases: Arc<Leases>,
    held: Held,
    word: watch::Receiver<Word>,
    tally: Arc<Mutex<Tally>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.entries().remove(&key(&self.held));
    }
}

impl Lease {
    /// What is leased.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// What heartbeats tell of its progress.
    pub(super) fn progress(&self, tally: Tally) {
        *locked(&self.tally) = tally;
    }

    /// The gate as others may carry it.
    pub(super) fn gate(&self) -> Gate {
        Gate(self.word.clone())
    }
}

/// Lets work pass while a lease stands.
#[derive(Clone)]
pub(super) struct Gate(watch::Receiver<Word>);

impl Gate {
    /// Passes while the lease stands; waits while that is not known.
    ///
    /// # Errors
    /// How the lease ended.
    pub(super) async fn pass(&mut self) -> Result<(), Ended> {
        loop {
            let word = *self.0.borrow_and_update();
            match word {
                _ if word.stands() => return Ok(()),
                Word::Held { .. } => {}
                Word::Ended(how) => return Err(how),
            }
            if self.0.changed().await.is_err() {
                return Err(Ended::Lost);
            }
        }
    }

    /// Runs `work` while the lease stands: not polled past the deadline, dropped at the lease's end.
    ///
    /// # Errors
    /// How the lease ended.
    pub(super) async fn through<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        loop {
            self.pass().await?;
            let word = self.0.clone();
            // after a stand-still what the work waited for may be there before a timer tells how late it is
            let done = poll_fn(|context| {
                let stands = word.borrow().stands();
                if stands { work.as_mut().poll(context) } else { Poll::Pending }
            });
            tokio::select! {
                biased;
                () = self.shut() => {}
                done = done => return Ok(done),
            }
        }
    }

    /// Resolves when what [`Gate::pass`] said may hold no more.
    async fn shut(&mut self) {
        let until = match *self.0.borrow() {
            Word::Held { until } => until,
            Word::Ended(_) => return,
        };
        tokio::select! {
            _ = self.0.changed() => {}
            () = sleep_until(until.into()), if Guard::SelfFence.stands() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nstore_shared::{chunk::Chunk, storage::marker::GrantRef};

    use super::*;

    fn held(nonce: u64) -> Held {
        Held {
            chunk: Chunk {
                source: "s".parse().unwrap(),
                run: "r".parse().unwrap(),
                range: "2025-08-01_2025-08-02".parse().unwrap(),
            },
            generation: 1,
            by: GrantRef { worker: "w-s0".parse().unwrap(), nonce, attempt: 1 },
        }
    }

    #[tokio::test]
    async fn past_the_deadline_work_waits_for_a_heartbeat() {
        let leases = Arc::<Leases>::default();
        let lease = leases.hold(held(1), Instant::now() + Duration::from_millis(40));
        let mut gate = lease.gate();
        gate.pass().await.unwrap();
        let steps = Arc::new(Mutex::new(0));
        let counted = steps.clone();
        let work = tokio::spawn(async move {
            let steps = async {
                for _ in 0..4 {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    *locked(&counted) += 1;
                }
            };
            gate.through(steps).await
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(*locked(&steps) < 2, "nothing moves while it is not known whose chunk it is");
        leases.renew(&held(1), Instant::now() + Duration::from_secs(60));
        assert_eq!(work.await.unwrap(), Ok(()));
        assert_eq!(*locked(&steps), 4);
    }

    #[tokio::test]
    async fn what_comes_while_the_process_stands_still_waits_for_a_heartbeat_too() {
        let leases = Arc::<Leases>::default();
        let lease = leases.hold(held(1), Instant::now() + Duration::from_millis(40));
        let polls = Mutex::new(0);
        let work = poll_fn(|context| {
            let mut polls = locked(&polls);
            *polls += 1;
            if *polls > 1 {
                return Poll::Ready(());
            }
            // no timer is looked at meanwhile, and the work can go on at once
            std::thread::sleep(Duration::from_millis(80));
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let mut gate = lease.gate();
        let ended = tokio::time::timeout(Duration::from_millis(200), gate.through(work)).await;
        assert!(ended.is_err(), "nobody said that the lease still stands");
        assert_eq!(*locked(&polls), 1);
    }

    #[tokio::test]
    async fn an_end_reaches_the_work_and_stays() {
        let leases = Arc::<Leases>::default();
        let lease = leases.hold(held(1), Instant::now() + Duration::from_secs(60));
        let mut gate = lease.gate();
        leases.end(&held(2), Ended::Lost);
        gate.pass().await.unwrap();
        leases.end(&held(1), Ended::Cancelled);
        leases.renew(&held(1), Instant::now() + Duration::from_secs(60));
        assert_eq!(gate.through(std::future::pending::<()>()).await, Err(Ended::Cancelled));
        assert_eq!(leases.beats().len(), 1);
        drop(lease);
        assert_eq!(leases.beats(), []);
    }
}
