//! Rows per second and the time left. Pure: the time is an argument.

use std::{collections::VecDeque, time::Duration};

use crate::run::SourceStatus;

/// Rates are taken over this long: shorter jumps about, longer hides a stall.
const SPAN: Duration = Duration::from_secs(15);
/// Too early to foretell anything.
const EARLY: Duration = Duration::from_secs(2);

/// How fast one source goes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    samples: VecDeque<(Duration, u64)>,
    /// When it was first seen, and how many chunks had ended then.
    first: Option<(Duration, u64)>,
}

impl Pace {
    /// Takes note of where the source is at `now`.
    pub(super) fn note(&mut self, now: Duration, status: &SourceStatus) {
        self.first.get_or_insert((now, ended(status)));
        self.samples.push_back((now, status.rows));
        // one sample older than the span stays, so that there is always a span to look back over
        while self.samples.len() > 2 && now.saturating_sub(self.samples[1].0) >= SPAN {
            self.samples.pop_front();
        }
    }

    /// Rows per second just now.
    pub(super) fn rows_per_second(&self) -> Option<u64> {
        let (&(from, first), &(to, last)) = (self.samples.front()?, self.samples.back()?);
        let millis = u64::try_from((to - from).as_millis()).ok().filter(|millis| *millis >= 250)?;
        // a lost chunk takes its rows back
        last.saturating_sub(first).checked_mul(1000).map(|rows| rows / millis)
    }

    /// About how long the rest of the chunks takes.
    pub(super) fn left(&self, now: Duration, status: &SourceStatus) -> Option<Duration> {
        let (since, before) = self.first?;
        let worked = now.saturating_sub(since);
        let done = u32::try_from(ended(status).saturating_sub(before)).ok().filter(|done| *done > 0)?;
        let open =
            u32::try_from(status.chunks_total.saturating_sub(ended(status))).ok().filter(|open| *open > 0)?;
        (worked >= EARLY).then(|| (worked / done).saturating_mul(open))
    }
}

/// Chunks of which nothing more will come.
pub(super) fn ended(status: &SourceStatus) -> u64 {
    status.done + status.discarded + status.cancelled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::view::report::tests::status;

    #[test]
    fn the_pace_is_that_of_the_last_seconds_and_foretells_the_rest() {
        let mut pace = Pace::default();
        let mut status = status("a");
        (status.chunks_total, status.done, status.rows) = (10, 0, 0);
        assert_eq!(pace.rows_per_second(), None);
        for second in 0..=40 {
            // after 20 s it goes twice as fast
            status.rows = if second <= 20 { second * 100 } else { 2000 + (second - 20) * 200 };
            status.done = second / 10;
            pace.note(Duration::from_secs(second), &status);
        }
        assert_eq!(pace.rows_per_second(), Some(200));
        assert_eq!(pace.left(Duration::from_secs(40), &status), Some(Duration::from_secs(60)));
        status.done = 10;
        assert_eq!(pace.left(Duration::from_secs(40), &status), None, "nothing is left");
    }
}
