//! How the rows of a dashboard are read: by the answer behind the page, by its export, or off the page.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::config::{cell_format::CellFormat, path::FieldPath};

/// One way to read the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSpec {
    /// What is read.
    pub how: LaneHow,
    /// What the lane calls each of [`Read::columns`], in their order.
    pub names: Vec<String>,
    /// How the lane writes a column; those that are written plainly are left out.
    pub formats: BTreeMap<String, CellFormat>,
    /// So many rows mean that more were cut off.
    pub cap: Option<u64>,
}

/// What a lane reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneHow {
    /// The answer behind the page.
    Response {
        /// A part of the address that is asked.
        url: String,
        /// How it is written.
        format: AnswerFormat,
        /// For JSON: where the records lie.
        records: FieldPath,
        /// For JSON: what several answers are to each other.
        #[serde(default)]
        parts: Parts,
    },
    /// The page's own export.
    Export {
        /// What is clicked for it.
        clicks: Vec<Selector>,
        /// What comes down.
        format: ExportFormat,
        /// How the file is laid out.
        #[serde(flatten)]
        layout: SheetLayout,
    },
    /// What is to be seen.
    Grid {
        /// The element that holds the rows.
        selector: Selector,
        /// The columns are told by their headers, not by their place.
        by_header: bool,
        /// Blanks at both ends of a cell are taken away.
        #[serde(default)]
        trim: bool,
        /// How to get from page to page; `None` when there is one.
        paginate: Option<Paginate>,
    },
}

impl LaneHow {
    /// Which lane it is.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Response { .. } => Lane::Response,
            Self::Export { .. } => Lane::Export,
            Self::Grid { .. } => Lane::Grid,
        }
    }
}

/// A way by which the rows of a page come out of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The answer behind the page.
    Response,
    /// The page's own export.
    Export,
    /// What is to be seen.
    Grid,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Response => "response",
            Self::Export => "export",
            Self::Grid => "grid",
        })
    }
}

/// How an answer behind a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// Power BI's query answer.
    Dsr,
    /// A JSON document with an array of records.
    Json,
}

/// What several answers that hold the columns are to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// Parts of one list, which are joined.
    #[default]
    Join,
    /// Answers to the same question at different times: the newest replaces the others.
    Newest,
}

/// How an exported file is laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetLayout {
    /// Between two fields of a CSV.
    pub delimiter: Delimiter,
    /// The sheet of a workbook; `None` is the first one.
    pub sheet: Option<String>,
    /// The encoding of a CSV without a byte order mark, by a label of the WHATWG Encoding Standard; `None` is UTF-8.
    #[serde(default)]
    pub encoding: Option<String>,
    /// The line of the headers, from 1; `None`: the first line of a CSV, and the first row of a sheet that holds all columns.
    #[serde(default)]
    pub header_row: Option<u32>,
    /// Rows at the end that are left out.
    #[serde(default)]
    pub skip_footer: u32,
    /// Rows whose first text begins with one of these are left out.
    #[serde(default)]
    pub drop_rows: Vec<String>,
}

/// What an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// Text with a header.
    Csv,
    /// An Excel workbook.
    Xlsx,
}

/// What stands between two fields of a CSV.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Delimiter {
    /// A comma.
    #[default]
    #[serde(rename = ",")]
    Comma,
    /// A semicolon, as programs write it where `,` is the decimal sign.
    #[serde(rename = ";")]
    Semicolon,
    /// A tab.
    #[serde(rename = "\t")]
    Tab,
    /// A vertical bar.
    #[serde(rename = "|")]
    Pipe,
}

/// How to get from page to page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paginate {
    /// What leads to the next page; absent or disabled on the last.
    pub next: Selector,
    /// The next page is another document.
    pub navigates: bool,
    /// More pages are a fault.
    pub max_pages: u64,
}
