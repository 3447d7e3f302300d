//! Whether a chunk that holds more than its source gives is split. One is not split on and on where that changes
//! nothing: a source that ignores its window, or refuses each one, would turn a day into 86,400 chunks.

use nstore_shared::{
    chunk::{Chunk, ChunkRange, Generation},
    guard::Guard,
    retry::FailureClass,
    storage::{
        Storage, StorageError,
        halves::{Indivisible, MAX_SPLIT_DEPTH, Parent},
        manifest::SourcePlan,
        marker::{Marker, Outcome, SplitAnswer, SplitAnswerKind},
    },
};

/// How often a day and its parts are halved with the same answer each time: 64 parts. What all lies in one of them,
/// or what a source gives by the half hour alone, is found by then.
const MAX_SAME_ANSWERS: u32 = 6;

/// Why a chunk that asks for a split is not split.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSplit {
    #[error("it was stored before, and may be loaded as a whole")]
    StoredBefore,
    #[error(transparent)]
    Indivisible(#[from] Indivisible),
    #[error(
        "the source answers the same for {other}, so it seems to ignore the window that it is asked for; check \
         `window.params` and `window.format`"
    )]
    SameRecords { other: ChunkRange },
    #[error(
        "the source refuses {other} and its parts in the same way, so smaller windows do not help; check the condition \
         of `split_window` in `error_handlers`"
    )]
    SameRefusal { other: ChunkRange },
    #[error(
        "the answer has been the same {MAX_SAME_ANSWERS} times in a row, each time for half of the time; check \
         `window.params`, and the condition of `split_window` in `error_handlers`"
    )]
    SameAnswers,
}

impl NotSplit {
    /// Whether no other try can end otherwise.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::SameRecords { .. } | Self::SameRefusal { .. } | Self::SameAnswers => true,
            Self::Indivisible(why) => *why == Indivisible::TooDeep,
            Self::StoredBefore => false,
        }
    }
}

/// The outcome by which a chunk is split after `answer`, or why it is not.
///
/// # Errors
/// When storage fails.
pub(super) async fn of(
    storage: &Storage,
    plan: &SourcePlan,
    (chunk, generation): (&Chunk, Generation),
    answer: Option<SplitAnswer>,
) -> Result<Result<Outcome, NotSplit>, StorageError> {
    for earlier in 1..generation {
        let marker = storage.marker(chunk, earlier).await?;
        // its rows may be loaded
        if marker.is_some_and(|marker| marker.committed().is_some()) && Guard::CommittedStays.stands() {
            return Ok(Err(NotSplit::StoredBefore));
        }
    }
    let halves = match plan.halves(chunk.range) {
        Ok(halves) => halves,
        Err(why) => return Ok(Err(why.into())),
    };
    let parents = plan.parents(chunk.range);
    if parents.len() >= MAX_SPLIT_DEPTH as usize {
        return Ok(Err(Indivisible::TooDeep.into()));
    }
    let Some(mut answer) = answer else { return Ok(Ok(Outcome::Split { halves, answer: None })) };
    let line = Line { storage, chunk, parents: &parents };
    Ok(match line.repeated(&answer).await? {
        Ok(repeated) => {
            answer.repeated = repeated;
            Ok(Outcome::Split { halves, answer: Some(answer) })
        }
        Err(why) => Err(why),
    })
}

/// A chunk, and those that were split on the way to it.
struct Line<'a> {
    storage: &'a Storage,
    chunk: &'a Chunk,
    /// The nearest first.
    parents: &'a [Parent],
}

impl Line<'_> {
    /// How often in a row the chunks above had the same answer, or what that shows.
    async fn repeated(&self, answer: &SplitAnswer) -> Result<Result<u32, NotSplit>, StorageError> {
        let mut repeated = 0;
        for (above, parent) in self.parents.iter().enumerate() {
            let Some(of_parent) = self.answer(parent.range).await? else { break };
            if !same(&of_parent, answer) {
                break;
            }
            if above == 0 && is_within_a_day(parent.range) {
                repeated = of_parent.repeated + 1;
            }
            if let Some(why) = self.shown_by(parent.sibling, answer).await? {
                return Ok(Err(why));
            }
        }
        Ok(if repeated >= MAX_SAME_ANSWERS { Err(NotSplit::SameAnswers) } else { Ok(repeated) })
    }

    /// What the other half of a chunk above shows of the answer that the chunk and this one had.
    async fn shown_by(
        &self,
        sibling: ChunkRange,
        answer: &SplitAnswer,
    ) -> Result<Option<NotSplit>, StorageError> {
        let mut range = sibling;
        for _ in 0..=MAX_SPLIT_DEPTH {
            match self.marker(range).await?.map(|marker| marker.outcome) {
                Some(Outcome::Split { halves, answer: Some(seen) }) if same(&seen, answer) => {
                    if answer.kind == SplitAnswerKind::Records {
                        return Ok(Some(NotSplit::SameRecords { other: range }));
                    }
                    range = halves[0];
                }
                // a refusal may be right for all but the smallest windows: only one that was given up shows more
                Some(Outcome::Discarded { class: FailureClass::Config, .. }) => {
                    return Ok(Some(match answer.kind {
                        SplitAnswerKind::Records => NotSplit::SameRecords { other: range },
                        SplitAnswerKind::Refusal => NotSplit::SameRefusal { other: sibling },
                    }));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The answer that had a range split.
    async fn answer(&self, range: ChunkRange) -> Result<Option<SplitAnswer>, StorageError> {
        Ok(match self.marker(range).await?.map(|marker| marker.outcome) {
            Some(Outcome::Split { answer, .. }) => answer,
            _ => None,
        })
    }

    async fn marker(&self, range: ChunkRange) -> Result<Option<Marker>, StorageError> {
        self.storage.standing_of(&Chunk { range, ..self.chunk.clone() }).await
    }
}

fn same(one: &SplitAnswer, other: &SplitAnswer) -> bool {
    one.kind == other.kind && one.digest == other.digest
}

/// A day, or a part of one.
fn is_within_a_day(range: ChunkRange) -> bool {
    range.halves().is_none()
}
