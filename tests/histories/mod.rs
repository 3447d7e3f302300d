//! Histories of the queue: what may happen to it by lot, on a real Redis, and what must come of it.
//!
//! - [`stage`]: a source of its own, workers, days as chunks
//! - `model`: a naive queue in Rust; [`play`]: random histories on both
//! - [`losses`]: random histories in which Redis loses everything

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::fmt;

pub mod losses;
mod model;
pub mod play;
pub mod stage;

/// What the queue promises, as docs/reliability.md numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// A claim is granted what order, width and turns say, once.
    Grants,
    /// Only who holds a chunk renews it and gives it back.
    Holders,
    /// A chunk stands where the latest word on its highest generation put it.
    States,
    /// What a living worker holds is granted to nobody else, also when Redis has lost everything.
    Losses,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grants => "Q1",
            Self::Holders => "Q2",
            Self::States => "Q3",
            Self::Losses => "Q4",
        })
    }
}

/// A promise that was not kept, and how that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub promise: Promise,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}
