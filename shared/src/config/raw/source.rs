//! The words of a file under `sources/`: what all of them say; the rest is a matter of their kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chunk::UploadMode;

use super::{DurationText, api::ApiFile, browser::BrowserFile, pipeline::ChunkDays};

/// One source: what it is, how its range is cut, how it is extracted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(extend("unevaluatedProperties" = false))]
pub(crate) enum SourceFile {
    /// Over HTTP.
    Api(Box<ApiFile>),
    /// Through a headless browser.
    Browser(Box<BrowserFile>),
}

impl SourceFile {
    /// What every source says.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Api(file) => &file.common,
            Self::Browser(file) => &file.common,
        }
    }
}

/// What every source says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Common {
    /// What it holds, for people.
    #[serde(default)]
    pub(crate) about: String,
    /// Days per chunk, 1 to 366; above 30 with a warning.
    pub(crate) chunk_days: Option<ChunkDays>,
    /// How its chunks are run.
    pub(crate) execution: Option<Execution>,
    /// What a load does to the rows that the table holds already.
    pub(crate) upload: Option<Upload>,
    /// The IANA zone in which its days are counted, such as `Asia/Kolkata`.
    #[schemars(extend("x-means" = "zone"))]
    pub(crate) timezone: Option<String>,
    /// The API minds its limits: `execution: auto` means sequential.
    #[serde(default)]
    pub(crate) rate_limit_strict: bool,
    /// The most chunks in flight over all runs, whatever the flags say.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) width: Option<u32>,
    /// Tries of one chunk before it is discarded.
    #[serde(default = "chunk_attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) chunk_attempts: u32,
    /// The wait between two tries of a chunk.
    #[serde(default)]
    pub(crate) chunk_retry: ChunkRetry,
    /// In a sequential run: what a discarded chunk means for the later ones.
    #[serde(default)]
    pub(crate) on_discard: OnDiscard,
    /// Whether a chunk fails that nothing proves to be complete. Such a chunk is loaded and reported as `unproven`
    /// unless said, here or under `defaults` in pipeline.yaml.
    pub(crate) require_evidence: Option<bool>,
    /// Whether secrets, and the session that they open, may travel unencrypted: over `http://` to another host than
    /// this one. Refused unless said.
    #[serde(default)]
    pub(crate) allow_insecure: bool,
    /// The name of its file under `mappings/`; the source's own name unless said.
    #[expect(dead_code, reason = "read from the tree, where it stands even when much else is wrong")]
    pub(crate) mapping: Option<String>,
}

fn chunk_attempts() -> u32 {
    4
}

/// How chunks are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Execution {
    /// Up to the parallel workers of the run and the width of the source.
    Parallel,
    /// One at a time, in the order of the dates.
    Sequential,
    /// Sequential with `rate_limit_strict` or fewer than four chunks, else parallel.
    Auto,
}

/// What a load does to the rows that the table holds already: a mode, or a mode and its rules.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Upload {
    /// The mode alone.
    Mode(UploadMode),
    /// The mode, and what its loads may do.
    Rules(UploadRules),
}

impl Upload {
    /// The mode, where one is named.
    pub(crate) fn mode(self) -> Option<UploadMode> {
        match self {
            Self::Mode(mode) => Some(mode),
            Self::Rules(rules) => rules.mode,
        }
    }

    /// Whether loads may change rows of other tables.
    pub(crate) fn allow_cascade(self) -> bool {
        matches!(self, Self::Rules(UploadRules { allow_cascade: true, .. }))
    }
}

/// An upload mode and what its loads may do.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadRules {
    /// What a load does to the rows that the table holds already; `append` unless said.
    pub(crate) mode: Option<UploadMode>,
    /// Whether a mode that deletes rows may change rows of other tables with them: foreign keys ON DELETE CASCADE,
    /// SET NULL or SET DEFAULT, inheritance children, triggers and rules ON DELETE. Refused unless said.
    #[serde(default)]
    pub(crate) allow_cascade: bool,
}

/// In a sequential run: what a discarded chunk means for the later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnDiscard {
    /// They go on.
    #[default]
    Skip,
    /// They wait.
    Stop,
}

/// The wait between two tries of a chunk.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChunkRetry {
    /// The first wait, before jitter; `1s` unless said.
    pub(crate) base: DurationText,
    /// No wait is longer; `60s` unless said.
    pub(crate) ceiling: DurationText,
}

impl Default for ChunkRetry {
    fn default() -> Self {
        Self { base: DurationText("1s".into()), ceiling: DurationText("60s".into()) }
    }
}
