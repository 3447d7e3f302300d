//! What the browser tells by itself, one thing each: a request, a download, a line of the console.

use std::{collections::BTreeMap, time::Instant};

use serde::Serialize;

/// A request that the page made by itself (fetch or XMLHttpRequest). Its headers may hold secrets: it shows none.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The browser's name for it.
    pub(crate) id: String,
    /// Its rising number.
    pub(crate) number: u64,
    /// The address.
    pub(crate) url: String,
    /// The headers that the page gave.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, as text.
    pub(crate) body: Option<String>,
    /// The answer's status, once it came.
    pub(crate) status: Option<u32>,
    /// The frame that asked.
    pub(super) frame: Option<String>,
    /// The browser's name for the document that asked.
    pub(super) loader: String,
    /// The answer is a stream of events, which has no end.
    pub(super) is_stream: bool,
    /// When the answer began.
    pub(super) answered: Option<Instant>,
    /// When it was there as a whole, or failed.
    pub(super) ended: Option<Instant>,
}

impl Asked {
    /// The answer is there as a whole, or failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// It failed: no answer, or one that says no.
    pub(super) fn failed(&self) -> bool {
        self.has_ended() && self.status.is_none_or(|status| status >= 400)
    }

    /// It failed, or is about to.
    pub(super) fn says_no(&self) -> bool {
        self.failed() || self.status.is_some_and(|status| status >= 400)
    }

    /// Scheme, host and path.
    pub(crate) fn place(&self) -> &str {
        bare(&self.url)
    }
}

/// An address without its query and fragment, which may hold tokens.
pub(crate) fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    /// The name of its file in the folder for downloads.
    pub(crate) file: String,
    /// `None` while it goes on; false when it was cut off.
    pub(crate) ended: Option<bool>,
}

/// One line of the page's console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// `log`, `error`, `exception` or `dialog`.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) text: String,
}
