//! How a worker ends: first no new claims, then, when the grace time is over, nothing at all.

use std::time::Duration;

use tokio::sync::watch;

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Work,
    Drain,
    Halt,
}

/// Ends the worker.
pub(super) struct Stopper(watch::Sender<Phase>);

/// Tells parts of the worker how far its end is.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<Phase>);

/// The two ends of it.
pub(super) fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(Phase::Work);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// No new claims from now on.
    pub(super) fn drain(&self) {
        self.0.send_replace(Phase::Drain);
    }

    /// Work in hand is given back.
    pub(super) fn halt(&self) {
        self.0.send_replace(Phase::Halt);
    }
}

impl Stop {
    /// Whether no new work is to be taken.
    pub(super) fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Drain
    }

    /// Resolves once no new work is to be taken.
    pub(super) async fn draining(&self) {
        self.reached(Phase::Drain).await;
    }

    /// Resolves once work in hand is to be given back.
    pub(super) async fn halted(&self) {
        self.reached(Phase::Halt).await;
    }

    async fn reached(&self, phase: Phase) {
        // a sender that is gone is an end as well
        drop(self.0.clone().wait_for(|now| *now >= phase).await);
    }

    /// Sleeps; false when no new work is to be taken any more.
    pub(super) async fn sleep(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.draining() => false,
        }
    }
}
