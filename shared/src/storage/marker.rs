//! A chunk's outcome in storage, and what voids it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    chunk::{Chunk, ChunkRange, ChunkState, Generation, WorkerId},
    config::spec::browser::{BrowserClock, Lane},
    retry::FailureClass,
};

mod evidence;

pub use evidence::{ChunkWarning, Evidence};

/// The format version that this build writes. A field that may be absent keeps it: markers of before stay readable.
pub const MARKER_VERSION: u32 = 1;
/// Bytes of the sha256 that the digest of an answer shows.
const ANSWER_DIGEST_BYTES: usize = 8;

/// The outcome of one generation of a chunk: written once, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// Format version of this document.
    pub version: u32,
    /// The chunk.
    pub chunk: Chunk,
    /// Which outcome of the chunk.
    pub generation: Generation,
    /// The grant that ended it.
    pub grant: GrantRef,
    /// When the work was granted, by the clock of Redis, and later than [`Manifest::extracted_after`]: the extraction time
    /// that the ledger keeps, by which extractions are ordered. The clocks of workers have no part in it.
    ///
    /// [`Manifest::extracted_after`]: super::manifest::Manifest::extracted_after
    pub started_at: DateTime<Utc>,
    /// When it ended: `started_at` and the time that the work took.
    pub finished_at: DateTime<Utc>,
    /// What came out.
    pub outcome: Outcome,
}

/// Which grant of the queue something was done under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantRef {
    /// The claim loop that held it.
    pub worker: WorkerId,
    /// Its rising number.
    pub nonce: u64,
    /// Which try of the chunk it was, from 1.
    pub attempt: u32,
}

/// How a chunk ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Outcome {
    /// Its rows are stored.
    Committed(Box<Committed>),
    /// Two halves stand for it.
    Split {
        /// They touch and cover it.
        halves: [ChunkRange; 2],
        /// The answer that asked for it; `None` where nothing came in time, or an older build wrote this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<SplitAnswer>,
    },
    /// It failed for good (dead letter).
    Discarded {
        /// The last failure's class.
        class: FailureClass,
        /// The last failure's text.
        error: String,
        /// Tries that failed.
        attempts: u32,
        /// Rejected rows that were kept, by artifact name.
        rejects: Option<String>,
        /// The failure bundle of the last try: its folder, relative to the store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bundle: Option<String>,
    },
}

impl Marker {
    /// The end that the coordinator gives a chunk which no worker will end.
    pub fn discarded_by_coordinator(
        chunk: Chunk,
        generation: Generation,
        class: FailureClass,
        error: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            version: MARKER_VERSION,
            chunk,
            generation,
            grant: GrantRef { worker: WorkerId::coordinator(), nonce: 0, attempt: 0 },
            started_at: now,
            finished_at: now,
            outcome: Outcome::Discarded { class, error, attempts: 0, rejects: None, bundle: None },
        }
    }

    /// What is stored, when it is that.
    pub fn committed(&self) -> Option<&Committed> {
        match &self.outcome {
            Outcome::Committed(committed) => Some(committed),
            Outcome::Split { .. } | Outcome::Discarded { .. } => None,
        }
    }
}

impl Outcome {
    /// The queue's state for it.
    pub fn state(&self) -> ChunkState {
        match self {
            Self::Committed(_) => ChunkState::Completed,
            Self::Split { .. } => ChunkState::Split,
            Self::Discarded { .. } => ChunkState::Discarded,
        }
    }
}

/// A stored artifact and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// Its file.
    pub artifact: ArtifactRef,
    /// Data rows, without the header.
    pub rows: u64,
    /// The header.
    pub columns: Vec<String>,
    /// [`crate::contract::Contract::version`] of what its rows were checked against.
    pub contract: String,
    /// Figures on its rows.
    pub quality: Quality,
    /// What was seen that speaks for its completeness; see [`Committed::proof`].
    pub evidence: Vec<Evidence>,
    /// What is to be known of its rows beside the figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ChunkWarning>,
    /// Pages read.
    pub pages: u64,
    /// By which lane a browser read them; `None` for what came over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Clock and language of the browser that read them; `None` for what came over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<BrowserClock>,
}

impl Committed {
    /// The strongest evidence that no row is missing; `None` makes the chunk *unproven*.
    pub fn proof(&self) -> Option<&Evidence> {
        self.evidence.iter().find(|evidence| evidence.is_proof())
    }
}

/// The answer of a source that asked for a split: halves that get the same one are not split on and on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitAnswer {
    /// What kind of answer.
    pub kind: SplitAnswerKind,
    /// Hex digits of a sha256 over what came, without the request.
    pub digest: String,
    /// How many chunks above this one, each a part of a day or a day, had the same answer in a row.
    #[serde(default)]
    pub repeated: u32,
}

impl SplitAnswer {
    /// An answer by what came; nothing is known yet of the chunks above.
    pub fn new(kind: SplitAnswerKind, seen: &[u8]) -> Self {
        Self { kind, digest: hex::encode(&Sha256::digest(seen)[..ANSWER_DIGEST_BYTES]), repeated: 0 }
    }
}

/// What kind of answer asked for a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitAnswerKind {
    /// Records, more than a limit allows.
    Records,
    /// A refusal, which `error_handlers` take for a window that is too wide.
    Refusal,
}

/// One file of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Its file name beside the marker.
    pub name: String,
    /// Hex digits of its sha256.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Figures on the rows of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Nulls by column; columns without any are left out.
    pub nulls: BTreeMap<String, u64>,
    /// Smallest and largest value of each date or timestamptz column, as written in the artifact.
    pub spans: BTreeMap<String, (String, String)>,
    /// Rows that did not fit the contract.
    pub rejected: u64,
    /// The file that keeps them.
    pub rejects: Option<ArtifactRef>,
    /// Rows that the API sent but that lie outside the chunk.
    pub outside_window: u64,
    /// NUL characters taken out of values.
    pub nul_stripped: u64,
    /// Rows left out because the chunk has them already: same key, equal values.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicates: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why an outcome counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// Format version of this document.
    pub version: u32,
    /// When it was voided.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: VoidReason,
    /// For people: what was found.
    pub detail: String,
}

/// That a discarded outcome is let be: known, and not to be retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Format version of this document.
    pub version: u32,
    /// When it was dropped.
    pub at: DateTime<Utc>,
    /// Why, for people.
    pub reason: String,
}

/// Why an outcome counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// The artifact is gone or its sha256 is wrong; the third one discards the chunk.
    Damaged,
    /// A user retries a discarded chunk.
    Retried,
    /// Partly covered by newer extractions: it is extracted again; the third one discards the chunk.
    Outdated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_written_before_there_were_browsers_are_read() {
        let text = r#"{"type":"discarded","class":"data","error":"e","attempts":2,"rejects":null}"#;
        let discarded: Outcome = serde_json::from_str(text).unwrap();
        assert!(matches!(discarded, Outcome::Discarded { attempts: 2, bundle: None, .. }), "{discarded:?}");
        let text = r#"{"type":"committed","artifact":{"name":"n","sha256":"","bytes":1},"rows":1,"columns":["a"],
            "contract":"c","quality":{"nulls":{},"spans":{},"rejected":0,"rejects":null,"outside_window":0,
            "nul_stripped":0},"evidence":[{"type":"single_page"}],"pages":1}"#;
        let committed: Outcome = serde_json::from_str(text).unwrap();
        let Outcome::Committed(committed) = committed else { panic!("{committed:?}") };
        assert_eq!((committed.lane, &committed.evidence[..]), (None, &[Evidence::SinglePage][..]));
        assert!(
            !serde_json::to_string(&committed).unwrap().contains("lane"),
            "what is not there is not written"
        );
    }

    #[test]
    fn what_shows_that_a_browser_read_all_has_one_text() {
        let evidence = [
            Evidence::AnswerComplete,
            Evidence::GridRowCount { rows: 5 },
            Evidence::ScrolledToEnd { rows: 5 },
            Evidence::BelowCap { rows: 5, cap: 30_000 },
            Evidence::FilterShown { text: "01/08/2025 - 02/08/2025".into() },
            Evidence::PagerEnded { pages: 2 },
            Evidence::EmptyShown { text: "No data".into() },
        ];
        let text = serde_json::to_string(&evidence).unwrap();
        assert!(text.contains(r#"{"type":"below_cap","rows":5,"cap":30000}"#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Evidence>>(&text).unwrap(), evidence);
        let older = text.replace("below_cap", "export_below_cap");
        assert_eq!(serde_json::from_str::<Vec<Evidence>>(&older).unwrap(), evidence);
        for lane in [Lane::Response, Lane::Export, Lane::Grid] {
            assert_eq!(serde_json::to_string(&lane).unwrap(), format!("\"{lane}\""));
        }
    }
}
