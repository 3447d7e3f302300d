//! Pages of an API: how one leads to the next, where their records are, what their answers mean.

use serde::{Deserialize, Serialize};

use crate::config::path::FieldPath;

/// How to get from one page to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Paginator {
    /// There is one page.
    None {
        /// Where the body says how many records there are in all.
        #[serde(default)]
        total_path: Option<FieldPath>,
        /// Where the body says whether more records follow.
        #[serde(default)]
        has_more_path: Option<FieldPath>,
    },
    /// Pages have numbers.
    PageNumber {
        /// Parameter of the page's number.
        page_param: String,
        /// Number of the first page.
        start_page: u64,
        /// Parameter of the page's size, if it is sent.
        size_param: Option<String>,
        /// Records per page.
        size: u64,
        /// Where the body says how many pages there are.
        total_pages_path: Option<FieldPath>,
        /// Where the body says how many records there are in all.
        total_path: Option<FieldPath>,
        /// Where the body says whether another page follows.
        has_more_path: Option<FieldPath>,
    },
    /// Records are skipped (limit/offset, count/skip).
    Offset {
        /// Parameter of the number of records to skip.
        offset_param: String,
        /// Parameter of the page's size.
        limit_param: String,
        /// Records per page.
        limit: u64,
        /// The first offset; 0 unless the API counts from elsewhere.
        start: u64,
        /// Where the body says how many records there are in all.
        total_path: Option<FieldPath>,
        /// Where the body says whether another page follows.
        has_more_path: Option<FieldPath>,
    },
    /// Each page names the next.
    Cursor {
        /// Where the body names the next page; null or absent on the last.
        cursor_path: FieldPath,
        /// The parameter that carries it back.
        param: String,
        /// Parameter of the page's size, if it is sent.
        limit_param: Option<String>,
        /// Records per page.
        limit: Option<u64>,
        /// Where the body says whether another page follows.
        has_more_path: Option<FieldPath>,
        /// Where the body says how many records there are in all.
        total_path: Option<FieldPath>,
    },
}

/// Where the records are in a page, and how they are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Path of the list, such as `data.items`; empty when the page is the list.
    pub selector: FieldPath,
    /// What null in place of the list means.
    #[serde(default)]
    pub null_list: NoList,
    /// Whether a record may come again on a later page.
    #[serde(default)]
    pub repeats: Repeats,
}

/// What an answer without a list of records means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoList {
    /// The request failed.
    #[default]
    Fail,
    /// There are no records.
    NoRecords,
}

/// Whether a record may come again on a later page of the same chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// It shows that the list changed while it was read: with a key in the mapping the chunk is unproven, else it fails.
    #[default]
    Fail,
    /// The source holds records that are equal.
    Allow,
}

/// What some answers mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorHandler {
    /// Their status is one of these; any when empty.
    pub codes: Vec<u16>,
    /// Their body holds this text.
    pub body_contains: Option<String>,
    /// Their body, as JSON, meets this condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonCondition>,
    /// What follows.
    pub action: ErrorAction,
}

/// A condition on a JSON body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonCondition {
    /// Where to look.
    pub path: FieldPath,
    /// The value there: a text, or a number or boolean as it is written.
    pub equals: Option<String>,
    /// Whether there is a value; null is as good as none.
    pub exists: Option<bool>,
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorAction {
    /// The window holds too much: the chunk is split into two halves.
    SplitWindow,
    /// The same request is sent again, after a wait.
    Retry,
    /// The chunk fails.
    Fail,
    /// The answer is taken as a good one; without a body it has no records.
    Ignore,
}
