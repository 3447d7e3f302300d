//! Storage against Redis: what is missing, voided, ended or cancelled is reported anew.
//!
//! Redis is read before storage is: a marker stands before its fact is reported, so what Redis calls ended
//! must have its marker in a listing that began later.
//!
//! Where Redis lost some keys and kept others, what it says of a run does not fit together. Then it is made to forget the
//! run, and told all of it anew, as after the loss of everything.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::{
    chunk::{ChunkRange, ChunkState, RunId, SourceId},
    proven,
    redis::queue::{ChunkEntry, Fact, Known, Queue},
    storage::{Storage, marker::Outcome, outcomes::Generations},
};
use serde::Serialize;

use super::{House, RunError, board::Board};

/// What Redis must be told of one chunk.
#[derive(Debug, PartialEq)]
enum Repair {
    Nothing,
    Report,
    Enqueue(ChunkEntry),
}

/// Pure: compares what Redis knows of a chunk with what storage shows.
fn repair(range: ChunkRange, known: Option<Known>, stored: &Generations) -> Repair {
    let wanted = stored.wanted();
    let current = known.filter(|known| known.generation >= wanted);
    let ended = |known: &Known| {
        matches!(known.state, ChunkState::Completed | ChunkState::Split | ChunkState::Discarded)
    };
    match (stored.standing(), current) {
        (Some(_), Some(known)) if ended(&known) => Repair::Nothing,
        (Some(_), _) => Repair::Report,
        (None, Some(known)) if !ended(&known) => Repair::Nothing,
        (None, known) => Repair::Enqueue(ChunkEntry { range, generation: wanted, unproven: known.is_some() }),
    }
}

/// What a comparison changed in Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Outcomes that stood in storage and that Redis did not know.
    pub reported: u64,
    /// Chunks without an outcome that Redis did not know, or called ended.
    pub enqueued: u64,
    /// What Redis had lost of the source's part of the run, so that it was told all of it anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

impl Repaired {
    /// Redis and storage did not agree.
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }
}

/// What Redis knows of a source's part of a run, and what it lost of that.
struct Told {
    known: BTreeMap<ChunkRange, Known>,
    damage: Option<String>,
}

/// Reads all that Redis knows. Counts that do not agree with the chunks are damage, where nothing changed while both were
/// read: wrong counts hold a run up, and what is held up does not change.
async fn told(queue: &Queue, source: &SourceId, run: &RunId) -> Result<Told, RunError> {
    let before = queue.progress(source, run).await?;
    let known = queue.known(source, run).await?;
    let after = queue.progress(source, run).await?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(Told { known, damage: None }) };
    let mut counts: BTreeMap<ChunkState, u64> = BTreeMap::new();
    for chunk in known.values() {
        *counts.entry(chunk.state).or_default() += 1;
    }
    let still = (&before.chunks, before.grants) == (&after.chunks, after.grants);
    let differs = still && counts != after.chunks;
    let damage = after.damage.or_else(|| differs.then(|| "the state of some chunks was lost".to_owned()));
    Ok(Told { known, damage })
}

impl House {
    /// Brings a source's board up to storage, and Redis up to both.
    pub(super) async fn reconcile(&self, board: &mut Board) -> Result<Repaired, RunError> {
        let (source, run) = (board.plan.source.clone(), board.run().clone());
        let queue = self.redis.queue();
        let Told { mut known, damage } = told(&queue, &source, &run).await?;
        if damage.is_some() {
            queue.reset(&source, &run).await?;
            known.clear();
            board.hear_again();
        }
        let mut repaired = Repaired { damage, ..Repaired::default() };
        board.cancelled = self.storage.cancelled(&run).await?.is_some();
        let stored = refresh_markers(&self.storage, board).await?;
        if board.cancelled {
            queue.cancel(&source, &run).await?;
            return Ok(repaired);
        }
        self.tell_pauses(board).await?;
        let (mut missing, mut facts) = (Vec::new(), Vec::new());
        for range in board.worked_ranges() {
            let none = Generations::default();
            match repair(range, known.get(&range).copied(), stored.get(&range).unwrap_or(&none)) {
                Repair::Nothing => {}
                Repair::Enqueue(entry) => missing.push(entry),
                Repair::Report => {
                    facts.extend(board.outcomes.marker(&range).map(|marker| proven::fact(marker, None)));
                }
            }
        }
        // always, while there is work: one of its workers may have told Redis of a chunk, and nobody of its run
        if !missing.is_empty() || !board.extraction_ended() {
            let enqueued = queue.enqueue(&proven::run_entry(&run, &board.plan), &missing).await?;
            repaired.enqueued = enqueued.added + enqueued.reopened;
        }
        let completed = |fact: &Fact| (fact.state == ChunkState::Completed).then_some(fact.chunk.range);
        let ranges: Vec<Option<ChunkRange>> = facts.iter().map(completed).collect();
        for (range, changed) in ranges.into_iter().zip(queue.report_all(facts).await?) {
            repaired.reported += u64::from(changed);
            board.echoes.extend(range.filter(|_| changed));
        }
        Ok(repaired)
    }
}

/// Lists a source's outcomes; reads the markers that the board has not seen, many at once.
pub(super) async fn refresh_markers(
    storage: &Storage,
    board: &mut Board,
) -> Result<BTreeMap<ChunkRange, Generations>, RunError> {
    let stored = storage.generations(&board.plan.source, board.run()).await?;
    let standing = |range: &ChunkRange| stored.get(range).and_then(Generations::standing);
    board.outcomes.retain(|marker| standing(&marker.chunk.range) == Some(marker.generation));
    let unseen = stored.iter().filter(|(range, _)| board.outcomes.marker(range).is_none());
    let unseen: Vec<_> = unseen
        .filter_map(|(range, generations)| Some((board.chunk(*range), generations.standing()?)))
        .collect();
    let markers = storage.markers(unseen).await?;
    markers.into_iter().for_each(|marker| board.outcomes.put(marker));
    Ok(stored)
}

impl Board {
    /// The planned chunks and all halves below them: everything that the queue should know.
    fn worked_ranges(&self) -> BTreeSet<ChunkRange> {
        let split = self.outcomes.markers().filter(|marker| matches!(marker.outcome, Outcome::Split { .. }));
        let mut ranges = self.outcomes.leaves().clone();
        ranges.extend(split.map(|marker| marker.chunk.range));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(marked: &[u32], voided: &[u32]) -> Generations {
        Generations {
            marked: marked.iter().copied().collect(),
            voided: voided.iter().copied().collect(),
            ..Generations::default()
        }
    }

    #[test]
    fn redis_is_told_what_storage_shows_and_nothing_else() {
        let range: ChunkRange = "2025-08-01_2025-08-02".parse().unwrap();
        let entry = |generation, unproven| Repair::Enqueue(ChunkEntry { range, generation, unproven });
        let known = |state, generation| Some(Known { state, generation });
        use ChunkState::{Available, Completed, Discarded, Running};
        for (told, shown, wants) in [
            (None, stored(&[], &[]), entry(1, false)),
            (None, stored(&[1], &[]), Repair::Report),
            (known(Available, 1), stored(&[], &[]), Repair::Nothing),
            (known(Running, 1), stored(&[1], &[]), Repair::Report),
            (known(Completed, 1), stored(&[1], &[]), Repair::Nothing),
            (known(Completed, 1), stored(&[], &[]), entry(1, true)),
            (known(Discarded, 1), stored(&[1], &[1]), entry(2, false)),
            (known(Running, 2), stored(&[1], &[1]), Repair::Nothing),
            (known(Running, 1), stored(&[1, 2], &[1]), Repair::Report),
        ] {
            assert_eq!(repair(range, told, &shown), wants, "{told:?} {shown:?}");
        }
    }
}
