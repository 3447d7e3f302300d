//! Committed CSVs -> tables, exactly once.
//!
//! One transaction per chunk: the run's lock, the target's lock, a look at the cancel mark, the ledger row,
//! the COPY (counted and hashed on the way), COMMIT. The ledger's key decides what is loaded, so any call may
//! be repeated after any failure, by any number of loaders at once.
//!
//! - `preflight`, `fit`: will it fit, before anything is extracted
//! - `register`: tables made, days claimed; `claims`: whose days are whose
//! - `cascade`: what deleting rows would do to other tables; `foresee`: what a table will do to rows
//! - `keep`: rows of a replaced table that stay, being equal
//! - `careful`: rows that COPY alone cannot bring in; `stage`, `unique`, `sift`: its steps
//! - `fields`: columns whose field is in no record, although earlier chunks had it
//! - `chunk`: chunks of append and replace_range, together or alone; `batch`: their transaction; `delete`: their ranges
//! - `replace`: the transaction of a whole table; `enter`: what both begin with; `stop`: how they end early
//! - `rejects`: rows that did not fit, beside the ledger
//! - `copy`, `csv`: bytes from storage to the server, counted
//! - `upkeep`: cancel, forget, what the ledger says

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{ChunkRange, Generation, RunId, SourceId},
    storage::{Storage, marker::VoidReason},
};

use crate::db::{Db, ident::Target};

mod batch;
mod careful;
mod cascade;
mod chunk;
mod claims;
mod copy;
mod csv;
mod delete;
mod enter;
pub mod error;
mod fields;
mod fit;
mod foresee;
mod keep;
mod preflight;
mod register;
mod rejects;
mod replace;
mod sift;
mod spans;
mod stage;
mod stop;
mod unique;
mod upkeep;

pub use error::LoadError;

/// Loads what markers prove. Cheap to clone; calls may run side by side.
#[derive(Clone, Debug)]
pub struct Loader {
    db: Db,
    storage: Storage,
}

/// What one source's load will meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The source.
    pub source: SourceId,
    /// Its target table, with the schema.
    pub table: String,
    /// It stands already; otherwise it will be made from the mapping.
    pub exists: bool,
    /// What is no problem but worth a word.
    pub notes: Vec<String>,
}

/// A source that cannot be loaded.
#[derive(Debug)]
pub struct RefusedSource {
    /// The source.
    pub source: SourceId,
    /// Why not.
    pub error: LoadError,
}

/// Which sources of a run can be loaded.
#[derive(Debug, Default)]
pub struct PreflightReport {
    /// Sources that can.
    pub ready: Vec<Preflight>,
    /// Sources that cannot.
    pub refused: Vec<RefusedSource>,
}

impl PreflightReport {
    /// The sources that can be loaded, when all can.
    ///
    /// # Errors
    /// What is wrong with the others; several of these as [`LoadError::Several`].
    pub fn into_result(self) -> Result<Vec<Preflight>, LoadError> {
        let mut errors: Vec<LoadError> = self.refused.into_iter().map(|refused| refused.error).collect();
        match errors.len() {
            0 => Ok(self.ready),
            1 => Err(errors.swap_remove(0)),
            _ => Err(LoadError::Several(errors)),
        }
    }

    /// Why sources cannot be loaded, each with what to do.
    pub fn reasons(&self) -> BTreeMap<SourceId, String> {
        let reason = |refused: &RefusedSource| {
            let hint = refused.error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            (refused.source.clone(), format!("{}{hint}", refused.error))
        };
        self.refused.iter().map(reason).collect()
    }

    /// The notes of all sources that can be loaded, each with its source and table.
    pub fn notes(&self) -> Vec<String> {
        let of = |found: &Preflight| {
            let (source, table) = (found.source.clone(), found.table.clone());
            let notes = found.notes.clone().into_iter();
            notes.map(move |note| format!("{source}: table {table}: {note}")).collect::<Vec<_>>()
        };
        self.ready.iter().flat_map(of).collect()
    }
}

/// What became of the rows of a load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Rows that went in.
    pub rows: u64,
    /// Rows that were present with equal values, by the key.
    pub skipped: u64,
    /// Rows that were present with other values from an earlier run, by the key: the table's rows stayed.
    pub changed: u64,
    /// Rows that the table refused, within the limit of the mapping.
    pub rejected: u64,
    /// Rows that took a default of the table for a value that is absent or null.
    pub defaulted: u64,
    /// What people should know of it, with a row as an example.
    pub notes: Vec<String>,
}

impl LoadCounts {
    /// All rows went in as they came.
    pub fn plain(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// Adds the counts of another chunk of the same load.
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.skipped += other.skipped;
        self.changed += other.changed;
        self.rejected += other.rejected;
        self.defaulted += other.defaulted;
        self.notes.extend(other.notes);
    }
}

/// What became of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkLoad {
    /// Its rows are in.
    Loaded(LoadCounts),
    /// The ledger had it.
    Already,
    /// Newer extractions cover it: recorded, not loaded.
    Superseded,
    /// Another loader is in the way: come back later.
    Busy,
    /// Its outcome was voided: the next generation is to be extracted.
    Void {
        /// The voided generation.
        generation: Generation,
        /// Why.
        reason: VoidReason,
        /// What was found.
        detail: String,
    },
    /// The run is cancelled.
    Cancelled,
    /// The table does not take its rows; recorded as a load failure.
    Refused {
        /// What the server said.
        error: String,
        /// The offending line, where the server named one.
        row: Option<String>,
    },
}

/// What became of chunks that were to be loaded together.
#[derive(Debug, Default)]
pub struct ChunkLoads {
    /// Chunks by their place among those asked for, in order.
    pub done: Vec<(usize, ChunkLoad)>,
    /// What kept the others from being loaded.
    pub error: Option<LoadError>,
}

/// What became of a whole-table load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceLoad {
    /// The table holds the run's rows and no others.
    Loaded(LoadCounts),
    /// The ledger had it.
    Already,
    /// A run that was asked for later has replaced the table: recorded, not loaded.
    Superseded,
    /// Another loader is in the way: come back later.
    Busy,
    /// One chunk's outcome was voided: its next generation is to be extracted. The table is as it was.
    Void {
        /// The chunk.
        range: ChunkRange,
        /// The voided generation.
        generation: Generation,
        /// Why.
        reason: VoidReason,
        /// What was found.
        detail: String,
    },
    /// The run is cancelled.
    Cancelled,
    /// The table does not take a chunk's rows; recorded as a load failure. The table is as it was.
    Refused {
        /// The chunk.
        range: ChunkRange,
        /// What the server said.
        error: String,
        /// The offending line, where the server named one.
        row: Option<String>,
    },
}

/// One decided chunk of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The source.
    pub source: SourceId,
    /// The chunk.
    pub range: ChunkRange,
    /// What was decided.
    pub state: LedgerState,
    /// Rows that went in.
    pub rows: u64,
    /// Rows that were there already.
    pub skipped: u64,
    /// Rows that were present with other values from an earlier run.
    pub changed: u64,
    /// Rows that the table refused.
    pub rejected: u64,
    /// Rows that took a default of the table.
    pub defaulted: u64,
    /// What proves that the chunk is complete; `None`: it is unproven.
    pub evidence: Option<String>,
    /// Which outcome of the chunk.
    pub generation: Generation,
    /// When.
    pub loaded_at: DateTime<Utc>,
}

/// What was decided about a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerState {
    /// Its rows went in.
    Loaded,
    /// Newer rows were there already.
    Superseded,
    /// Its rows went in and were replaced by a later load.
    Replaced,
}

/// A chunk whose rows a table refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// The source.
    pub source: SourceId,
    /// The chunk.
    pub range: ChunkRange,
    /// What the server said.
    pub error: String,
    /// The offending line, where the server named one.
    pub row: Option<String>,
}

/// What `nstore forget` took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetReport {
    /// The table was known.
    pub known: bool,
    /// Ledger rows that went.
    pub ledger_rows: u64,
    /// Claimed days that went.
    pub days: u64,
}

impl Loader {
    /// A loader from this store into this database.
    pub fn new(db: Db, storage: Storage) -> Self {
        Self { db, storage }
    }

    fn target(&self, table: &str) -> Result<Target, LoadError> {
        Ok(self.db.target(table)?)
    }

    async fn is_cancelled(&self, run: &RunId) -> Result<bool, LoadError> {
        Ok(self.storage.cancelled(run).await?.is_some())
    }
}
