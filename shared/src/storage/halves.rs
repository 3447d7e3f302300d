//! How a chunk that is too large for its source becomes two, and how often. Pure.

use super::manifest::SourcePlan;
use crate::{
    chunk::{ChunkRange, UploadMode},
    config::spec::{Bounds, ExtractSpec},
    contract::ColumnType,
};

/// How often a planned chunk is halved at most: 4,096 parts.
pub const MAX_SPLIT_DEPTH: u32 = 12;

/// Where a part of a split chunk comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The chunk that was split.
    pub range: ChunkRange,
    /// Its other half.
    pub sibling: ChunkRange,
}

/// Why a chunk is not split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Indivisible {
    /// A page's filter is set by days.
    #[error("it is one day, and a dashboard is asked for whole days")]
    Dashboard,
    /// The window's bounds are days.
    #[error("it is one day, and the source's `window` asks for whole days")]
    Window,
    /// A date says of no row to which part of a day it belongs.
    #[error("it is one day, and the table's `range_column` is a date, which belongs to no part of a day")]
    DateColumn,
    /// No cut is left.
    #[error("it is the shortest time that the source's `window` can ask for")]
    Shortest,
    /// It is a small part of a planned chunk.
    #[error(
        "its planned chunk was halved {MAX_SPLIT_DEPTH} times on the way to it, and no more than that is done; plan \
         smaller chunks (`chunk_days`), or raise the limit that it meets"
    )]
    TooDeep,
}

impl SourcePlan {
    /// The halves of a chunk: by days, then by instants where the source's window says times.
    ///
    /// # Errors
    /// Why it has none.
    pub fn halves(&self, range: ChunkRange) -> Result<[ChunkRange; 2], Indivisible> {
        if let Some(halves) = range.halves() {
            return Ok(halves);
        }
        let ExtractSpec::Api(api) = &self.spec.extract else { return Err(Indivisible::Dashboard) };
        let step = api.window.step().ok_or(Indivisible::Window)?;
        if self.needs_days(api.window.bounds) {
            return Err(Indivisible::DateColumn);
        }
        let step = chrono::Duration::from_std(step).map_err(|_| Indivisible::Window)?;
        let zone = self.zone();
        range.cut(zone, step, |at| api.window.can_meet_at(at, zone)).ok_or(Indivisible::Shortest)
    }

    /// The chunks that were split on the way from the planned chunk to this part of it, the nearest first; none for a
    /// planned chunk, or for a range that its halves do not lead to.
    pub fn parents(&self, range: ChunkRange) -> Vec<Parent> {
        let zone = self.zone();
        let (start, end) = range.instants(zone);
        let holds = |whole: &ChunkRange| {
            let (first, last) = whole.instants(zone);
            first <= start && end <= last
        };
        let Some(mut whole) = self.chunks.iter().copied().find(holds) else { return vec![] };
        let mut parents = Vec::new();
        while whole != range {
            let Ok([first, second]) = self.halves(whole) else { return vec![] };
            let (next, sibling) = match (holds(&first), holds(&second)) {
                (true, _) => (first, second),
                (_, true) => (second, first),
                _ => return vec![],
            };
            parents.insert(0, Parent { range: whole, sibling });
            whole = next;
        }
        parents
    }

    /// Rows are deleted, or told from those of the next chunk, by a column that holds days.
    fn needs_days(&self, bounds: Bounds) -> bool {
        let contract = &self.contract;
        let column = contract.range_column.as_deref().and_then(|name| contract.column(name));
        let deletes = match self.upload_mode {
            UploadMode::ReplaceRange => true,
            // a reload deletes
            UploadMode::Append => contract.key.is_empty(),
            UploadMode::Replace => false,
        };
        column.is_some_and(|column| column.kind == ColumnType::Date) && (deletes || bounds == Bounds::Unknown)
    }
}
