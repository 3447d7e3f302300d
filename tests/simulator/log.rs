//! Who asked for what, when, and how many asked at once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};

/// The oldest requests are forgotten beyond so many.
const KEPT: usize = 200_000;

/// One request to an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query as it came.
    pub query: String,
    /// The source.
    pub source: String,
    /// When it came, in milliseconds since the simulator started.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The answer's status; 0 when the caller went away or was hung up on.
    pub status: u16,
}

/// All requests so far.
pub(crate) struct Log {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    in_flight: BTreeMap<String, (u64, u64)>,
}

/// One request under way; it is written down when this is dropped.
pub(crate) struct Entry<'a> {
    log: &'a Log,
    came: Instant,
    request: Request,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), state: Mutex::default() }
    }

    /// Notes that a request came.
    pub(crate) fn enter(&self, source: &str, method: &str, path: &str, query: &str) -> Entry<'_> {
        self.locked(|state| {
            let (now, most) = state.in_flight.entry(source.to_owned()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        });
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            source: source.to_owned(),
            at_ms: millis(self.started),
            ms: 0,
            status: 0,
        };
        Entry { log: self, came: Instant::now(), request }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.locked(|state| state.requests.iter().cloned().collect())
    }

    /// The most requests of a source at once, or of any source when none is named.
    pub(crate) fn max_in_flight(&self, source: Option<&str>) -> u64 {
        self.locked(|state| match source {
            Some(source) => state.in_flight.get(source).map_or(0, |(_, most)| *most),
            None => state.in_flight.values().map(|(_, most)| *most).max().unwrap_or(0),
        })
    }

    /// Forgets requests and maxima; what is under way stays counted.
    pub(crate) fn clear(&self) {
        self.locked(|state| {
            state.requests.clear();
            state.in_flight.values_mut().for_each(|(now, most)| *most = *now);
        });
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entry<'_> {
    /// Notes the answer's status.
    pub(crate) fn answered(&mut self, status: u16) {
        self.request.status = status;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.request.ms = millis(self.came);
        let request = self.request.clone();
        self.log.locked(|state| {
            if let Some((now, _)) = state.in_flight.get_mut(&request.source) {
                *now -= 1;
            }
            if state.requests.len() == KEPT {
                state.requests.pop_front();
            }
            state.requests.push_back(request);
        });
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
