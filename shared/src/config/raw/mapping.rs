//! The words of a file under `mappings/`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;
use crate::contract::NulPolicy;

/// What arrives in one target table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappingFile {
    /// The target table, without its schema.
    pub(crate) table: String,
    /// The columns that identify a row; leave it out when nothing does.
    #[serde(default)]
    pub(crate) key: Vec<String>,
    /// The column whose values lie in a row's chunk.
    pub(crate) range_column: Option<String>,
    /// How many rows of a chunk may be rejected.
    #[serde(default)]
    pub(crate) rejects: Rejects,
    /// What happens to a NUL character, which Postgres cannot store.
    #[serde(default)]
    pub(crate) nul: NulPolicy,
    /// The columns, in the order of the artifacts.
    pub(crate) columns: BTreeMap<String, ColumnEntry>,
}

/// How many rows of a chunk may be rejected before the chunk fails.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rejects {
    /// A number of rows, or a share of all rows such as `0.1%`.
    #[schemars(extend("x-means" = "reject limit"))]
    pub(crate) allow: Amount,
}

impl Default for Rejects {
    fn default() -> Self {
        Self { allow: Amount("0".into()) }
    }
}

/// One column of the target table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnEntry {
    /// `text`, `bigint`, `numeric(p,s)`, `double`, `boolean`, `date`, `timestamptz` or `jsonb`.
    #[serde(rename = "type")]
    #[schemars(extend("x-means" = "column type"))]
    pub(crate) kind: String,
    /// The record's field, as a dotted path; the column's name unless said.
    #[schemars(extend("x-means" = "path"))]
    pub(crate) from: Option<String>,
    /// How a date or time is written: `epoch_s`, `epoch_ms`, `date`, `iso8601` or a strftime pattern.
    #[schemars(extend("x-means" = "record format"))]
    pub(crate) format: Option<String>,
    /// A row without a value is rejected.
    #[serde(default)]
    pub(crate) required: bool,
}
