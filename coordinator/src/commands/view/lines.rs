//! Progress where there is no terminal: a line when something changed, at most every two seconds per source.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nstore_shared::{chunk::SourceId, terminal};

use super::{
    pace::{Pace, ended},
    quantity::{count, grouped, span},
};
use crate::run::{SourceStatus, View};

const PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Lines {
    loads: bool,
    started: Instant,
    sources: BTreeMap<SourceId, Last>,
}

/// What was last said of a source, and when.
#[derive(Default)]
struct Last {
    pace: Pace,
    said: Option<(Duration, SourceStatus)>,
}

impl Lines {
    pub(super) fn new(loads: bool) -> Self {
        Self { loads, started: Instant::now(), sources: BTreeMap::new() }
    }
}

impl View for Lines {
    fn update(&mut self, sources: &[SourceStatus]) {
        let now = self.started.elapsed();
        for status in sources {
            let last = self.sources.entry(status.source.clone()).or_default();
            last.pace.note(now, status);
            if last.due(now, status) {
                terminal::tell(&line(status, &last.pace, now, self.loads));
                last.said = Some((now, status.clone()));
            }
        }
    }

    fn note(&mut self, line: &str) {
        terminal::tell(line);
    }
}

impl Last {
    fn due(&self, now: Duration, status: &SourceStatus) -> bool {
        match &self.said {
            None => true,
            Some((_, said)) if shown(said) == shown(status) => false,
            // the last chunk is said at once
            Some((_, said)) if ended(status) == status.chunks_total && ended(said) < said.chunks_total => {
                true
            }
            Some((at, _)) => now.saturating_sub(*at) >= PAUSE,
        }
    }
}

/// What a line is made of: a change in anything else would say the same twice.
fn shown(status: &SourceStatus) -> [u64; 7] {
    let failures = status.discarded + status.refused;
    let SourceStatus { chunks_total, done, rows, loaded_chunks, retryable, cancelled, .. } = *status;
    [chunks_total, done, rows, loaded_chunks, retryable, cancelled, failures]
}

/// `buyer_orders: 7 of 11 chunks, 12,345 rows (1,234/s), 5 loaded, 1 failed, about 12s left`.
pub(super) fn line(status: &SourceStatus, pace: &Pace, now: Duration, loads: bool) -> String {
    let mut parts = vec![format!("{} of {}", status.done, count(status.chunks_total, "chunk"))];
    parts.push(rows(status, pace));
    if loads {
        parts.push(format!("{} loaded", status.loaded_chunks));
    }
    let failures = status.discarded + status.refused;
    if failures > 0 {
        parts.push(format!("{failures} failed"));
    }
    if status.retryable > 0 {
        parts.push(format!("{} waiting for another try", status.retryable));
    }
    if let Some(left) = pace.left(now, status) {
        parts.push(format!("about {} left", span(left)));
    }
    format!("{}: {}", status.source, parts.join(", "))
}

/// `12,345 rows (1,234/s)`.
pub(super) fn rows(status: &SourceStatus, pace: &Pace) -> String {
    let rows = count(status.rows, "row");
    match pace.rows_per_second() {
        Some(rate) if rate > 0 && status.running > 0 => format!("{rows} ({}/s)", grouped(rate)),
        _ => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::view::report::tests::status;

    #[test]
    fn a_line_says_what_matters() {
        let mut pace = Pace::default();
        let mut now = status("buyer_orders");
        (now.done, now.rows) = (0, 0);
        pace.note(Duration::ZERO, &now);
        (now.done, now.rows, now.discarded, now.retryable) = (7, 12_345, 1, 2);
        pace.note(Duration::from_secs(10), &now);
        let said = line(&now, &pace, Duration::from_secs(10), true);
        insta::assert_snapshot!(said);
    }

    #[test]
    fn a_source_is_not_said_twice_in_two_seconds_but_its_end_is() {
        let second = Duration::from_secs(1);
        let mut now = status("a");
        let mut last = Last { pace: Pace::default(), said: None };
        assert!(last.due(second, &now));
        last.said = Some((second, now.clone()));
        now.running += 1;
        assert!(!last.due(second * 9, &now), "nothing that is shown changed");
        now.rows += 1;
        assert!(!last.due(second * 2, &now), "too soon");
        assert!(last.due(second * 3, &now));
        now.done = now.chunks_total;
        assert!(last.due(second * 2, &now), "the end is said at once");
    }
}
