//! No request leaves without a time slot of its source's budget, whichever worker sends it.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::{ApiSpec, budget::Budget},
    guard::Guard,
    redis::budget::{Budgets, Slot},
    retry::Backoff,
};
use tokio::time::sleep;

use super::{patience::LONGEST_IN_PLACE, request::Failure};
use crate::extract::Excuse;

/// A slot that was missed by more is lost: those of others may have come meanwhile.
const LATE: Duration = Duration::from_millis(250);
/// Those that are told to come back do not come in step.
const JITTER_MILLIS: u64 = 50;
/// Waits for a Redis that is away.
const KNOCK: Backoff = Backoff { base: Duration::from_millis(200), ceiling: Duration::from_secs(3) };

/// A source's budget, and who hands it out.
pub(super) struct Allowance {
    budgets: Budgets,
    budget: Budget,
}

impl Allowance {
    /// Nothing where the source has no budget, or nobody hands one out: a probe asks once, by somebody's hand.
    pub(super) fn of(spec: &ApiSpec, budgets: Option<&Budgets>) -> Option<Self> {
        let budget = spec.budget.clone().filter(|_| Guard::Budget.stands())?;
        Some(Self { budgets: budgets?.clone(), budget })
    }

    /// Waits until a request may leave. A chunk that has `begun` waits on, however slow the rate is: begun anew, it would
    /// never end.
    pub(super) async fn wait(&self, begun: bool) -> Result<(), Failure> {
        let mut away = 0;
        loop {
            let asked = Instant::now();
            let wait = match self.budgets.take(&self.budget).await {
                Ok(Slot::In(wait)) => {
                    sleep(wait).await;
                    if asked.elapsed() <= wait + LATE {
                        return Ok(());
                    }
                    continue;
                }
                Ok(Slot::Later { wait, held }) if wait > LONGEST_IN_PLACE && (held || !begun) => {
                    let Budget { key, rate, .. } = &self.budget;
                    let why = if held { "its source asked for patience" } else { "it is used up" };
                    let message = format!(
                        "the budget `{key}` ({rate}): {why}; the next request in {} s",
                        wait.as_secs()
                    );
                    return Err(Failure::Excused(Excuse::Patience(wait), message));
                }
                Ok(Slot::Later { wait, .. }) => wait + Duration::from_millis(fastrand::u64(..JITTER_MILLIS)),
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

    /// Keeps all workers from asking for so long.
    pub(super) async fn hold(&self, wait: Duration) {
        if let Err(error) = self.budgets.hold(&self.budget.key, wait).await {
            // this worker waits all the same, and the others are told as they ask
            tracing::debug!(key = %self.budget.key, %error, "the budget is not held");
        }
    }
}
