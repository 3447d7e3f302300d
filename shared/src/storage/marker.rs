//! A chunk's outcome in storage, and what voids it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    chunk::{Chunk, ChunkRange, ChunkState, Generation, WorkerId},
    config::spec::browser::{BrowserClock, Lane},
    retry::FailureClass,
};

/// The format version that this build writes. A field that may be absent keeps it: markers of before stay readable.
pub const MARKER_VERSION: u32 = 1;

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
    /// When the grant's work started: the extraction time that the ledger keeps.
    pub started_at: DateTime<Utc>,
    /// When it ended.
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

/// What was seen that speaks for the completeness of a chunk. Not all of it proves it: see [`Evidence::is_proof`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Evidence {
    /// The body's total is the number of records received.
    TotalAgreed {
        /// That number.
        total: u64,
    },
    /// The body's number of pages was read.
    AllPagesRead {
        /// That number.
        pages: u64,
    },
    /// The page after the last one was asked for, and is empty.
    EmptyLastPage,
    /// The last page held fewer records than asked for: many servers cap pages, so this proves nothing.
    ShortLastPage {
        /// Its records.
        records: u64,
    },
    /// The body said that nothing follows: null cursor, or no more.
    EndOfList,
    /// The source answered that there are no records (204, or as its description says), rather than with a list.
    NoRecords,
    /// The source is described as having one page only, which nothing in its answer confirms.
    SinglePage,
    /// The answer behind the page said that it is complete (`IC` of a DSR), with nothing to ask again for.
    AnswerComplete,
    /// The grid said how many rows it has (`aria-rowcount` without the header), and so many were read.
    GridRowCount {
        /// That number.
        rows: u64,
    },
    /// The grid was scrolled until two looks in a row found it at the same place, with nothing new in it.
    ScrolledToEnd {
        /// Rows read on the way.
        rows: u64,
    },
    /// An export, an answer or a grid has fewer rows than it may have: it was not cut off.
    #[serde(alias = "export_below_cap")]
    BelowCap {
        /// Rows that came.
        rows: u64,
        /// The most that can.
        cap: u64,
    },
    /// The page's filter, read back after it was set, is the chunk's range.
    FilterShown {
        /// Its text as the page showed it.
        text: String,
    },
    /// The pager had no next page.
    PagerEnded {
        /// Pages read.
        pages: u64,
    },
    /// The page showed the element that says that there are no rows.
    EmptyShown {
        /// Its text.
        text: String,
    },
}

impl Evidence {
    /// Whether it shows by itself that no row is missing.
    pub fn is_proof(&self) -> bool {
        match self {
            Self::TotalAgreed { .. }
            | Self::AllPagesRead { .. }
            | Self::EmptyLastPage
            | Self::EndOfList
            | Self::NoRecords
            | Self::AnswerComplete
            | Self::GridRowCount { .. }
            | Self::ScrolledToEnd { .. }
            | Self::BelowCap { .. }
            | Self::PagerEnded { .. }
            | Self::EmptyShown { .. } => true,
            Self::ShortLastPage { .. } | Self::SinglePage | Self::FilterShown { .. } => false,
        }
    }

    /// Its name in reports and in the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TotalAgreed { .. } => "total",
            Self::AllPagesRead { .. } => "page count",
            Self::EmptyLastPage => "empty page",
            Self::ShortLastPage { .. } => "short page",
            Self::EndOfList => "end of list",
            Self::NoRecords => "no records",
            Self::SinglePage => "single page",
            Self::AnswerComplete => "complete answer",
            Self::GridRowCount { .. } => "row count",
            Self::ScrolledToEnd { .. } => "end of grid",
            Self::BelowCap { .. } => "below cap",
            Self::FilterShown { .. } => "filter",
            Self::PagerEnded { .. } => "last page",
            Self::EmptyShown { .. } => "empty notice",
        }
    }
}

/// Something that people should know of a chunk whose rows are good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChunkWarning {
    /// No record had the field of a column, so that all its values are null.
    FieldAbsent {
        /// The column.
        column: String,
        /// The path of the field.
        path: String,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// Records lay outside the chunk by more than one step of the source's bounds, and were left out.
    OutsideWindow {
        /// How many.
        records: u64,
        /// The times of some of them, as RFC 3339 or as a date.
        examples: Vec<String>,
    },
    /// Rows were left out because the chunk has them already: same key, equal values.
    DuplicatesDropped {
        /// How many.
        rows: u64,
        /// The key of one.
        example: String,
    },
    /// Nothing showed that the list that was read is the whole one.
    EndUnknown {
        /// Fields of the answer that may say so: paths with their values.
        fields: Vec<String>,
    },
    /// The source's list changed while it was read page by page.
    ListMoved {
        /// What was seen.
        detail: String,
    },
}

impl ChunkWarning {
    /// Adds the figures of another chunk's warning of the same kind; `false` when it is of another kind.
    pub fn absorb(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::FieldAbsent { column, .. }, Self::FieldAbsent { column: same, .. }) => column == same,
            (Self::OutsideWindow { records, .. }, Self::OutsideWindow { records: more, .. }) => {
                *records += more;
                true
            }
            (Self::DuplicatesDropped { rows, .. }, Self::DuplicatesDropped { rows: more, .. }) => {
                *rows += more;
                true
            }
            (Self::EndUnknown { .. }, Self::EndUnknown { .. })
            | (Self::ListMoved { .. }, Self::ListMoved { .. }) => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for ChunkWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FieldAbsent { column, path, hint } => {
                write!(f, "column `{column}`: no record has the field `{path}`")?;
                hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
            Self::OutsideWindow { records, examples } => {
                write!(
                    f,
                    "{records} records lie outside the chunk and were left out, such as {}",
                    examples.join(", ")
                )
            }
            Self::DuplicatesDropped { rows, example } => {
                write!(
                    f,
                    "{rows} rows came twice with equal values and were left out once, such as {example}"
                )
            }
            Self::EndUnknown { fields } if fields.is_empty() => {
                f.write_str("nothing in the answer shows that it is the whole list")
            }
            Self::EndUnknown { fields } => write!(
                f,
                "nothing shows that the list is complete; the answer has {}: name what says so under `paginator`",
                fields.join(", ")
            ),
            Self::ListMoved { detail } => write!(f, "the list changed while it was read: {detail}"),
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// The artifact is gone or its sha256 is wrong; the third one discards the chunk.
    Damaged,
    /// A user retries a discarded chunk.
    Retried,
    /// Partly covered by newer extractions: extracted anew.
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
