//! What Redis says of a source, with the end of a hold by this host's clock.

use chrono::{DateTime, Utc};
use nstore_shared::redis::queue::{Hold, Progress};

use super::board::Board;

/// Why nothing of a source is extracted for a while, in all runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SourceHold {
    /// When it ends, by this host's clock.
    pub until: DateTime<Utc>,
    /// What the source said.
    pub reason: String,
}

impl From<&Hold> for SourceHold {
    fn from(hold: &Hold) -> Self {
        Self { until: Utc::now() + hold.left, reason: hold.reason.clone() }
    }
}

impl Board {
    /// Takes over what Redis says of the source's part of the run; `None` while it is away or knows nothing.
    pub(super) fn take_progress(&mut self, progress: Option<Progress>) {
        let hold = progress.as_ref().and_then(|progress| progress.hold.as_ref());
        self.hold = hold.map(SourceHold::from);
        self.progress = progress;
    }
}
