//! What a page says about itself and about the rest of its list, read in one pass and never as a tree. Pure.

mod pointers;

pub(super) use pointers::Pointers;

/// What a page says about itself and about what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageFacts {
    /// A number for each of its records, equal for equal ones.
    pub(super) records: Vec<u64>,
    /// Records in all, as it says.
    pub(super) total: Signal<u64>,
    /// Pages in all, as it says.
    pub(super) total_pages: Signal<u64>,
    /// What names the next page.
    pub(super) cursor: Signal<String>,
    /// Whether another page follows, as it says.
    pub(super) has_more: Signal<bool>,
    /// A `Link` header names a next page.
    pub(super) has_link: bool,
    /// The answer says of itself that it is a part (206).
    pub(super) is_partial: bool,
    /// The source answered that it has no records, rather than with an empty list.
    pub(super) is_none: bool,
}

/// What is at a path that was to say something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Signal<T> {
    /// Nothing; a name that differs in a slip is there perhaps.
    #[default]
    Absent,
    /// Nothing, but a key is there that differs in a slip.
    Misspelt,
    /// Null.
    Null,
    /// A value.
    Value(T),
}

impl<T: Clone> Signal<T> {
    /// The value, where there is one.
    pub(super) fn value(&self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Absent | Self::Misspelt | Self::Null => None,
        }
    }

    /// Whether the path leads nowhere.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Misspelt)
    }
}

/// Why a body says nothing about its page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FactsError {
    #[error("the answer is empty")]
    Empty,
    #[error("the JSON is cut off after {bytes} bytes ({reason})")]
    CutOff { bytes: usize, reason: String },
    #[error("the answer is not valid JSON ({reason})")]
    Syntax { reason: String },
    #[error("the answer has no list of records at `{selector}`: {found}; correct `records.selector`")]
    NoRecords { selector: String, found: String },
    #[error(
        "null is in place of the list of records at `{selector}`; if it means that there are none, say \
         `records: {{ null_list: no_records }}`"
    )]
    NullList { selector: String },
    #[error("`{path}` in the answer is `{found}`, which is not a {expected}; correct `{key}`")]
    Value { path: String, found: String, expected: &'static str, key: &'static str },
    #[error(
        "the answer says that it failed: `{field}` is `{value}`; if that is not a failure, say so with \
         `error_handlers: [{{ when: {{ json: {{ path: {field}, exists: true }} }}, action: ignore }}]`"
    )]
    Refused { field: String, value: String },
}

impl FactsError {
    /// Whether the same request may well be answered whole the next time.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Empty | Self::CutOff { .. } | Self::Refused { .. })
    }

    /// Whether the source's description is at fault rather than the answer.
    pub(super) fn is_config(&self) -> bool {
        matches!(self, Self::NoRecords { .. } | Self::Value { .. })
    }
}

/// What a path is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Total,
    TotalPages,
    Cursor,
    HasMore,
    /// A field by which answers of status 200 say that they failed.
    Refusal(&'static str),
}

impl Want {
    /// Its key in the source's file.
    pub(super) fn config_key(self) -> &'static str {
        match self {
            Self::Total => "paginator.total_path",
            Self::TotalPages => "paginator.total_pages_path",
            Self::Cursor => "paginator.cursor_path",
            Self::HasMore => "paginator.has_more_path",
            Self::Refusal(_) => "error_handlers",
        }
    }
}

#[cfg(test)]
mod tests;
