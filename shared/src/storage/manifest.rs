//! A run's plan in storage: what was asked, and everything a worker or loader needs to do it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    chunk::{ChunkRange, ExecutionMode, RunId, SourceId, UploadMode},
    config::spec::SourceSpec,
    contract::Contract,
};

/// The format version that this build writes.
pub const MANIFEST_VERSION: u32 = 1;
/// The same of the documents that stop a run or a source: cancelled, paused.
pub const STOP_VERSION: u32 = 1;
/// Bytes of the sha256 that a plan's digest shows.
const DIGEST_BYTES: usize = 8;

/// What a run is: created once, never changed. A run exists from its manifest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// The user's key, when one was given.
    pub idempotency_key: Option<String>,
    /// First day asked for.
    pub start_date: NaiveDate,
    /// Last day asked for; it belongs.
    pub end_date: NaiveDate,
    /// What happens to the rows.
    pub upload: Upload,
    /// The first source that fails ends the others.
    pub fail_fast: bool,
    /// Loading was left to `nstore serve`.
    pub detached: bool,
    /// The newest extraction that the ledger held for its tables when it was asked for: its own count as later, whatever
    /// became of the clock meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extracted_after: Option<DateTime<Utc>>,
    /// One per source, in the order asked for.
    pub sources: Vec<SourcePlan>,
    /// Sources that were asked for and are not extracted: their tables would not take the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedPlan>,
}

/// A source that was asked for and is not extracted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedPlan {
    /// What was planned.
    pub plan: SourcePlan,
    /// Why it is not extracted, and what to do.
    pub reason: String,
}

impl Manifest {
    /// Moves sources to those that are not extracted, each with the reason.
    pub fn refuse(&mut self, reasons: &BTreeMap<SourceId, String>) {
        let sources = std::mem::take(&mut self.sources);
        for plan in sources {
            match reasons.get(&plan.source) {
                Some(reason) => self.refused.push(RefusedPlan { plan, reason: reason.clone() }),
                None => self.sources.push(plan),
            }
        }
    }

    /// The plan of one source.
    pub fn source(&self, source: &SourceId) -> Option<&SourcePlan> {
        self.sources.iter().find(|plan| plan.source == *source)
    }

    /// Hex digits of the sha256 of what was planned: equal for two runs that ask for the same, whatever was refused.
    pub fn fingerprint(&self) -> String {
        let refused = self.refused.iter().map(|refused| &refused.plan);
        let mut plans: Vec<&SourcePlan> = self.sources.iter().chain(refused).collect();
        plans.sort_by(|a, b| a.source.cmp(&b.source));
        let asked = (&self.start_date, &self.end_date, &self.upload, self.fail_fast, &plans);
        hex::encode(Sha256::digest(serde_json::to_vec(&asked).unwrap_or_default()))
    }

    /// Hex digits of the sha256 of what decides which rows are loaded where: each source's table, upload mode and chunks.
    /// Unlike [`Manifest::fingerprint`] it stays the same when descriptions of sources get new fields.
    pub fn load_identity(&self) -> String {
        let mut lines: Vec<String> = self.sources.iter().map(SourcePlan::load_identity).collect();
        lines.sort_unstable();
        hex::encode(Sha256::digest(lines.join("\n")))
    }
}

/// What happens to a run's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// They are loaded; otherwise stored only.
    pub enabled: bool,
    /// Days that another run loaded are deleted first (append without a key).
    pub reload: bool,
    /// A replace may lack days that the table holds.
    pub allow_shrink: bool,
}

/// One source's part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// The source.
    pub source: SourceId,
    /// Its resolved, secret-free description.
    pub spec: SourceSpec,
    /// What its rows look like.
    pub contract: Contract,
    /// Days per chunk, as planned.
    pub chunk_days: u32,
    /// How its chunks are run.
    pub execution: ExecutionMode,
    /// Why so: `asked for`, `3 chunks are fewer than 4`.
    pub execution_reason: String,
    /// The most chunks of this run in flight.
    pub parallel_workers: u32,
    /// What its loads do.
    pub upload_mode: UploadMode,
    /// Touching, disjoint, in order; their union is the range asked for.
    pub chunks: Vec<ChunkRange>,
}

impl SourcePlan {
    fn load_identity(&self) -> String {
        let chunks: Vec<String> = self.chunks.iter().map(ToString::to_string).collect();
        format!("{} {} {} {}", self.source, self.contract.table, self.upload_mode, chunks.join(" "))
    }

    /// Hex digits of a sha256 over all that decides how a chunk is extracted: which chunks there are is left out.
    /// Equal digests extract equally.
    pub fn digest(&self) -> String {
        let decides = (&self.source, &self.spec, &self.contract, self.upload_mode);
        let sum = Sha256::digest(serde_json::to_vec(&decides).unwrap_or_default());
        hex::encode(&sum[..DIGEST_BYTES])
    }

    /// The zone in which its days are counted.
    pub fn zone(&self) -> Tz {
        self.spec.timezone
    }

    /// True for an append into a table without a key: no key keeps its rows from coming twice.
    pub fn is_keyless_append(&self) -> bool {
        self.upload_mode == UploadMode::Append && self.contract.key.is_empty()
    }

    /// The most of its chunks in flight over all runs: by the source's width, and by the sessions that its login may
    /// have.
    pub fn width(&self) -> Option<u32> {
        narrower(self.spec.width, self.spec.max_sessions())
    }
}

fn narrower(width: Option<u32>, max_sessions: u32) -> Option<u32> {
    match width {
        Some(width) => Some(width.min(max_sessions)),
        None => (max_sessions < u32::MAX).then_some(max_sessions),
    }
}

/// Why a run runs no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Format version of this document.
    pub version: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom or what, for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_never_exceeds_the_sessions_of_a_login() {
        assert_eq!(narrower(None, u32::MAX), None, "nothing limits it");
        assert_eq!(narrower(Some(5), u32::MAX), Some(5));
        assert_eq!(narrower(None, 2), Some(2));
        assert_eq!((narrower(Some(5), 2), narrower(Some(1), 2)), (Some(2), Some(1)));
    }
}
