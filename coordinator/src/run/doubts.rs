//! When what Redis says of a source calls for a comparison with storage. Pure.

use std::time::Duration;

use nstore_shared::chunk::ChunkState;

use super::board::Board;

impl Board {
    /// Redis knows less than storage shows: it was emptied or set back, lost a part, or a fact is still on its way.
    pub(super) fn redis_is_behind(&self) -> bool {
        let Some(progress) = &self.progress else { return true };
        if progress.damage.is_some() {
            return true;
        }
        let count = |state: &ChunkState| progress.chunks.get(state).copied().unwrap_or(0);
        let ended = [ChunkState::Completed, ChunkState::Split, ChunkState::Discarded];
        let ended: u64 = ended.iter().map(count).sum();
        // a split chunk and its halves are all known
        let worked = self.plan.chunks.len() + 2 * self.outcomes.splits();
        ended < self.outcomes.markers().len() as u64 || progress.chunks.values().sum::<u64>() < worked as u64
    }

    /// Redis may have lost hints: all that it has are read again, and those of known markers passed over.
    pub(super) fn hear_again(&mut self) {
        self.hints = 0;
        self.echoes = self.outcomes.committed().map(|marker| marker.chunk.range).collect();
    }

    /// Redis knows of no chunk that may still run, or does not know the run.
    pub(super) fn redis_says_over(&self) -> bool {
        let open = [ChunkState::Available, ChunkState::Running, ChunkState::Retryable];
        let is_open = |state| self.progress.as_ref().is_some_and(|told| told.chunks.contains_key(state));
        !open.iter().any(is_open)
    }

    /// The last comparison is at least so long ago, or there was none.
    pub(super) fn is_due(&self, time: Duration) -> bool {
        self.reconciled.is_none_or(|at| at.elapsed() >= time)
    }
}
