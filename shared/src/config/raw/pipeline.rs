//! The words of `pipeline.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::source::Execution;
use crate::chunk::UploadMode;

/// Where things are, and the overrides for sources. Everything may be left out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineFile {
    /// The version of this format: 1, also where it is left out.
    #[schemars(range(min = 1, max = 1))]
    #[expect(dead_code, reason = "its schema alone matters: there is one version")]
    pub(crate) version: Option<u32>,
    /// The queue.
    pub(crate) redis: Option<Redis>,
    /// The database that is loaded.
    pub(crate) postgres: Option<Postgres>,
    /// Where artifacts lie.
    pub(crate) storage: Option<Storage>,
    /// What holds where neither a source nor a flag says otherwise.
    pub(crate) defaults: Option<Defaults>,
    /// Days per chunk, by source; stronger than the source's own `chunk_days`.
    #[serde(default)]
    pub(crate) chunk_sizes: BTreeMap<String, ChunkDays>,
    /// Execution modes, by source; stronger than the source's own `execution`.
    #[serde(default)]
    pub(crate) execution_modes: BTreeMap<String, Execution>,
    /// Upload modes, by source; stronger than the source's own `upload`.
    #[serde(default)]
    pub(crate) upload_modes: BTreeMap<String, UploadMode>,
}

/// Days per chunk, 1 to 366.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ChunkDays(#[schemars(range(min = 1, max = 366))] pub(crate) u32);

/// The queue.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// `redis://…`, `redis+sentinel://…` or `redis+cluster://…`, with `rediss` for TLS; `NSTORE_REDIS_URL` is stronger.
    #[schemars(extend("x-means" = "redis url"))]
    pub(crate) url: Option<String>,
    /// What all keys start with, `nstore` unless said; `NSTORE_REDIS_PREFIX` is stronger.
    #[schemars(extend("x-means" = "redis prefix"))]
    pub(crate) prefix: Option<String>,
}

/// The database that is loaded.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    /// `postgresql://…`; `NSTORE_POSTGRES_URL` is stronger.
    #[schemars(extend("x-means" = "postgres url"))]
    pub(crate) url: Option<String>,
    /// The schema of the target tables, `public` unless said.
    #[schemars(extend("x-means" = "schema"))]
    pub(crate) schema: Option<String>,
}

/// Where artifacts lie.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    /// `file:…`, relative to the current directory, or `s3://bucket/prefix`; `NSTORE_STORAGE_URL` is stronger.
    #[schemars(extend("x-means" = "storage url"))]
    pub(crate) url: Option<String>,
}

/// What holds where neither a source nor a flag says otherwise.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// Chunks of a run and source in flight, 4 unless said.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) parallel_workers: Option<u32>,
    /// The zone of sources that declare none, `Asia/Kolkata` unless said.
    #[schemars(extend("x-means" = "zone"))]
    pub(crate) timezone: Option<String>,
    /// Whether a chunk fails that nothing proves to be complete, in sources that do not say; `false` unless said.
    pub(crate) require_evidence: Option<bool>,
}
