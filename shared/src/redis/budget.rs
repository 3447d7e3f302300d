//! The door to budgets: how often a source may be asked, by the whole fleet.
//!
//! A worker takes a time slot for each request, by the server's clock. A budget that Redis has lost, or never knew,
//! grants its first slot a quarter of a second later, without a burst: the time of whatever was granted before has come.

use std::time::Duration;

use redis::Value;

use super::{
    Redis, RedisError,
    keys::BUDGET_LIBRARY,
    wire::{self, Push as _},
};
use crate::config::spec::budget::{Budget, BudgetKey};

/// What one that wants to send a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSlot {
    /// Send it after this time.
    In(Duration),
    /// Ask again after this time.
    Later {
        /// How long.
        wait: Duration,
        /// The source itself asked for it.
        held: bool,
    },
}

/// The door to budgets. Cheap to clone.
#[derive(Clone)]
pub struct Budgets {
    pub(super) redis: Redis,
}

impl Budgets {
    /// Takes a slot for one request. A repeated call takes another: what is not used is lost, never used twice.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take(&self, budget: &Budget) -> Result<TimeSlot, RedisError> {
        let mut call = self.function("take", &budget.key);
        call.push(budget.rate.interval().as_micros()).push(budget.burst);
        let answer = self.redis.connection.function(&BUDGET_LIBRARY, &call).await?;
        let [told, wait] = wire::items(answer)?;
        let wait = Duration::from_micros(wire::number(&wait)?);
        match wire::number::<i64>(&told)? {
            1 => Ok(TimeSlot::In(wait)),
            0 => Ok(TimeSlot::Later { wait, held: false }),
            -1 => Ok(TimeSlot::Later { wait, held: true }),
            _ => Err(wire::unexpected("a slot", &told)),
        }
    }

    /// Grants no slot for so long: the source asked one of us to leave it alone.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hold(&self, key: &BudgetKey, wait: Duration) -> Result<(), RedisError> {
        let mut call = self.function("hold", key);
        call.push(wait.as_micros().max(1));
        self.redis.connection.function(&BUDGET_LIBRARY, &call).await.map(|_: Value| ())
    }

    /// Grants slots again although the source asked to be left alone.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lift(&self, key: &BudgetKey) -> Result<(), RedisError> {
        let call = self.function("lift", key);
        self.redis.connection.function(&BUDGET_LIBRARY, &call).await.map(|_: Value| ())
    }

    fn function(&self, door: &str, key: &BudgetKey) -> redis::Cmd {
        let mut cmd = redis::cmd("FCALL");
        cmd.arg(BUDGET_LIBRARY.function(door)).arg(1).arg(self.redis.connection.keys.budget(key));
        cmd
    }
}
