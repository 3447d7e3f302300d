//! What is said once of a source while its run is followed: that it is on hold, and that the clock of Redis was set back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nstore_shared::chunk::SourceId;

use super::{board::Board, hold::SourceHold};

/// Shorter holds are common and not worth a line.
const SHORTEST_HOLD: Duration = Duration::from_secs(30);
/// Smaller steps of a clock delay nothing.
const SMALLEST_STEP: Duration = Duration::from_secs(1);

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Sources on hold.
    holds: BTreeSet<SourceId>,
    /// How far the clock of Redis was set back, by source, when that was looked at last.
    set_back: BTreeMap<SourceId, Duration>,
}

impl Notices {
    /// The lines that are new for a source.
    pub(super) fn of(&mut self, board: &Board) -> Vec<String> {
        let (source, mut lines) = (&board.plan.source, vec![]);
        let Some(told) = &board.progress else { return lines };
        match &told.hold {
            Some(hold) if hold.left >= SHORTEST_HOLD => {
                if self.holds.insert(source.clone()) {
                    let SourceHold { until, reason } = SourceHold::from(hold);
                    lines.push(format!(
                        "{source} is on hold until {}: {reason}; end the hold: nstore unpause --source {source}",
                        until.format("%Y-%m-%d %H:%M:%S UTC")
                    ));
                }
            }
            Some(_) => {}
            None => drop(self.holds.remove(source)),
        }
        let known = self.set_back.insert(source.clone(), told.set_back);
        let step = known.map_or(Duration::ZERO, |known| told.set_back.saturating_sub(known));
        if step >= SMALLEST_STEP {
            lines.push(format!(
                "the clock of redis was set back by {} s: leases and waits of {source} go on as if it had not been",
                step.as_secs()
            ));
        }
        lines
    }
}
