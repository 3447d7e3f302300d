//! What `nstore` answers its caller.

use std::process::ExitCode;

use serde::{Serialize, Serializer};

use crate::run::Verdict;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Complete, or done.
    Good = 0,
    /// It failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Some of it is done, some failed or is still to be done.
    Partial = 3,
    /// A service cannot be reached.
    Unreachable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Complete => Self::Good,
            Verdict::Open | Verdict::Partial => Self::Partial,
            Verdict::Failed | Verdict::Cancelled => Self::Failed,
        }
    }
}

impl Serialize for Exit {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(*self as u8)
    }
}

/// A command's own no, with what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The code that goes with it.
    pub exit: Exit,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Refusal {
    /// A no.
    pub fn new(exit: Exit, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, text: text.into(), hint: Some(hint.into()) }
    }
}
