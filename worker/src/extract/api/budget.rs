//! No request leaves without a time slot of its source's budget, whichever worker sends it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nstore_shared::{
    config::spec::{ApiSpec, budget::Budget},
    guard::Guard,
    redis::budget::{Budgets, TimeSlot},
    retry::KNOCK,
};
use tokio::time::sleep;

use super::{patience::LONGEST_IN_PLACE, request::Failure};
use crate::extract::Excuse;

/// A slot that was missed by more is lost: those of others may have come meanwhile.
const LATE: Duration = Duration::from_millis(100);
/// Slots that are missed in a row before the host is too slow.
const MISSES: u32 = 10;
/// Those that are told to come back do not come in step.
const JITTER_MILLIS: u64 = 50;

/// A source's budget, who hands it out, and what one extraction has had of it.
pub(super) struct Allowance {
    budgets: Budgets,
    budget: Budget,
    waited: Mutex<Waited>,
}

#[derive(Default)]
struct Waited {
    /// In all, but for the wait that goes on.
    sum: Duration,
    /// Since when one goes on.
    since: Option<Instant>,
    /// There was a slot before.
    begun: bool,
}

impl Allowance {
    /// Nothing where the source has no budget, or nobody hands one out: a probe asks once, by somebody's hand.
    pub(super) fn of(spec: &ApiSpec, budgets: Option<&Budgets>) -> Option<Self> {
        let budget = spec.budget.clone().filter(|_| Guard::Budget.stands())?;
        Some(Self { budgets: budgets?.clone(), budget, waited: Mutex::default() })
    }

    /// Waits until a request may leave.
    pub(super) async fn wait(&self) -> Result<(), Failure> {
        let asked = Instant::now();
        self.locked().since = Some(asked);
        let ended = self.slot(asked).await;
        let mut waited = self.locked();
        waited.since = None;
        waited.sum += asked.elapsed();
        waited.begun |= ended.is_ok();
        ended
    }

    /// How long requests have waited so far.
    pub(super) fn waited(&self) -> Duration {
        let waited = self.locked();
        waited.sum + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits for a slot, and until its time has come.
    async fn slot(&self, since: Instant) -> Result<(), Failure> {
        let (mut misses, mut away) = (0, 0);
        loop {
            let asked = Instant::now();
            let wait = match self.budgets.take(&self.budget).await {
                Ok(TimeSlot::In(wait)) => {
                    sleep(wait).await;
                    let late = asked.elapsed().saturating_sub(wait);
                    if late <= LATE {
                        return Ok(());
                    }
                    misses += 1;
                    if misses == MISSES {
                        let message = format!(
                            "{MISSES} times in a row a time slot of the budget `{}` was missed, the last one by \
                             {} ms: redis is far away, or this host has too much to do",
                            self.budget.key,
                            late.as_millis()
                        );
                        return Err(Failure::Excused(Excuse::Host, message));
                    }
                    KNOCK.wait(misses, fastrand::f64())
                }
                Ok(TimeSlot::Later { wait, held }) => {
                    self.gives_back(since, wait, held)?;
                    wait + Duration::from_millis(fastrand::u64(..JITTER_MILLIS))
                }
                // never unlimited
                Err(error) if error.may_pass() => {
                    away += 1;
                    KNOCK.wait(away, 0.5 + fastrand::f64() / 2.0)
                }
                Err(error) => return Err(Failure::Excused(Excuse::Host, error.to_string())),
            };
            sleep(wait).await;
        }
    }

    /// Long waits give a chunk back that has not begun. One that has waits on, however slow the rate is: begun anew, it
    /// would never end; unless the source itself asked for it.
    fn gives_back(&self, since: Instant, wait: Duration, held: bool) -> Result<(), Failure> {
        let long = if held { wait } else { since.elapsed() + wait };
        if long <= LONGEST_IN_PLACE || self.locked().begun && !held {
            return Ok(());
        }
        let Budget { key, rate, .. } = &self.budget;
        let (why, wait) = if held {
            ("its source asked for patience", wait)
        } else {
            // not longer, as the rate may be another one soon
            ("it is used up", wait.min(LONGEST_IN_PLACE))
        };
        let message =
            format!("the budget `{key}` ({rate}): {why}; to be asked again in {} s", wait.as_secs());
        Err(Failure::Excused(Excuse::Patience(wait), message))
    }

    /// Keeps all workers from asking for so long.
    pub(super) async fn hold(&self, wait: Duration) {
        if let Err(error) = self.budgets.hold(&self.budget.key, wait).await {
            // this worker waits all the same, and the others are told as they ask
            tracing::debug!(key = %self.budget.key, %error, "the budget is not held");
        }
    }

    fn locked(&self) -> MutexGuard<'_, Waited> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
