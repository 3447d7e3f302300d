//! The words of a source file of `kind: api`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, DurationText, SecretName, Written, source::Common};
use crate::config::spec::{Bounds, ErrorAction, KeyPlace, NoList, Repeats, WindowBound};

/// An HTTP API: where it is, how it is asked, what a page looks like.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ApiFile {
    /// What every source says.
    #[serde(flatten)]
    pub(crate) common: Common,
    /// Scheme, host and perhaps a path: `https://api.razorpay.com`.
    #[schemars(extend("x-means" = "base url"))]
    pub(crate) base_url: String,
    /// How a request proves who asks.
    pub(crate) auth: Option<Auth>,
    /// The request that is repeated page by page.
    #[serde(default)]
    pub(crate) request: Request,
    /// How a chunk's range becomes parameters.
    pub(crate) window: Window,
    /// How to get from one page to the next.
    pub(crate) paginator: Paginator,
    /// Where the records lie in a page.
    #[serde(default)]
    pub(crate) records: Records,
    /// What an answer without a body means: `no_records`, or `fail` unless said. A 204 always means no records.
    #[serde(default)]
    pub(crate) empty_body: NoList,
    /// How the server's certificate is checked.
    pub(crate) tls: Option<Tls>,
    /// How often it may be asked, by all workers together. No limit unless said.
    pub(crate) budget: Option<Budget>,
    /// Tries of one request.
    #[serde(default)]
    pub(crate) retry: Retry,
    /// What a refusal means, where it means something else than usual; the first that fits.
    #[serde(default)]
    pub(crate) error_handlers: Vec<ErrorHandler>,
    /// How long requests and chunks may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    /// How much a source may answer.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// How a request proves who asks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// Not at all.
    None {},
    /// User name and password.
    Basic {
        /// The user name.
        username: SecretName,
        /// The password.
        password: SecretName,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: SecretName,
    },
    /// A key in a header or a query parameter.
    ApiKey {
        /// Where it goes.
        #[serde(rename = "in")]
        place: KeyPlace,
        /// Name of the header or parameter.
        name: String,
        /// What stands before the key, such as `Token `.
        #[serde(default)]
        prefix: String,
        /// The key.
        key: SecretName,
    },
}

/// The parts of a request that are the same for every page.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Appended to `base_url`.
    #[serde(default)]
    pub(crate) path: String,
    /// Fixed query parameters.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, Written>,
    /// Fixed headers; no secrets.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Written>,
}

/// How a chunk's range becomes parameters of a request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// Which query parameter carries which bound: `{ from: start, to: end }`.
    pub(crate) params: BTreeMap<String, WindowBound>,
    /// How a bound is written: `epoch_s`, `epoch_ms`, `date`, `iso8601` or a strftime pattern.
    #[schemars(extend("x-means" = "time format"))]
    pub(crate) format: String,
    /// What the API means by its two parameters.
    pub(crate) bounds: Bounds,
    /// The smallest step of the API's bounds; needed unless they are `half_open`.
    pub(crate) granularity: Option<DurationText>,
}

/// How to get from one page to the next.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Paginator {
    /// There is one page.
    None {
        /// Where the body says how many records there are in all: it shows that the page is not cut off.
        #[schemars(extend("x-means" = "path"))]
        total_path: Option<String>,
        /// Where the body says whether more records follow.
        #[schemars(extend("x-means" = "path"))]
        has_more_path: Option<String>,
    },
    /// Pages have numbers.
    PageNumber {
        /// Parameter of the page's number.
        page_param: String,
        /// Number of the first page.
        #[serde(default = "one")]
        start_page: u64,
        /// Parameter of the page's size, if it is sent.
        size_param: Option<String>,
        /// Records per page.
        #[schemars(range(min = 1))]
        size: u64,
        /// Where the body says how many pages there are.
        #[schemars(extend("x-means" = "path"))]
        total_pages_path: Option<String>,
        /// Where the body says how many records there are in all.
        #[schemars(extend("x-means" = "path"))]
        total_path: Option<String>,
        /// Where the body says whether another page follows.
        #[schemars(extend("x-means" = "path"))]
        has_more_path: Option<String>,
    },
    /// Records are skipped (limit and offset, count and skip).
    Offset {
        /// Parameter of the number of records to skip.
        offset_param: String,
        /// Parameter of the page's size.
        limit_param: String,
        /// Records per page.
        #[schemars(range(min = 1))]
        limit: u64,
        /// The first offset.
        #[serde(default)]
        start: u64,
        /// Where the body says how many records there are in all.
        #[schemars(extend("x-means" = "path"))]
        total_path: Option<String>,
        /// Where the body says whether another page follows.
        #[schemars(extend("x-means" = "path"))]
        has_more_path: Option<String>,
    },
    /// Each page names the next.
    Cursor {
        /// Where the body names the next page; null, empty or `false` on the last. Where it may be absent on a page
        /// that is the first and the last, name `has_more_path` or `total_path` too: absence alone proves nothing.
        #[schemars(extend("x-means" = "path"))]
        cursor_path: String,
        /// The parameter that carries it back.
        param: String,
        /// Parameter of the page's size, if it is sent.
        limit_param: Option<String>,
        /// Records per page.
        #[schemars(range(min = 1))]
        limit: Option<u64>,
        /// Where the body says whether another page follows.
        #[schemars(extend("x-means" = "path"))]
        has_more_path: Option<String>,
        /// Where the body says how many records there are in all.
        #[schemars(extend("x-means" = "path"))]
        total_path: Option<String>,
    },
}

fn one() -> u64 {
    1
}

/// Where the records are in a page, and how they are counted.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Records {
    /// Path of the list, such as `data.items` or `result.0.data`; empty when the page is the list.
    #[serde(default)]
    #[schemars(extend("x-means" = "path or nothing"))]
    pub(crate) selector: String,
    /// What null in place of the list means: `no_records`, or `fail` unless said.
    #[serde(default)]
    pub(crate) null_list: NoList,
    /// Whether a record may come again on a later page. `fail`, unless said: it shows that the list changed while it
    /// was read, so the chunk is unproven, or fails where the mapping has no key. `allow` where equal records exist.
    #[serde(default)]
    pub(crate) repeats: Repeats,
}

/// How the server's certificate is checked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A file of PEM certificates that are trusted beside those of the system; its path on the workers' hosts.
    pub(crate) ca: String,
}

/// How often a source may be asked, by all workers together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Whose limit it is. Sources that name the same key share it; the source's own name unless said.
    #[schemars(extend("x-means" = "budget key"))]
    pub(crate) key: Option<String>,
    /// Requests per second, minute, hour or day: `10/s`, `100/min`, `1000/h`, `5000/d`.
    #[schemars(extend("x-means" = "rate"))]
    pub(crate) rate: String,
    /// Requests that may leave at once after a rest; after an hour's rest it begins without.
    #[serde(default = "no_burst")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) burst: u32,
}

fn no_burst() -> u32 {
    1
}

/// Tries of one request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retry {
    /// Tries in all.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) attempts: u32,
    /// The first wait, before jitter.
    pub(crate) base: DurationText,
    /// No wait is longer, unless the API names one.
    pub(crate) ceiling: DurationText,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, base: DurationText("1s".into()), ceiling: DurationText("60s".into()) }
    }
}

/// What some answers mean, where they mean something else than usual.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorHandler {
    /// Which answers.
    pub(crate) when: When,
    /// What follows: `split_window` asks for two halves of the chunk instead, `retry` sends the request again, `fail`
    /// fails the chunk, `ignore` takes the answer as a good one.
    pub(crate) action: ErrorAction,
}

/// Which answers: all that is said must fit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// Their status is one of these, such as 200 or 409.
    #[serde(default)]
    #[schemars(inner(range(min = 200, max = 599)))]
    pub(crate) codes: Vec<u16>,
    /// Their body holds this text.
    pub(crate) body_contains: Option<String>,
    /// Their body is JSON and meets this condition.
    pub(crate) json: Option<JsonCondition>,
}

/// A condition on a JSON body: `equals`, `exists`, or both.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonCondition {
    /// Where to look.
    #[schemars(extend("x-means" = "path"))]
    pub(crate) path: String,
    /// The value there.
    pub(crate) equals: Option<Written>,
    /// Whether there is a value; null is as good as none.
    pub(crate) exists: Option<bool>,
}

/// How long requests and chunks may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    /// To connect.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) connect: DurationText,
    /// Between two pieces of a body.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) read: DurationText,
    /// For the whole request.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) total: DurationText,
    /// For a whole chunk, its waits included, but for those for its budget: one that takes longer is split into
    /// halves. No limit unless said.
    #[schemars(extend("x-means" = "time above zero"))]
    pub(crate) chunk: Option<DurationText>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [connect, read, total] = ["10s", "30s", "120s"].map(|text| DurationText(text.into()));
        Self { connect, read, total, chunk: None }
    }
}

/// How much a source may answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Of one decompressed body: bytes, or a size such as `64MiB`. A chunk that meets a larger one is split.
    #[schemars(extend("x-means" = "size"))]
    pub(crate) max_body: Amount,
    /// Pages of one chunk: one that has more is split.
    #[schemars(range(min = 1))]
    pub(crate) max_pages: u64,
    /// The most records that the API gives of one window, such as 10000 where offsets end there. A chunk that
    /// reaches it may be cut off, and is split.
    #[schemars(range(min = 1))]
    pub(crate) max_records: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: Amount("64MiB".into()), max_pages: 100_000, max_records: None }
    }
}
