//! What a source is, resolved: no overrides left to apply, no variable left to fill in, no secret inside.
//!
//! These plain structs travel in a run's manifest; workers read them from there and from nowhere else.

use std::{collections::BTreeMap, time::Duration};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    chunk::Kind,
    retry::{Backoff, millis},
};

pub mod browser;
pub mod budget;
mod pages;
mod within_day;

pub use pages::{ErrorAction, ErrorHandler, JsonCondition, NoList, Paginator, Records, Repeats};

/// The name of a secret (`razorpay.key_id`); its value lives with the workers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

/// One source, as a worker needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// What it holds, for people.
    pub about: String,
    /// The zone in which its days are counted.
    pub timezone: Tz,
    /// The most chunks in flight over all runs, whatever the flags say.
    pub width: Option<u32>,
    /// Tries of one chunk before it is discarded.
    pub chunk_attempts: u32,
    /// The wait between two tries of a chunk.
    pub chunk_backoff: Backoff,
    /// In a sequential run, a discarded chunk stops the later ones.
    pub stop_on_discard: bool,
    /// A chunk that nothing proves to be complete fails.
    #[serde(default)]
    pub require_evidence: bool,
    /// Whether a load that deletes rows may change rows of other tables with them: foreign keys that cascade or set
    /// values, inheritance children, triggers and rules ON DELETE.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_cascade: bool,
    /// How it is extracted.
    pub extract: ExtractSpec,
}

impl SourceSpec {
    /// Which kind of worker extracts it.
    pub fn kind(&self) -> Kind {
        match self.extract {
            ExtractSpec::Api(_) => Kind::Api,
            ExtractSpec::Browser(_) => Kind::Browser,
        }
    }

    /// The secrets that a worker needs for it, each once.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match &self.extract {
            ExtractSpec::Api(api) => api.auth.secrets(),
            ExtractSpec::Browser(browser) => browser.secrets(),
        }
    }

    /// Those of its secrets that are user names.
    pub fn user_names(&self) -> Vec<&SecretRef> {
        match &self.extract {
            ExtractSpec::Api(api) => api.auth.user_names(),
            ExtractSpec::Browser(browser) => browser.user_names(),
        }
    }

    /// How many chunks may be in flight before the source has more sessions open than it allows.
    pub fn max_sessions(&self) -> u32 {
        match &self.extract {
            ExtractSpec::Api(_) => u32::MAX,
            ExtractSpec::Browser(browser) => browser.max_sessions,
        }
    }
}

/// The part of a source that only its extractor reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ExtractSpec {
    /// Pages of an HTTP API.
    Api(Box<ApiSpec>),
    /// What a dashboard shows.
    Browser(Box<browser::BrowserSpec>),
}

impl ExtractSpec {
    /// Where the records lie in a page that its extractor sends.
    pub fn records(&self) -> Records {
        match self {
            Self::Api(api) => api.records.clone(),
            // rows are sent as a list of their own
            Self::Browser(_) => Records::default(),
        }
    }
}

/// An HTTP API: where it is, how it pages, what a page looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiSpec {
    /// Scheme, host and perhaps a path: `https://api.razorpay.com`.
    pub base_url: String,
    /// How a request proves who asks.
    pub auth: Auth,
    /// The request that is repeated page by page.
    pub request: RequestSpec,
    /// How a chunk's range becomes parameters.
    pub window: Window,
    /// How to get from one page to the next.
    pub paginator: Paginator,
    /// Where the records are in a page.
    pub records: Records,
    /// What an answer without a body means.
    #[serde(default)]
    pub empty_body: NoList,
    /// A file of PEM certificates that are trusted beside those of the system, on the worker's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<String>,
    /// How often it may be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<budget::Budget>,
    /// Tries of one request.
    pub retry: RequestRetry,
    /// What a refusal means, where it means something else than usual; the first that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_handlers: Vec<ErrorHandler>,
    /// Limits of requests and chunks.
    pub limits: RequestLimits,
}

/// Method-independent parts of a request; all shipped sources use GET.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestSpec {
    /// Appended to the base URL.
    pub path: String,
    /// Fixed query parameters.
    pub params: BTreeMap<String, String>,
    /// Fixed headers.
    pub headers: BTreeMap<String, String>,
}

/// How a request proves who asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auth {
    /// Not at all.
    None,
    /// User name and password (RFC 7617).
    Basic {
        /// The user name.
        username: SecretRef,
        /// The password.
        password: SecretRef,
    },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A key in a header or a query parameter.
    ApiKey {
        /// Where it goes.
        #[serde(rename = "in")]
        place: KeyPlace,
        /// Name of the header or parameter.
        name: String,
        /// What stands before the key, such as `Token `.
        prefix: String,
        /// The key.
        key: SecretRef,
    },
}

impl Auth {
    /// The secrets that it needs.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::None => vec![],
            Self::Basic { username, password } => vec![username, password],
            Self::Bearer { token } => vec![token],
            Self::ApiKey { key, .. } => vec![key],
        }
    }
}

impl Auth {
    /// Those of its secrets that are user names.
    pub fn user_names(&self) -> Vec<&SecretRef> {
        match self {
            Self::Basic { username, .. } => vec![username],
            Self::None | Self::Bearer { .. } | Self::ApiKey { .. } => vec![],
        }
    }
}

/// Where an API key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// A request header.
    Header,
    /// A query parameter.
    Query,
}

/// How a chunk's range becomes parameters of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Which query parameter carries which bound.
    pub params: BTreeMap<String, WindowBound>,
    /// How a bound is written.
    pub format: TimeFormat,
    /// What the API means by its two parameters.
    pub bounds: Bounds,
    /// The smallest step of the API's bounds.
    #[serde(with = "millis")]
    pub granularity: Duration,
    /// A column of the rows says which of them belong to a chunk, so that more may be asked for than the chunk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
}

/// One bound of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowBound {
    /// The lower one.
    Start,
    /// The upper one.
    End,
}

/// What an API means by the bounds of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bounds {
    /// Both belong. Of a format that says whole days the last day is asked for. Of one with a time the end of the chunk
    /// itself is asked for, and rows of that instant are left out: records may be finer than the step. Without a
    /// `range_column` to tell them by, the upper one is asked one granularity earlier.
    Closed,
    /// The lower belongs, the upper does not.
    HalfOpen,
    /// Neither belongs: the lower one is asked one granularity earlier, and rows before the chunk are left out.
    Open,
    /// Undocumented: asked one granularity wider at both ends; rows outside the chunk are dropped.
    Unknown,
}

/// How a time is written, in a request or in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
    /// `2025-08-31`.
    Date,
    /// RFC 3339; without an offset, in the source's zone.
    Iso8601,
    /// A strftime pattern; without an offset in it, in the source's zone.
    Strftime(String),
}

/// Tries of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRetry {
    /// Tries in all.
    pub attempts: u32,
    /// The wait between them, unless the API names one.
    pub backoff: Backoff,
}

/// Limits of requests and chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLimits {
    /// To connect.
    #[serde(with = "millis")]
    pub connect_timeout: Duration,
    /// Between two pieces of a body.
    #[serde(with = "millis")]
    pub read_timeout: Duration,
    /// For the whole request.
    #[serde(with = "millis")]
    pub total_timeout: Duration,
    /// For a whole chunk: one that takes longer is split.
    #[serde(default, with = "millis::maybe", skip_serializing_if = "Option::is_none")]
    pub chunk_timeout: Option<Duration>,
    /// Bytes of one decompressed body: a chunk that meets a larger one is split.
    pub max_body_bytes: u64,
    /// Pages of one chunk: one that has more is split.
    pub max_pages: u64,
    /// The most records that the API gives of one window: a chunk that reaches it may be cut off, and is split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_records: Option<u64>,
}
