//! The words of a file under `mappings/`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, Written};
use crate::{
    config::numbers::Percent,
    contract::{Ambiguous, NulPolicy, OnAbsent},
};

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
    /// Which instant a local time without an offset means when a clock change repeats its hour: `first`, unless said,
    /// `last`, or `reject` for neither. Chunks with such times have a warning.
    #[serde(default)]
    pub(crate) ambiguous: Ambiguous,
    /// How texts write numbers, for all numeric columns: an example with its signs, such as `1,234.50`, `1.234,50` or
    /// `12,34,567.50`. Money (`₹`, `Rs.`, `INR`), a percent sign, parentheses and a minus at either end are understood;
    /// the name of the money is dropped. Numbers that JSON writes as numbers are read as JSON. Without it, a text must
    /// hold a plain number such as `1234.50`.
    #[schemars(extend("x-means" = "number style"))]
    pub(crate) numbers: Option<String>,
    /// What a percent sign means where `numbers` is set: `number`, unless said, takes `12.5%` as 12.5, `fraction` as 0.125.
    pub(crate) percent: Option<Percent>,
    /// Values that mean "no value", for all columns: `["", "N/A", "0000-00-00"]`. They are compared as a whole and
    /// with their case. None unless said: then an empty text is a value of a text column, and is rejected elsewhere.
    #[serde(default)]
    pub(crate) null_values: Vec<Written>,
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
    /// The record's field; the column's name unless said. Keys with dots between them (`card.last4`), a list's entry by
    /// number (`items.0`) or by a field of it (`fields[name=status].value`), a key in quotes (`"customer.email"`), or a
    /// JSON Pointer (`/meta/next`).
    #[schemars(extend("x-means" = "field path"))]
    pub(crate) from: Option<String>,
    /// How a date or time is written: `epoch_s`, `epoch_ms`, `date`, `iso8601` or a strftime pattern.
    #[schemars(extend("x-means" = "record format"))]
    pub(crate) format: Option<String>,
    /// A row without a value is rejected.
    #[serde(default)]
    pub(crate) required: bool,
    /// What happens to a chunk none of whose records has the field, when records had it before: `fail`, unless said, or
    /// `warn` for a field that a source leaves out when it has nothing to say.
    #[serde(default)]
    pub(crate) on_absent: OnAbsent,
    /// How texts write its numbers, where it differs from the mapping's `numbers`.
    #[schemars(extend("x-means" = "number style"))]
    pub(crate) numbers: Option<String>,
    /// What a percent sign means, where it differs from the mapping's `percent`.
    pub(crate) percent: Option<Percent>,
    /// Values that mean "no value", in place of the mapping's `null_values`; `[]` for none.
    pub(crate) null_values: Option<Vec<Written>>,
}
