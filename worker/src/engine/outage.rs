//! A service that is away: one log line when it goes and one when it is back, however many loops meet it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nstore_shared::{redis::RedisError, retry::Backoff};
use tracing::{info, warn};

/// Waits between two calls to a service that is away; jitter keeps a fleet from knocking in step.
const KNOCK: Backoff = Backoff { base: Duration::from_millis(200), ceiling: Duration::from_secs(3) };

/// Answers that make no sense are logged so often at most.
const ODD_EVERY: Duration = Duration::from_secs(60);

/// What is known of one service.
pub(super) struct Outage {
    /// What is logged when it goes, and when it is back.
    words: (&'static str, &'static str),
    /// When it went, and when it failed last.
    away: Mutex<Option<(Instant, Instant)>>,
    /// When an answer made no sense last.
    odd: Mutex<Option<Instant>>,
    /// That the service belongs to a newer nstore was said.
    newer: AtomicBool,
}

impl Outage {
    /// Nothing is wrong yet; `words` are logged when it goes, and when it is back.
    pub(super) fn new(gone: &'static str, back: &'static str) -> Self {
        Self {
            words: (gone, back),
            away: Mutex::new(None),
            odd: Mutex::new(None),
            newer: AtomicBool::new(false),
        }
    }

    /// Notes a call that began at `began` and failed; the first of a row is logged.
    pub(super) fn failed(&self, why: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_none() {
            warn!(error = %why, "{}", self.words.0);
        }
        *away = Some((away.map_or(now, |(since, _)| since), now));
    }

    /// Notes a call that went well. One that began before the last failure says nothing about now.
    pub(super) fn worked(&self, began: Instant) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, last)) = *away
            && began > last
        {
            *away = None;
            info!(seconds = since.elapsed().as_secs(), "{}", self.words.1);
        }
    }

    /// Whether the last call failed.
    pub(super) fn is_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some()
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
}
