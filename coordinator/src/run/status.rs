//! How far one source's part of a run is, and what the ledger says of its chunks.

use nstore_shared::{
    chunk::{ChunkRange, ExecutionMode, SourceId, UploadMode},
    retry::FailureClass,
};

use super::{hold::SourceHold, paused::Pause};
use crate::load::{LedgerRow, LedgerState, LoadCounts};

/// How far one source's part of a run is: what people see.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SourceStatus {
    /// The source.
    pub source: SourceId,
    /// How its chunks are run.
    pub mode: ExecutionMode,
    /// What its loads do.
    pub upload_mode: UploadMode,
    /// Chunks in all; the halves of a split one count, it does not.
    pub chunks_total: u64,
    /// Chunks whose rows are stored.
    pub done: u64,
    /// Chunks in flight, by Redis's word.
    pub running: u64,
    /// Chunks that wait out a back-off, by Redis's word.
    pub retryable: u64,
    /// Chunks that failed for good.
    pub discarded: u64,
    /// Chunks that will not run: the run is cancelled.
    pub cancelled: u64,
    /// Rows stored, and those of chunks in flight.
    pub rows: u64,
    /// Bytes stored, and those of chunks in flight.
    pub bytes: u64,
    /// Rows that did not fit their mapping, in stored chunks.
    pub rejected: u64,
    /// Rows left out of stored chunks because they lie outside what was asked, where the source's `window.bounds`
    /// promise that none does.
    pub outside: u64,
    /// Chunks that the ledger holds.
    pub loaded_chunks: u64,
    /// Rows that loads added.
    pub loaded_rows: u64,
    /// Rows that were there already.
    pub skipped_rows: u64,
    /// Rows that were present with other values from an earlier run: the table's rows stayed.
    pub changed_rows: u64,
    /// Rows that the table refused, within the limit of the mapping.
    pub refused_rows: u64,
    /// Rows that took a default of the table for a value that is absent or null.
    pub defaulted_rows: u64,
    /// Chunks whose rows were not loaded, because newer data of their ranges had been.
    pub superseded: u64,
    /// Chunks whose load the table refused.
    pub refused: u64,
    /// A discarded chunk stopped the later ones.
    pub stopped: bool,
    /// Nothing more of it is extracted for now, and why.
    pub paused: Option<Pause>,
    /// The source asked to be left alone for a while, by Redis's word.
    pub hold: Option<SourceHold>,
    /// The most recent failure of a try, for people.
    pub last_error: Option<String>,
}

/// A chunk that has no rows to show, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailedChunk {
    /// The chunk.
    pub range: ChunkRange,
    /// What kind of failure; `None` for one of the load.
    pub class: Option<FailureClass>,
    /// What went wrong.
    pub error: String,
    /// The row that the table refused, as it lies in the artifact.
    pub row: Option<String>,
    /// The folder of the last try's failure bundle, as a URL.
    pub bundle: Option<String>,
}

/// What the ledger says of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoadedChunk {
    pub(super) rows: u64,
    pub(super) skipped: u64,
    pub(super) changed: u64,
    pub(super) rejected: u64,
    pub(super) defaulted: u64,
    /// Newer data of its range had been loaded: its own rows were not.
    pub(super) superseded: bool,
}

impl From<&LedgerRow> for LoadedChunk {
    fn from(row: &LedgerRow) -> Self {
        let LedgerRow { rows, skipped, changed, rejected, defaulted, state, .. } = *row;
        let superseded = state == LedgerState::Superseded;
        Self { rows, skipped, changed, rejected, defaulted, superseded }
    }
}

impl From<&LoadCounts> for LoadedChunk {
    fn from(counts: &LoadCounts) -> Self {
        let LoadCounts { rows, skipped, changed, rejected, defaulted, .. } = *counts;
        Self { rows, skipped, changed, rejected, defaulted, superseded: false }
    }
}
