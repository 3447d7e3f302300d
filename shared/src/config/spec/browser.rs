//! A dashboard, resolved: how one gets in, which steps lead to the rows, how they are read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use chrono_tz::Tz;

use super::SecretRef;
use crate::{config::template::Template, retry::millis};

mod lanes;

pub use lanes::{
    AnswerFormat, Delimiter, ExportFormat, Lane, LaneHow, LaneSpec, Paginate, Parts, SheetLayout,
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
