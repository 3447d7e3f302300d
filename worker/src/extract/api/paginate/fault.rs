//! What cannot be true of a list that is read to its end.

use nstore_shared::retry::FailureClass;

use crate::extract::api::facts::Want;

/// Why the reading of a list failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::extract::api) enum PagingError {
    #[error(
        "the total went from {before} to {now} while the pages were read, so rows may be missing or double"
    )]
    TotalMoved { before: u64, now: u64 },
    #[error(
        "the number of pages went from {before} to {now} while they were read, so rows may be missing or double"
    )]
    PagesMoved { before: u64, now: u64 },
    #[error(
        "there is nothing at `{key}`, which was to show where the list ends; correct the path",
        key = .0.config_key()
    )]
    PathLeadsNowhere(Want),
    #[error("{received} {what} came, but the total says {total}", what = records_text(*.repeated))]
    TotalDiffers { total: u64, received: u64, repeated: u64 },
    #[error("the cursor `{0}` came a second time; correct `paginator.cursor_path` or `paginator.param`")]
    RepeatedCursor(String),
    #[error(
        "the cursor at `paginator.cursor_path` is an address, `{0}`: this source names its next page by URL, which \
         `type: cursor` cannot follow; use `type: page_number` or `type: offset` if the source has such parameters"
    )]
    CursorIsAddress(String),
    #[error(
        "page {page} has the same records as an earlier page: the source seems to ignore `{param}`; compare \
         `paginator` with its documents"
    )]
    SamePage { page: u64, param: String },
    #[error(
        "{known} of {count} records of page {page} came before: the source seems to ignore `{param}`, or the key of \
         the mapping is not unique; compare `paginator` and `key` with its documents"
    )]
    SameRecords { page: u64, known: u64, count: u64, param: String },
    #[error(
        "{known} records of page {page} came on an earlier page: the list changed while it was read, so rows may be \
         missing or double; where the source holds equal records, say `records: {{ repeats: allow }}`"
    )]
    ListMoved { page: u64, known: u64 },
    #[error("page {0} is empty, but says that more follows")]
    EmptyButMore(u64),
    #[error("page {0} says that more follows, but names no next page at `paginator.cursor_path`")]
    MoreWithoutCursor(u64),
    #[error(
        "page {0} names no next page at `paginator.cursor_path`, but a `Link` header does: the source names its next \
         page by URL, which `type: cursor` cannot follow"
    )]
    LinkWithoutCursor(u64),
    #[error("{}", more_than_one(*.records, *.total, *.has_link))]
    MoreThanOnePage { records: u64, total: Option<u64>, has_link: bool },
    #[error(
        "the answer has {records} records and is a part of the list (206 Partial Content), but `paginator: {{ type: none }}` \
         reads one page; choose `page_number`, `offset` or `cursor`"
    )]
    PartOfTheList { records: u64 },
    #[error("more than {0} pages; raise `limits.max_pages` or make the chunks smaller")]
    TooManyPages(u64),
    #[error(
        "the source gives {0} records of one window and no more (`limits.max_records`), and this one has as many"
    )]
    TooManyRecords(u64),
}

fn records_text(repeated: u64) -> String {
    match repeated {
        0 => "records".to_owned(),
        repeated => format!("different records (and {repeated} of them twice)"),
    }
}

fn more_than_one(records: u64, total: Option<u64>, has_link: bool) -> String {
    let why = match (total, has_link) {
        (Some(total), false) => format!("says that there are {total}"),
        (_, true) => "names a next page in its `Link` header".to_owned(),
        (None, false) => "says that more follow".to_owned(),
    };
    format!(
        "the answer has {records} records and {why}, but `paginator: {{ type: none }}` reads one page; \
         choose `page_number`, `offset` or `cursor`"
    )
}

impl PagingError {
    /// What kind of failure it is.
    pub(in crate::extract::api) fn class(&self) -> FailureClass {
        match self {
            // the data moved: the next attempt reads it again from the start
            Self::TotalMoved { .. }
            | Self::PagesMoved { .. }
            | Self::TotalDiffers { .. }
            | Self::ListMoved { .. } => FailureClass::Transient,
            Self::TooManyPages(_)
            | Self::TooManyRecords(_)
            | Self::PathLeadsNowhere(_)
            | Self::CursorIsAddress(_)
            | Self::LinkWithoutCursor(_)
            | Self::MoreThanOnePage { .. }
            | Self::PartOfTheList { .. } => FailureClass::Config,
            _ => FailureClass::Data,
        }
    }

    /// Whether a smaller window may do.
    pub(in crate::extract::api) fn is_cap(&self) -> bool {
        matches!(self, Self::TooManyPages(_) | Self::TooManyRecords(_))
    }
}
