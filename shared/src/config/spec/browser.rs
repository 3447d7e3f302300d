//! A dashboard, resolved: how one gets in, which steps lead to the rows, how they are read.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use chrono_tz::Tz;

use super::SecretRef;
use crate::{
    config::{cell_format::CellFormat, path::FieldPath, template::Template},
    retry::millis,
};

/// Where an element is: CSS; XPath when it starts with `/` or `(`; visible text after `text=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(pub String);

/// Clock and language of a browser, whatever its host has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BrowserClock {
    /// The zone by which its pages draw times.
    pub timezone: Tz,
    /// The language by which its pages draw numbers and dates, as a BCP 47 tag such as `en-US`.
    pub locale: String,
}

impl BrowserClock {
    /// The language of sources that say nothing.
    pub const DEFAULT_LOCALE: &str = "en-US";

    /// The clock of a source that says nothing but its own zone.
    pub fn of_zone(timezone: Tz) -> Self {
        Self { timezone, locale: Self::DEFAULT_LOCALE.to_owned() }
    }
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrowserSpec {
    /// How many browsers may be signed in at once.
    pub max_sessions: u32,
    /// How one signs in; `None` when the pages are open to all.
    pub login: Option<Login>,
    /// Clock and language of the browser; `None` in a spec of an older version, which means the source's zone and
    /// [`BrowserClock::DEFAULT_LOCALE`].
    #[serde(default)]
    pub clock: Option<BrowserClock>,
    /// What is done for each chunk.
    pub steps: Vec<Step>,
    /// How long one try of a chunk may take.
    #[serde(with = "millis")]
    pub chunk_timeout: Duration,
}

impl BrowserSpec {
    /// The secrets that it needs.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let login = self.login.iter().flat_map(|login| [&login.username, &login.password]);
        let filled = self.steps.iter().filter_map(|step| match &step.act {
            Act::Fill { text: FillText::Secret(name), .. } => Some(name),
            _ => None,
        });
        login.chain(filled).collect()
    }

    /// Those of its secrets that are user names.
    pub fn user_names(&self) -> Vec<&SecretRef> {
        self.login.iter().map(|login| &login.username).collect()
    }

    /// How its rows are read; a checked config has such a step.
    pub fn read(&self) -> Option<&Read> {
        self.steps.iter().find_map(|step| match &step.act {
            Act::Read(read) => Some(&**read),
            _ => None,
        })
    }
}

/// How one signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Which pages there are on the way.
    pub flow: LoginFlow,
    /// Where it starts.
    pub url: String,
    /// The account's name.
    pub username: SecretRef,
    /// Its password.
    pub password: SecretRef,
    /// What only a signed-in page shows.
    pub signed_in: Option<Selector>,
    /// How long it may take.
    #[serde(with = "millis")]
    pub timeout: Duration,
}

/// Which pages there are on the way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LoginFlow {
    /// Microsoft's: account, password, "Stay signed in?", in whatever order it asks.
    Microsoft,
    /// One page with two fields and a button.
    Form {
        /// The field for the name.
        username_field: Selector,
        /// The field for the password.
        password_field: Selector,
        /// The button.
        submit: Selector,
        /// What says why it was refused.
        error: Option<Selector>,
    },
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// How long it may take.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// The iframe in which it is done; `None` is the page itself.
    pub frame: Option<Selector>,
    /// Where the page has no such iframe, it is done in the page itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frame_optional: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Opens an address.
    Goto(Template),
    /// Writes into a field.
    Fill {
        /// The field.
        selector: Selector,
        /// What is written.
        text: FillText,
    },
    /// Clicks an element; dates of the chunk may stand in its selector.
    Click(Template),
    /// Moves the mouse onto an element; dates of the chunk may stand in its selector.
    Hover(Template),
    /// Presses a key.
    Press {
        /// As browsers name it.
        key: String,
        /// The element that gets it; the focused one unless said.
        selector: Option<Selector>,
    },
    /// Waits until an element is to be seen; dates of the chunk may stand in its selector.
    WaitFor(Template),
    /// Waits until none is.
    WaitGone(Template),
    /// Chooses an option of a `select` element.
    Select {
        /// The element.
        selector: Selector,
        /// The option's text or value.
        option: Template,
    },
    /// Sets a filter, and reads it back.
    ApplyFilter(Filter),
    /// Reads the rows.
    Read(Box<Read>),
}

impl Act {
    /// The word for it in a source file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Goto(_) => "goto",
            Self::Fill { .. } => "fill",
            Self::Click(_) => "click",
            Self::Hover(_) => "hover",
            Self::Press { .. } => "press",
            Self::WaitFor(_) => "wait_for",
            Self::WaitGone(_) => "wait_gone",
            Self::Select { .. } => "select",
            Self::ApplyFilter(_) => "apply_filter",
            Self::Read(_) => "read",
        }
    }
}

/// What is written into a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillText {
    /// A text with dates of the chunk.
    Text(Template),
    /// A secret's value.
    Secret(SecretRef),
}

/// A filter that is set to the chunk's dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Its `aria-label`, or its visible text.
    pub label: String,
    /// The entry to choose in it, by its visible text.
    pub option: Option<String>,
    /// Which field gets which text, in this order.
    pub fill: Vec<(Selector, Template)>,
    /// Each field is ended by the Enter key.
    pub enter: bool,
    /// The button that applies it, by its visible text.
    pub submit: Option<String>,
    /// What the page shows once it is applied; empty: what was filled in.
    pub shows: Vec<Template>,
    /// Where it shows that; the label and what is around it unless said.
    pub shown_in: Option<Selector>,
}

/// How the rows are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The lanes in order: the next one is the fallback.
    pub lanes: Vec<LaneSpec>,
    /// The columns, in the order of the grid's cells.
    pub columns: Vec<String>,
    /// A chunk without a row is right.
    pub allow_empty: bool,
    /// The element that is to be seen where there are no rows.
    #[serde(default)]
    pub empty: Option<Selector>,
    /// The element that says how many rows there are.
    pub total: Option<Selector>,
    /// What is to be seen while the page is still loading.
    pub busy: Option<Selector>,
    /// Parts of addresses whose requests are not waited for.
    pub ignore: Vec<String>,
    /// How long the page must have been quiet before it is read.
    #[serde(with = "millis")]
    pub settle: Duration,
}

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
