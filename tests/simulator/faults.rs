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
    /// The body goes on for ever, with blanks.
    Endless,
    /// 200 with a page for people.
    Html,
    /// 200 with JSON that ends too early.
    BadJson,
    /// 401.
    Auth,
    /// A field of the first record has a wrong type.
    Drift,
    /// No answer, ever; at the portal: the page's script loops for ever after Apply.
    Hang,
    /// The connection breaks before any answer.
    Abort,
    /// At the login: asks which account first.
    AccountPicker,
    /// At the login: asks whether to stay signed in.
    StaySignedIn,
    /// At the login: asks for a second factor, which nobody has.
    Mfa,
    /// At the login: asks to register a second factor.
    MoreInformation,
    /// The server forgets the session before it answers the report or a query.
    SessionExpired,
    /// The report's frame never mounts on that load.
    NoFrame,
    /// The report's frame comes from another origin.
    ForeignFrame,
    /// An alert pops up when the report loads.
    Dialog,
    /// The two slicers stand in the other order.
    SlicersSwapped,
    /// Apply closes the pop-up and applies nothing.
    FilterLost,
    /// After Apply the page allocates until its tab dies.
    Oom,
    /// `aria-rowcount` is -1.
    WrongRowcount,
    /// `aria-rowcount` grows while the grid is scrolled.
    GrowingRowcount,
    /// The page asks for a card's total in the same request.
    SeveralQueries,
    /// A query is answered 200 with an `odata.error`.
    OdataError,
    /// A query is answered 403.
    NoResponse,
    /// A query's answer is cut and says how to ask for the rest.
    Restart,
    /// The menu has no item for exports.
    NoExport,
    /// An export has a header alone.
    HeaderOnly,
    /// An export is a page that says what went wrong.
    ExportHtml,
    /// An export pauses in the middle.
    SlowDownload,
}

/// The kinds that an API knows.
pub(crate) const OF_APIS: &[FaultKind] = &[
    FaultKind::RateLimit,
    FaultKind::ErrorBurst,
    FaultKind::Slow,
    FaultKind::HalfBody,
    FaultKind::Endless,
    FaultKind::Html,
    FaultKind::BadJson,
    FaultKind::Auth,
    FaultKind::Drift,
    FaultKind::Hang,
    FaultKind::Abort,
];

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

    fn meets(&self, api: Api, kinds: &[FaultKind], window: Option<&Range<i64>>) -> bool {
        let touches = |day| {
            window.is_some_and(|window| window.start < midnight(day) + DAY_MS && midnight(day) < window.end)
        };
        self.count > 0
            && self.source == api.name()
            && kinds.contains(&self.kind)
            && self.day.is_none_or(touches)
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

    /// The fault of this request, of one of these kinds, used up by it. One that waits for a day comes with a window
    /// alone.
    pub(crate) fn take(&self, api: Api, kinds: &[FaultKind], window: Option<&Range<i64>>) -> Option<Fault> {
        self.locked(|faults| {
            let fault = faults.iter_mut().find(|fault| fault.meets(api, kinds, window))?;
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
