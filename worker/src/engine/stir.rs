//! Where one idle loop finds work there may be more: it wakes another one, which wakes the next.

use std::sync::{Mutex, PoisonError};

use nstore_shared::chunk::SourceId;
use tokio::sync::Notify;

/// What the loops of one worker tell each other.
#[derive(Debug, Default)]
pub(super) struct Stir {
    source: Mutex<Option<SourceId>>,
    woken: Notify,
}

impl Stir {
    /// Tells one idle loop that this source has work.
    pub(super) fn pass_on(&self, source: &SourceId) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source.clone());
        self.woken.notify_one();
    }

    /// Waits until another loop tells of a source that has work.
    pub(super) async fn heard(&self) -> Option<SourceId> {
        self.woken.notified().await;
        self.source.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
