//! A service that is away: one log line when it goes and one when it is back, however many loops meet it, and however
//! often it answers one call and fails the next, as a Redis does that has no memory left.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nstore_shared::{redis::RedisError, retry::KNOCK};
use tracing::{info, warn};

/// Answers that make no sense are logged so often at most.
const ODD_EVERY: Duration = Duration::from_secs(60);

/// A service is back when it has failed no more for so long; that is longer than the longest wait between two calls.
const CALM: Duration = Duration::from_secs(4);

/// What is known of one service.
pub(super) struct Outage {
    /// What is logged when it goes, and when it is back.
    words: (&'static str, &'static str),
    state: Mutex<State>,
    /// When an answer made no sense last.
    odd: Mutex<Option<Instant>>,
    /// That the service belongs to a newer nstore was said.
    newer: AtomicBool,
}

#[derive(Default)]
struct State {
    /// When it failed last, if that was the last that was heard of it.
    failed: Option<Instant>,
    /// What was logged to have gone: when, and when it failed last.
    gone: Option<(Instant, Instant)>,
}

impl Outage {
    /// Nothing is wrong yet; `words` are logged when it goes, and when it is back.
    pub(super) fn new(gone: &'static str, back: &'static str) -> Self {
        Self {
            words: (gone, back),
            state: Mutex::default(),
            odd: Mutex::new(None),
            newer: AtomicBool::new(false),
        }
    }

    /// Notes a call that began at `began` and failed; the first of a row is logged.
    pub(super) fn failed(&self, why: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.gone.is_none() {
            warn!(error = %why, "{}", self.words.0);
        }
        state.failed = Some(now);
        state.gone = Some((state.gone.map_or(now, |(since, _)| since), now));
    }

    /// Notes a call that went well. One that began before the last failure says nothing about now.
    pub(super) fn worked(&self, began: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_some_and(|last| began > last) {
            state.failed = None;
        }
        if let Some((since, last)) = state.gone
            && began > last + CALM
        {
            state.gone = None;
            info!(seconds = (last - since).as_secs(), "{}", self.words.1);
        }
    }

    /// Whether the last call failed.
    pub(super) fn is_away(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failed.is_some()
    }

    /// Notes an answer that makes no sense, which is no outage; logged once a minute at most.
    fn odd(&self, why: &RedisError) {
        if let RedisError::Newer { .. } = why {
            // once: it stays so until this worker is updated
            if !self.newer.swap(true, Ordering::Relaxed) {
                warn!(error = %why, "left to newer workers");
            }
            return;
        }
        let mut odd = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
        if odd.is_none_or(|last| last.elapsed() > ODD_EVERY) {
            warn!(error = %why, "an answer is passed over");
            *odd = Some(Instant::now());
        }
    }

    /// One call to Redis, noted.
    pub(super) async fn once<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        let began = Instant::now();
        match call.await {
            Ok(answer) => {
                self.worked(began);
                return Some(answer);
            }
            Err(e @ (RedisError::Protocol(_) | RedisError::Newer { .. })) => self.odd(&e),
            Err(e) => self.failed(&e),
        }
        None
    }

    /// The same call again and again, with growing jittered waits, until an answer comes. `None` when `until`
    /// resolves first, or when the answer makes no sense.
    pub(super) async fn insist<T, C: Future<Output = Result<T, RedisError>>>(
        &self,
        until: impl Future<Output = ()>,
        mut call: impl FnMut() -> C,
    ) -> Option<T> {
        let answer = async {
            let mut tries = 1;
            loop {
                let began = Instant::now();
                match call().await {
                    Ok(answer) => {
                        self.worked(began);
                        return Some(answer);
                    }
                    Err(e @ (RedisError::Protocol(_) | RedisError::Newer { .. })) => {
                        self.odd(&e);
                        return None;
                    }
                    Err(e) => self.failed(&e),
                }
                tokio::time::sleep(KNOCK.wait(tries, fastrand::f64())).await;
                tries += 1;
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = until => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_older_call_ends_no_outage() {
        let outage = Outage::new("gone", "back");
        let before = Instant::now();
        outage.failed(&"gone");
        outage.worked(before);
        assert!(outage.is_away());
        outage.worked(Instant::now() + Duration::from_millis(1));
        assert!(!outage.is_away());
    }

    #[test]
    fn an_outage_with_answers_in_between_is_one() {
        let outage = Outage::new("gone", "back");
        let told = || outage.state.lock().unwrap().gone.is_some();
        outage.failed(&"full");
        let (since, _) = outage.state.lock().unwrap().gone.unwrap();
        outage.worked(Instant::now() + CALM / 2);
        assert!(told());
        outage.failed(&"full");
        let (still, last) = outage.state.lock().unwrap().gone.unwrap();
        assert_eq!(still, since);
        outage.worked(last + CALM * 2);
        assert!(!told());
    }
}
