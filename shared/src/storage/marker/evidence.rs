//! What speaks for the completeness of a chunk, and what people should know of it besides.

use serde::{Deserialize, Serialize};

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
    /// Local times were read that a clock change repeats: which of two instants they mean is not certain.
    RepeatedTimes {
        /// How many.
        times: u64,
        /// Which instant was taken: `first` or `last`.
        taken: String,
        /// One of them, with the zone.
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
            (Self::RepeatedTimes { times, .. }, Self::RepeatedTimes { times: more, .. }) => {
                *times += more;
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
            Self::RepeatedTimes { times, taken, example } => write!(
                f,
                "{times} local times are repeated by a clock change, such as {example}; the {taken} of the two instants was \
                 taken (`ambiguous` in the mapping)"
            ),
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
