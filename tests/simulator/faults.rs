//! Faults on demand: the next so many requests to a source go wrong in a chosen way.

use std::{ops::Range, sync::Mutex, time::Duration};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    calendar::{DAY_MS, midnight},
    rows::Api,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429 with `Retry-After`.
    RateLimit,
    /// A 5xx.
    ErrorBurst,
    /// The right answer, late.
    Slow,
    /// The connection breaks in the middle of the body.
    HalfBody,
    /// 200 with a page for people.
    Html,
    /// 200 with JSON that ends too early.
    BadJson,
    /// 401.
    Auth,
    /// A field of the first record has a wrong type.
    Drift,
    /// No answer, ever.
    Hang,
    /// The connection breaks before any answer.
    Abort,
}

/// An order for faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The source whose requests fail.
    pub source: String,
    /// How.
    pub kind: FaultKind,
    /// How many requests; 1 unless said.
    #[serde(default = "one")]
    pub count: u32,
    /// How many requests go well before that.
    #[serde(default)]
    pub skip: u32,
    /// The status, instead of 429, 500 or 401.
    #[serde(default)]
    pub status: Option<u16>,
    /// `Retry-After` in seconds, or whatever text is given; a rate limit says 1 unless told.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// How long the answer waits.
    #[serde(default)]
    pub delay_ms: u64,
    /// Only requests whose window touches this day.
    #[serde(default)]
    pub day: Option<NaiveDate>,
}

const fn one() -> u32 {
    1
}

impl Fault {
    /// The next request of a source.
    pub fn new(source: &str, kind: FaultKind) -> Self {
        let source = source.to_owned();
        Self { source, kind, count: 1, skip: 0, status: None, retry_after: None, delay_ms: 0, day: None }
    }

    /// The next so many.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// Only requests whose window touches this day.
    #[must_use]
    pub fn on(self, day: NaiveDate) -> Self {
        Self { day: Some(day), ..self }
    }

    /// Lets so many requests pass before.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// How long to wait first.
    pub(crate) fn delay(&self) -> Duration {
        let hang = if self.kind == FaultKind::Hang { 86_400_000 } else { 0 };
        Duration::from_millis(self.delay_ms.max(hang))
    }

    fn meets(&self, api: Api, window: &Range<i64>) -> bool {
        let day =
            self.day.is_none_or(|day| window.start < midnight(day) + DAY_MS && midnight(day) < window.end);
        self.count > 0 && self.source == api.name() && day
    }
}

/// The faults that are still to come.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.locked(|faults| faults.push(fault));
    }

    pub(crate) fn clear(&self) {
        self.locked(Vec::clear);
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.locked(|faults| faults.iter().filter(|fault| fault.count > 0).cloned().collect())
    }

    /// The fault of this request, used up by it.
    pub(crate) fn take(&self, api: Api, window: &Range<i64>) -> Option<Fault> {
        self.locked(|faults| {
            let fault = faults.iter_mut().find(|fault| fault.meets(api, window))?;
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            fault.count -= 1;
            Some(fault.clone())
        })
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
