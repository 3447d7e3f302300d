//! What `nstore pause` and `nstore unpause` take.

use clap::Args;
use nstore_shared::chunk::RunId;

/// What a pause is about.
#[derive(Debug, Args)]
pub struct PauseTarget {
    /// The run, as `nstore runs` shows it
    #[arg(value_name = "RUN", required_unless_present = "source", conflicts_with = "source")]
    pub run: Option<RunId>,
    /// A source instead, in all runs
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
}

/// `nstore pause`.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_NOTES)]
pub struct PauseArgs {
    /// What it is about.
    #[command(flatten)]
    pub target: PauseTarget,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT", default_value = "paused by `nstore pause`")]
    pub reason: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

const PAUSE_NOTES: &str = "\
Chunks that run are finished, stored ones are loaded, no other is started. A pause is kept in storage and outlives
Redis, workers and coordinators; `nstore cancel` ends a paused run as it does any other.";

/// `nstore unpause`.
#[derive(Debug, Args)]
pub struct UnpauseArgs {
    /// What it is about.
    #[command(flatten)]
    pub target: PauseTarget,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
