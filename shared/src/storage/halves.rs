//! How a chunk that is too large for its source becomes two. Pure.

use super::manifest::SourcePlan;
use crate::{
    chunk::{ChunkRange, UploadMode},
    config::spec::{Bounds, ExtractSpec},
    contract::ColumnType,
};

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
