//! APIs that do not give all of a window: some say so, some cut it off and say nothing.

use super::rows::Api;

/// How much of one window an API gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Which API.
    pub api: Api,
    /// The most records of one window.
    pub records: u64,
    /// What it does with a window that holds more.
    pub how: Beyond,
}

/// What becomes of a window that holds more than an API gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// It is refused with 400 and [`REFUSAL`].
    Refused,
    /// Its first records come, and nothing tells that there are more.
    CutOff,
}

/// What a refusal says.
pub const REFUSAL: &str = "the window holds too many records";
