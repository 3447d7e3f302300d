//! The one door to sources: an extractor turns a chunk's range into pages, and knows nothing of leases, CSV or the queue.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use nstore_shared::{
    config::spec::browser::{BrowserClock, Lane},
    retry::FailureClass,
    storage::marker::{ChunkWarning, Evidence, SplitAnswer},
};
use tokio::sync::mpsc;

pub mod api;
#[cfg(feature = "browser")]
pub mod browser;
pub mod host;

/// What an extractor is asked for: a half-open range of instants, in the source's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First instant that belongs.
    pub start: DateTime<Utc>,
    /// First instant that does not.
    pub end: DateTime<Utc>,
    /// The source's zone: its days, and times without an offset, are of it.
    pub zone: Tz,
}

impl Span {
    /// The calendar days that it touches.
    pub fn days(&self) -> i64 {
        let day = |at: DateTime<Utc>| at.with_timezone(&self.zone).date_naive();
        (day(self.end - chrono::Duration::seconds(1)) - day(self.start)).num_days() + 1
    }
}

/// What a source may send for a chunk, by the bounds of its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What was asked for, which may be more than the chunk.
    pub asked: Range<DateTime<Utc>>,
    /// The chunk, a step of the source's bounds wider, and all that was asked for.
    pub near: Range<DateTime<Utc>>,
    /// The bounds are days.
    pub whole_days: bool,
}

/// One page as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Decompressed bytes.
    pub body: Bytes,
    /// What they are.
    pub format: PageFormat,
    /// Where they came from, without secrets: for error texts.
    pub origin: String,
}

/// What the bytes of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// A JSON document.
    Json,
}

/// How an extraction ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Pages sent.
    pub pages: u64,
    /// What was seen that speaks for its completeness.
    pub evidence: Vec<Evidence>,
    /// What is to be known of it besides.
    pub warnings: Vec<ChunkWarning>,
    /// By which lane a browser read them.
    pub lane: Option<Lane>,
    /// Clock and language of that browser.
    pub browser: Option<BrowserClock>,
}

/// How an extraction failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExtractError {
    /// What kind of failure: it alone decides whether another attempt can help.
    pub class: FailureClass,
    /// What failed, where (URL without secrets), and what to do next.
    pub message: String,
    /// Why the try does not count.
    pub excuse: Option<Excuse>,
    /// Whether less of it may do: two halves of the chunk.
    pub split: Split,
    /// What the source answered where that asks for a split.
    pub answer: Option<SplitAnswer>,
    /// What it looked like.
    pub bundle: Option<Box<Bundle>>,
}

impl ExtractError {
    /// A failure with nothing beside its text.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), excuse: None, split: Split::No, answer: None, bundle: None }
    }
}

/// Why a try does not count, if its failure is one that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// The source is to be left alone for so long, by everybody: it said so, or its budget is used up.
    Patience(Duration),
    /// This host cannot do it now; others may.
    Host,
}

/// Whether the halves of a chunk may do better than the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// Nothing shows that.
    #[default]
    No,
    /// There is more than the source gives of one window, or in time.
    AtOnce,
    /// It took too long, which may have other reasons: rather than give it up.
    AtLast,
}

/// What a failed extraction looked like, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Texts by file name; may hold secrets.
    pub texts: Vec<(&'static str, String)>,
    /// A picture of the page as PNG, its secrets taken out.
    pub picture: Option<Bytes>,
}

/// What an extraction tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A page.
    Page(Page),
    /// The source asked for patience (429): nobody should ask it anything for so long.
    Patience(Duration),
}

/// Turns a range into pages. The channel is bounded: a slow reader slows the extraction down.
pub trait Extractor: Send + Sync {
    /// Sends every page of the range, in order. A closed channel ends it early, without an error of its own.
    ///
    /// # Errors
    /// When the source cannot be read to its end.
    fn extract(
        &self,
        span: Span,
        pages: mpsc::Sender<Sent>,
    ) -> impl Future<Output = Result<Extracted, ExtractError>> + Send;
}
