//! All that is wrong with a request, at once.

use std::fmt;

use chrono::NaiveDate;
use nstore_shared::chunk::SourceId;

use super::{MAX_CHUNK_DAYS, MAX_RANGE_DAYS, MAX_WORKERS};

/// All faults of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanError(pub Vec<PlanFault>);

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// No source is named.
    #[error("no source is named")]
    NoSource {
        /// Those there are.
        known: Vec<String>,
    },
    /// A source that the config does not describe.
    #[error("{flag}: unknown source `{name}`")]
    UnknownSource {
        /// Where it was typed.
        flag: &'static str,
        /// As typed.
        name: String,
        /// What it most likely means.
        near: Option<String>,
        /// Those there are.
        known: Vec<String>,
    },
    /// A name stands twice where it may stand once.
    #[error("{flag}: `{name}` is listed twice")]
    Twice {
        /// Where.
        flag: &'static str,
        /// The name.
        name: String,
    },
    /// An override for a source that is not in the run.
    #[error("{flag}: `{name}` is not among --sources")]
    NotAsked {
        /// Where.
        flag: &'static str,
        /// The source.
        name: String,
    },
    /// The range runs backwards.
    #[error("the end date {end} is before the start date {start}")]
    EndBeforeStart {
        /// First day.
        start: NaiveDate,
        /// Last day.
        end: NaiveDate,
    },
    /// A range that no one means.
    #[error("{start} to {end} is longer than {MAX_RANGE_DAYS} days")]
    RangeTooLong {
        /// First day.
        start: NaiveDate,
        /// Last day.
        end: NaiveDate,
    },
    /// A chunk of no day, or of more than a year.
    #[error("{id}: a chunk size of {days} days is not possible ({from})")]
    ChunkSize {
        /// The source.
        id: SourceId,
        /// As given.
        days: u32,
        /// Where it was given.
        from: String,
    },
    /// No chunk in flight, or far too many.
    #[error("{workers} parallel workers are not possible ({from})")]
    Workers {
        /// As given.
        workers: u32,
        /// Where it was given.
        from: String,
    },
    /// Several chunks at once, where the source's login has one session.
    #[error("{id}: its chunks cannot run in parallel, its login has one session ({from})")]
    OneSession {
        /// The source.
        id: SourceId,
        /// Where parallel was asked for.
        from: String,
    },
    /// Rows cannot be told apart by their days.
    #[error("{id}: {what} needs a range_column, and its mapping names none")]
    NoRangeColumn {
        /// The source.
        id: SourceId,
        /// What needs it.
        what: &'static str,
    },
}

impl PlanFault {
    /// What would be right.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSource { known } => Some(format!("sources: {}", known.join(", "))),
            Self::UnknownSource { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::UnknownSource { near: None, known, .. } => Some(format!("sources: {}", known.join(", "))),
            Self::Twice { .. } => Some("name it once".into()),
            Self::NotAsked { name, .. } => Some(format!("add {name} to --sources, or leave it out here")),
            Self::EndBeforeStart { .. } => {
                Some("both days belong to the range; for one day give the same date twice".into())
            }
            Self::RangeTooLong { .. } => Some("look at the years".into()),
            Self::ChunkSize { .. } => Some(format!("1 to {MAX_CHUNK_DAYS} days")),
            Self::Workers { .. } => Some(format!("1 to {MAX_WORKERS}; 2 to 6 are usual")),
            Self::OneSession { .. } => {
                Some("choose sequential; or set max_sessions in its file, if the login may have more".into())
            }
            Self::NoRangeColumn { .. } => {
                Some("add range_column to the mapping, or choose another mode".into())
            }
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "plan: {count} problem{}", if count == 1 { "" } else { "s" })?;
        for fault in &self.0 {
            write!(f, "\n{fault}")?;
            if let Some(hint) = fault.hint() {
                write!(f, "\n  {hint}")?;
            }
        }
        Ok(())
    }
}
