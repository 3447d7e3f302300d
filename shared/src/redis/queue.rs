//! Chunks in the queue: enqueue, claim, heartbeat, facts, failures.
//!
//! Every transition is one call of the function library beside this file and may be repeated. The calls stand in
//! `transitions` and `runs`, what they speak of here.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};

use super::Redis;
use crate::{
    chunk::{Chunk, ChunkRange, ChunkState, ExecutionMode, Generation, Kind, RunId, SourceId, WorkerId},
    storage::marker::GrantRef,
};

/// One source's part of a run, as the queue needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// The run.
    pub run: RunId,
    /// The source.
    pub source: SourceId,
    /// Which workers may claim.
    pub kind: Kind,
    /// One at a time and in order, or several.
    pub mode: ExecutionMode,
    /// The most chunks of this run in flight.
    pub parallel_workers: u32,
    /// The most chunks of the source in flight, over all runs.
    pub width: Option<u32>,
    /// A discarded chunk stops the later ones of a sequential run.
    pub stop_on_discard: bool,
    /// Tries of one chunk.
    pub attempts: u32,
    /// Chunks of the source in this run: a sequential one is claimable once so many are in.
    pub total: u64,
    /// The digest of the plan, which grants name; `None` leaves the one that is known.
    pub plan: Option<String>,
}

/// One chunk to enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Its identity.
    pub range: ChunkRange,
    /// Which outcome is wanted; reopens an ended chunk only when higher than the one known.
    pub generation: Generation,
    /// Storage shows no outcome: reopens a chunk that Redis alone calls ended, at the same generation.
    /// Redis must have been read before storage was.
    pub unproven: bool,
}

/// What an enqueue changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// Chunks that were not known.
    pub added: u64,
    /// Chunks that had ended and are available again.
    pub reopened: u64,
}

/// Who asks for work: `nonce` rises with every new claim and stays for a repeated one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// One claim loop.
    pub worker: WorkerId,
    /// Its rising number, from 1.
    pub nonce: u64,
    /// How long a grant lasts without a heartbeat.
    pub lease: Duration,
}

/// What a claim answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A chunk is leased.
    Granted(Grant),
    /// Nothing now.
    Empty {
        /// When to ask again.
        ask_again: Duration,
        /// Nothing is held, and nothing will be granted before more is enqueued: the source need not be asked.
        closed: bool,
    },
}

/// A leased chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The chunk.
    pub chunk: Chunk,
    /// Which outcome is wanted.
    pub generation: Generation,
    /// Worker, nonce and which try it is.
    pub by: GrantRef,
    /// How many tries there are.
    pub attempts: u32,
    /// Its losses are used up: the whole work is to write a `discarded` marker and report it.
    pub discard: Option<String>,
    /// It may be what ended its last workers: nothing else may be at work beside it.
    pub alone: bool,
    /// The digest of the plan by which the chunk was enqueued; `None` when Redis does not know it.
    pub plan: Option<String>,
    /// When, by the source's clock in Redis, which never goes back while Redis keeps it: orders extractions.
    pub granted_at: DateTime<Utc>,
}

/// A lease that someone holds, or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The chunk.
    pub chunk: Chunk,
    /// Which outcome is worked on.
    pub generation: Generation,
    /// Worker, nonce and which try it is.
    pub by: GrantRef,
}

/// How far the extraction of a chunk is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pages read.
    pub pages: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// An outcome that a standing marker proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The chunk.
    pub chunk: Chunk,
    /// Which outcome.
    pub generation: Generation,
    /// Completed, split or discarded.
    pub state: ChunkState,
    /// The lease that this frees, if the reporter holds one.
    pub by: Option<(WorkerId, u64)>,
    /// What came out.
    pub tally: Tally,
    /// For a discard: the error.
    pub error: Option<String>,
}

/// Why a grant is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveBack {
    /// The try failed; another follows after the wait.
    Retry {
        /// Back-off.
        wait: Duration,
        /// For people, in `status`.
        error: String,
    },
    /// No try is counted: the worker ends, or lacks a secret.
    Release,
    /// No try is counted: this worker cannot do it, being too old or ill, and others may.
    Refuse {
        /// For people, in `status`.
        error: String,
    },
    /// No try is counted, and nothing of the source is granted for the wait: 429, or a budget that is used up.
    Defer {
        /// As the source or its budget asks.
        wait: Duration,
        /// For people, in `status`.
        error: String,
    },
}

/// What a heartbeat answers for one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// Held; renewed.
    Ok,
    /// The run is cancelled: stop.
    Cancel,
    /// Someone else holds it, or it has ended.
    Lost,
}

/// How far a source's part of a run is, by Redis's word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Chunks by state; states without any are left out.
    pub chunks: BTreeMap<ChunkState, u64>,
    /// What ended chunks brought.
    pub done: Tally,
    /// What is in flight, by range.
    pub running: Vec<Running>,
    /// A discarded chunk stopped the rest of a sequential run.
    pub stopped: bool,
    /// The run or the source is paused.
    pub paused: bool,
    /// The most recent failure of a try, for people.
    pub last_error: Option<String>,
    /// Nothing of the source is granted for a while, as it asked for that.
    pub hold: Option<Hold>,
    /// How far the server's clock was set back since the source is known; leases and waits do not follow it.
    pub set_back: Duration,
    /// Grants of the source so far, of all runs.
    pub grants: u64,
    /// What does not fit together any more, as Redis lost a key: the run is to be told anew after [`Queue::reset`].
    pub damage: Option<String>,
}

/// A time in which nothing of a source is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// How long it lasts from now on.
    pub left: Duration,
    /// What the source or its budget said.
    pub reason: String,
}

/// A chunk in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The chunk.
    pub range: ChunkRange,
    /// Who has it.
    pub worker: WorkerId,
    /// Which try it is.
    pub attempt: u32,
    /// How far it is.
    pub tally: Tally,
}

/// A chunk as Redis knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where it stands.
    pub state: ChunkState,
    /// Which outcome is meant; 0 for one that ended so long ago that Redis keeps no more of it.
    pub generation: Generation,
}

/// The door to chunks.
#[derive(Clone)]
pub struct Queue {
    pub(super) redis: Redis,
}
