//! The scripts that run inside the page. Each is the body of an async function of `input`, after [`PAGE`].

/// What all scripts share.
pub(super) const PAGE: &str = include_str!("scripts/page.js");

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// One step.
    Step,
    /// Sets a filter.
    Filter,
    /// Reads a filter back.
    Applied,
    /// Which page of a login is to be seen.
    Login,
    /// Answers a page of a login.
    Answer,
    /// What the page says about its rows.
    Look,
    /// Reads a page of a grid.
    Grid,
    /// More rows of a grid that was read.
    Piece,
    /// Asks again with another body.
    Replay,
    /// What the page keeps for its origin.
    Kept,
    /// Takes secrets out of the page.
    Redact,
}

impl Script {
    /// It is told secrets: the page's own scripts must not see them.
    pub(super) fn is_private(self) -> bool {
        matches!(self, Self::Answer | Self::Redact | Self::Step)
    }

    /// Its text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Step => include_str!("scripts/step.js"),
            Self::Filter => include_str!("scripts/filter.js"),
            Self::Applied => include_str!("scripts/applied.js"),
            Self::Login => include_str!("scripts/login.js"),
            Self::Answer => include_str!("scripts/answer.js"),
            Self::Look => concat!(include_str!("scripts/cell.js"), include_str!("scripts/look.js")),
            Self::Grid => concat!(include_str!("scripts/cell.js"), include_str!("scripts/grid.js")),
            Self::Piece => include_str!("scripts/piece.js"),
            Self::Replay => include_str!("scripts/replay.js"),
            Self::Kept => include_str!("scripts/kept.js"),
            Self::Redact => include_str!("scripts/redact.js"),
        }
    }
}
