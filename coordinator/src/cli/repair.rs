//! What may be typed to set things right: rebuild, dead letters, rejected rows.

use std::time::Duration;

use clap::{Args, Subcommand};
use nstore_shared::{
    chunk::{Chunk, RunId, SourceId},
    retry::FailureClass,
};

use crate::plan::typed::span;

/// `nstore rebuild`.
#[derive(Debug, Args)]
#[command(after_help = REBUILD_NOTES)]
pub struct RebuildArgs {
    /// The runs, as `nstore runs` shows them; all that are open when left out
    #[arg(value_name = "RUN")]
    pub runs: Vec<RunId>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

const REBUILD_NOTES: &str = "\
Redis holds no truth: outcomes that stand in storage are reported to it, and chunks without one are enqueued. Workers
that live keep what they hold. Whoever follows a run (extract, resume, serve) does the same within a second or two of
a loss, and every minute; the command helps where nobody does. It may be repeated at any time.";

/// `nstore serve`: what it puts right by itself.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// How often files that nothing refers to are looked for and removed
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    pub clean_every: Duration,
    /// Such files go when they are older
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span)]
    pub grace: Duration,
}

/// Which chunks are meant; what is left out limits nothing.
#[derive(Debug, Clone, Default, Args)]
pub struct Narrow {
    /// Chunks of this source only; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    pub sources: Vec<SourceId>,
    /// Chunks of this run only; may be given several times
    #[arg(long = "run", value_name = "RUN")]
    pub runs: Vec<RunId>,
}

/// The same, of dead letters.
#[derive(Debug, Clone, Default, Args)]
pub struct NarrowLetters {
    /// By source and run.
    #[command(flatten)]
    pub narrow: Narrow,
    /// Failures of this class only: config, auth, transient, rate_limited, data or poison; may be given several times
    #[arg(long = "class", value_name = "CLASS")]
    pub classes: Vec<FailureClass>,
}

/// `nstore discarded`.
#[derive(Debug, Args)]
pub struct DiscardedArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: DiscardedVerb,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DiscardedVerb {
    /// The chunks that failed for good, oldest first
    List {
        /// Which ones.
        #[command(flatten)]
        narrow: NarrowLetters,
        /// Dropped ones too
        #[arg(long)]
        all: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one: error, tries, worker, times, failure bundle, rejected rows
    Show {
        /// The chunk, as `list` shows it: SOURCE/RUN/FIRST..LAST, or its id
        #[arg(value_name = "CHUNK", value_parser = Chunk::named)]
        chunk: Chunk,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Run them once more, with all their tries; dropped ones stay dropped
    Retry(LettersArgs),
    /// Let them be, for good: they are retried no more, and `list` hides them
    #[command(after_help = DROP_NOTES)]
    Drop {
        /// Which ones.
        #[command(flatten)]
        letters: LettersArgs,
        /// Why, for those who look at them later
        #[arg(long, value_name = "TEXT", default_value = "dropped by `nstore discarded drop`")]
        reason: String,
    },
}

const DROP_NOTES: &str = "\
A run with a dropped chunk stays partial: its rows are missing. Where the source says `on_discard: stop`, a dropped
chunk still stops those after it. What is dropped cannot be taken back: extract these days by a run of their own.";

/// Dead letters that something is done with.
#[derive(Debug, Clone, Args)]
pub struct LettersArgs {
    /// The chunks, as `list` shows them: SOURCE/RUN/FIRST..LAST, or their ids
    #[arg(value_name = "CHUNK", value_parser = Chunk::named)]
    pub chunks: Vec<Chunk>,
    /// Which others.
    #[command(flatten)]
    pub narrow: NarrowLetters,
    /// All there are
    #[arg(long)]
    pub all: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl DiscardedVerb {
    /// Whether the answer is one JSON document.
    pub fn json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } => *json,
            Self::Retry(letters) | Self::Drop { letters, .. } => letters.json,
        }
    }
}

/// `nstore rejects`.
#[derive(Debug, Args)]
pub struct RejectsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: RejectsVerb,
}

/// What to do with rejected rows.
#[derive(Debug, Subcommand)]
pub enum RejectsVerb {
    /// The chunks that have some: how many, where they lie, and the first ones
    List {
        /// Which ones.
        #[command(flatten)]
        narrow: Narrow,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// All rejected rows of a chunk
    Show {
        /// The chunk, as `list` shows it: SOURCE/RUN/FIRST..LAST, or its id
        #[arg(value_name = "CHUNK", value_parser = Chunk::named)]
        chunk: Chunk,
        /// Print them as they are kept: one JSON document a line, its reason and its record
        #[arg(long)]
        json: bool,
    },
}

impl RejectsVerb {
    /// Whether the answer is JSON.
    pub fn json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } => *json,
        }
    }
}
