//! The words of a source file of `kind: browser`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, SecretName, source::Common};
use crate::config::spec::browser::{AnswerFormat, Delimiter, ExportFormat, Lane, Parts};

/// A dashboard: how one gets in, which steps lead to the rows, how they are read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct BrowserFile {
    /// What every source says.
    #[serde(flatten)]
    pub(crate) common: Common,
    /// How many browsers may be signed in at once; above 1, `execution: parallel` is allowed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) max_sessions: u32,
    /// How one signs in; nothing when the pages are open to all.
    pub(crate) login: Option<Login>,
    /// Clock and language of the browser, whatever the worker's host has.
    #[serde(default)]
    pub(crate) browser: BrowserSettings,
    /// The iframe in which steps after `goto` act, as a selector.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) frame: Option<String>,
    /// A page without that iframe is right too: the steps act in the page itself then.
    #[serde(default)]
    pub(crate) frame_optional: bool,
    /// What is done for each chunk, in this order.
    pub(crate) steps: Vec<Step>,
    /// How long things may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
}

fn one() -> u32 {
    1
}

/// Clock and language of the browser, whatever the worker's host has.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrowserSettings {
    /// The IANA zone of the browser's clock, such as `Asia/Kolkata`; the source's `timezone` unless said. Pages draw
    /// times by it. It does not change how cells are read: that is the source's `timezone`.
    #[schemars(extend("x-means" = "zone"))]
    pub(crate) timezone: Option<String>,
    /// The browser's language, such as `de-DE`: pages draw numbers and dates by it. `en-US` unless said.
    #[schemars(extend("x-means" = "locale"))]
    pub(crate) locale: Option<String>,
}

/// How one signs in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "flow", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Login {
    /// Microsoft's: account, password, "Stay signed in?", in whatever order it asks.
    Microsoft {
        /// Where it starts.
        #[schemars(extend("x-means" = "page url"))]
        url: String,
        /// The account's e-mail address.
        username: SecretName,
        /// Its password.
        password: SecretName,
        /// What only a signed-in page shows, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        signed_in: Option<String>,
    },
    /// One page with two fields and a button.
    Form {
        /// Where it starts.
        #[schemars(extend("x-means" = "page url"))]
        url: String,
        /// The account's name.
        username: SecretName,
        /// Its password.
        password: SecretName,
        /// The field for the name, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        username_field: String,
        /// The field for the password, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        password_field: String,
        /// The button, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        submit: String,
        /// What says why it was refused, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        error: Option<String>,
        /// What only a signed-in page shows, as a selector.
        #[schemars(extend("x-means" = "selector"))]
        signed_in: Option<String>,
    },
}

/// One step: exactly one of the words from `goto` to `paginate`, and how it is taken.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Opens an address; dates of the chunk may stand in it: `{start:%Y-%m-%d}`.
    #[schemars(extend("x-means" = "template"))]
    pub(crate) goto: Option<String>,
    /// Writes into a field.
    pub(crate) fill: Option<Fill>,
    /// Clicks an element with the mouse, named by a selector in which dates of the chunk may stand. An element that
    /// stays covered by another one is clicked by script.
    #[schemars(extend("x-means" = "selector template"))]
    pub(crate) click: Option<String>,
    /// Moves the mouse onto an element, as menus that open by themselves want it; dates of the chunk may stand in its
    /// selector.
    #[schemars(extend("x-means" = "selector template"))]
    pub(crate) hover: Option<String>,
    /// Presses a key.
    pub(crate) press: Option<Press>,
    /// Waits until an element is to be seen, named by a selector in which dates of the chunk may stand.
    #[schemars(extend("x-means" = "selector template"))]
    pub(crate) wait_for: Option<String>,
    /// Waits until no element of a selector is to be seen; dates of the chunk may stand in it.
    #[schemars(extend("x-means" = "selector template"))]
    pub(crate) wait_gone: Option<String>,
    /// Chooses an option of a `select` element.
    pub(crate) select: Option<Select>,
    /// Sets a filter to the chunk's dates, and reads it back.
    pub(crate) apply_filter: Option<ApplyFilter>,
    /// Reads the rows.
    pub(crate) read: Option<Read>,
    /// Goes through all pages of the grid that the `read` before it names.
    pub(crate) paginate: Option<Paginate>,
    /// How long this step may take, instead of `timeouts.step`.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) timeout: Option<DurationText>,
    /// The iframe in which this step acts, as a selector; `page` is the page itself.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) frame: Option<String>,
}

/// Writes into a field: a text, or a secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fill {
    /// The field.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) selector: String,
    /// What to write; dates of the chunk may stand in it.
    #[schemars(extend("x-means" = "template"))]
    pub(crate) text: Option<String>,
    /// The name of a secret to write instead.
    #[schemars(extend("x-means" = "secret"))]
    pub(crate) secret: Option<String>,
}

/// Presses a key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Press {
    /// As browsers name it: `Enter`, `Escape`, `Tab`, `ArrowDown`.
    #[schemars(extend("x-means" = "key"))]
    pub(crate) key: String,
    /// The element that gets it; the focused one unless said.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) selector: Option<String>,
}

/// Chooses an option.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Select {
    /// The `select` element.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) selector: String,
    /// The option's text or value.
    #[schemars(extend("x-means" = "template"))]
    pub(crate) option: String,
}

/// Sets a filter to the chunk's dates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyFilter {
    /// The filter's label: its `aria-label`, or its visible text.
    #[schemars(length(min = 1))]
    pub(crate) label: String,
    /// The entry to choose in it, by its visible text.
    pub(crate) option: Option<String>,
    /// Which field gets which text: `{ "#startDate": "{start:%Y-%m-%d}" }`.
    pub(crate) fill: BTreeMap<String, Template>,
    /// The button that applies it, by its visible text.
    pub(crate) submit: Option<String>,
    /// Whether each field is ended by the Enter key; it is where there is no `submit`.
    pub(crate) enter: Option<bool>,
    /// Texts that the page shows once it is applied; what was filled in unless said.
    #[serde(default)]
    pub(crate) shows: Vec<Template>,
    /// Where it shows them, as a selector; the label and what is around it unless said.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) shown_in: Option<String>,
}

/// A text with dates of the chunk in it: `{start:%d/%m/%Y}`, `{last_day:%F}`, `{end:%F}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-means" = "template"))]
pub(crate) struct Template(pub(crate) String);

/// How a lane writes a column: a strftime pattern such as `%d/%m/%Y %H:%M`, or a sample number such as `1.234,56`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-means" = "cell format"))]
pub(crate) struct CellFormatText(pub(crate) String);

/// Reads the rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    /// The lanes in order: the next one is the fallback.
    #[schemars(length(min = 1))]
    pub(crate) lanes: Vec<Lane>,
    /// The columns, in the order of the grid's cells.
    #[schemars(length(min = 1))]
    pub(crate) columns: Vec<String>,
    /// A chunk without a row is right, and no sign of a broken page.
    #[serde(default)]
    pub(crate) allow_empty: bool,
    /// What is to be seen where there are no rows, such as the words "No data", as a selector: the chunk is then empty, and
    /// complete.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) empty: Option<String>,
    /// How the page writes a column; a lane's own `formats` win.
    #[serde(default)]
    pub(crate) formats: BTreeMap<String, CellFormatText>,
    /// Where the page says how many rows there are.
    pub(crate) total: Option<Total>,
    /// What is to be seen while the page is still loading, as a selector.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) busy: Option<String>,
    /// Parts of addresses that the page asks without an end: they are not waited for.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
    /// How long the page must have been quiet before it is read.
    #[serde(default = "settle")]
    pub(crate) settle: DurationText,
    /// The answer behind the page.
    pub(crate) response: Option<Response>,
    /// The page's own export.
    pub(crate) export: Option<Export>,
    /// What is to be seen.
    pub(crate) grid: Option<Grid>,
}

fn settle() -> DurationText {
    DurationText("300ms".into())
}

/// Where the page says how many rows there are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Total {
    /// The element: `1,768 rows`, `1 to 10 of 57` or `1-100/1768`; of several numbers the one after `of` or `/` counts, else
    /// the first.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) selector: String,
}

/// Reads the answer behind the page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    /// A part of the address that is asked.
    #[schemars(length(min = 1))]
    pub(crate) url: String,
    /// How the answer is written.
    pub(crate) format: AnswerFormat,
    /// For `format: json`: where the records lie, such as `data.rows`; empty when the answer is the array.
    pub(crate) records: Option<String>,
    /// What the answer calls a column; its own name unless said.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, String>,
    /// How the answer writes a column.
    #[serde(default)]
    pub(crate) formats: BTreeMap<String, CellFormatText>,
    /// So many rows mean that the answer was cut. Where the page asks for its rows in parts, so many in the last part.
    #[schemars(range(min = 1))]
    pub(crate) cap: Option<u64>,
    /// For `format: json`: whether several answers that hold the columns are parts of one list, or the newest replaces the
    /// others.
    pub(crate) parts: Option<Parts>,
}

/// Takes the page's own export.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// What is clicked for it, one after the other, each by a selector.
    #[schemars(length(min = 1))]
    pub(crate) clicks: Vec<Selector>,
    /// What comes down.
    pub(crate) format: ExportFormat,
    /// The character between two fields of a CSV.
    #[serde(default)]
    pub(crate) delimiter: Delimiter,
    /// How a CSV is encoded where it has no byte order mark, such as `windows-1252`; UTF-8 unless said.
    pub(crate) encoding: Option<String>,
    /// The line of the headers, from 1; the lines above it are left out. Unless said, the first line of a CSV, and the first
    /// row of a sheet that holds all columns.
    #[schemars(range(min = 1))]
    pub(crate) header_row: Option<u32>,
    /// So many rows at the end are sums or notes, and are left out.
    #[serde(default)]
    pub(crate) skip_footer: u32,
    /// Rows whose first text begins with one of these are left out, such as `Total`.
    #[serde(default)]
    pub(crate) drop_rows: Vec<String>,
    /// The sheet of a workbook; the first unless said.
    pub(crate) sheet: Option<String>,
    /// What the file calls a column; its own name unless said.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, String>,
    /// How the file writes a column.
    #[serde(default)]
    pub(crate) formats: BTreeMap<String, CellFormatText>,
    /// So many rows mean that the export was cut; 30000 for csv and 150000 for xlsx unless said.
    #[schemars(range(min = 1))]
    pub(crate) cap: Option<u64>,
}

/// A selector: CSS; XPath when it starts with `/` or `(`; visible text after `text=`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-means" = "selector"))]
pub(crate) struct Selector(pub(crate) String);

/// Reads what is to be seen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grid {
    /// The element that holds the rows: a table, or one with `role=row` inside.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) selector: String,
    /// The headers of the columns; they are taken by their place unless said.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, String>,
    /// Takes blanks away from both ends of a cell that the page shows, such as no-break spaces.
    #[serde(default)]
    pub(crate) trim: bool,
    /// How the grid writes a column.
    #[serde(default)]
    pub(crate) formats: BTreeMap<String, CellFormatText>,
    /// So many rows mean that the grid was cut.
    #[schemars(range(min = 1))]
    pub(crate) cap: Option<u64>,
}

/// Goes through all pages.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paginate {
    /// What leads to the next page, as a selector; absent or disabled on the last.
    #[schemars(extend("x-means" = "selector"))]
    pub(crate) next: String,
    /// The next page is another document, not the same one changed.
    #[serde(default)]
    pub(crate) navigates: bool,
    /// More pages are a fault.
    #[serde(default = "max_pages")]
    #[schemars(range(min = 1))]
    pub(crate) max_pages: u64,
}

fn max_pages() -> u64 {
    1000
}

/// How long things may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    /// One step, unless it says otherwise.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) step: DurationText,
    /// To sign in.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) login: DurationText,
    /// One try of a chunk.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) chunk: DurationText,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [step, login, chunk] = ["30s", "60s", "15m"].map(|text| DurationText(text.into()));
        Self { step, login, chunk }
    }
}
