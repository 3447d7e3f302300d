//! What a target table's rows look like: what the worker checks and the loader creates.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{numbers::NumberStyle, path::FieldPath, spec::TimeFormat};

/// The columns and rules of one target table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// The target table, without its schema.
    pub table: String,
    /// The columns that identify a row; empty when nothing does.
    pub key: Vec<String>,
    /// The column whose values lie in a row's chunk.
    pub range_column: Option<String>,
    /// How many rows of a chunk may be rejected.
    pub rejects: RejectLimit,
    /// What happens to a NUL character, which Postgres cannot store.
    pub nul: NulPolicy,
    /// Which instant a local time means that a clock change repeats.
    #[serde(default, skip_serializing_if = "Ambiguous::is_first")]
    pub ambiguous: Ambiguous,
    /// In the order of the artifact's header.
    pub columns: Vec<Column>,
}

impl Contract {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Where a record holds the values of the key, in the key's order.
    pub fn key_paths(&self) -> Vec<FieldPath> {
        let path = |name: &String| self.column(name).map(|column| column.from.clone());
        self.key.iter().filter_map(path).collect()
    }

    /// The names of all columns, in order.
    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The version that markers carry: the first 16 hex digits of the sha256 of the contract as JSON.
    pub fn version(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&Sha256::digest(&json)[..8])
    }
}

/// One column of a target table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table and in the artifact's header.
    pub name: String,
    /// The record's field it comes from.
    #[serde(deserialize_with = "path_or_keys")]
    pub from: FieldPath,
    /// Its type in Postgres.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// How a date or time is written in the record; RFC 3339 unless said.
    pub format: Option<TimeFormat>,
    /// A row without a value is rejected.
    pub required: bool,
    /// What happens to a chunk none of whose records has the field, when records had it before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_absent: OnAbsent,
    /// How texts write its numbers; as JSON does unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberStyle>,
    /// Values that mean that there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_values: Vec<String>,
}

impl Column {
    /// A column that takes the field of its own name, without further rules.
    pub fn new(name: &str, kind: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            from: FieldPath::key(name),
            kind,
            format: None,
            required: false,
            on_absent: OnAbsent::default(),
            numbers: None,
            null_values: Vec::new(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A path, or the list of keys that manifests of earlier versions hold.
fn path_or_keys<'de, D: Deserializer<'de>>(input: D) -> Result<FieldPath, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Path(FieldPath),
        Keys(Vec<String>),
    }
    Ok(match Written::deserialize(input)? {
        Written::Path(path) => path,
        Written::Keys(keys) => FieldPath::keys(&keys),
    })
}

/// What happens to a chunk none of whose records has the field of a column, when records had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAbsent {
    /// The chunk is not loaded: the field was renamed or removed.
    #[default]
    Fail,
    /// It is loaded, with a warning.
    Warn,
}

/// The types that a column may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Any text.
    Text,
    /// A 64-bit integer.
    Bigint,
    /// An exact decimal.
    Numeric {
        /// Digits in all, 1 to 1000.
        precision: u16,
        /// Digits after the point.
        scale: u16,
    },
    /// A 64-bit float.
    Double,
    /// True or false.
    Boolean,
    /// A calendar day.
    Date,
    /// An instant.
    Timestamptz,
    /// Any JSON value.
    Jsonb,
}

impl fmt::Display for ColumnType {
    /// As Postgres spells it in `CREATE TABLE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.pad("text"),
            Self::Bigint => f.pad("bigint"),
            Self::Numeric { precision, scale } => f.pad(&format!("numeric({precision},{scale})")),
            Self::Double => f.pad("double precision"),
            Self::Boolean => f.pad("boolean"),
            Self::Date => f.pad("date"),
            Self::Timestamptz => f.pad("timestamptz"),
            Self::Jsonb => f.pad("jsonb"),
        }
    }
}

/// What happens to a NUL character in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NulPolicy {
    /// The row is rejected.
    #[default]
    Reject,
    /// The character is taken out and counted.
    Strip,
}

/// Which instant a local time without an offset means when a clock change repeats its hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// The one before the clock change.
    #[default]
    First,
    /// The one after it.
    Last,
    /// The row is rejected.
    Reject,
}

impl Ambiguous {
    fn is_first(&self) -> bool {
        *self == Self::First
    }
}

/// How many rows of a chunk may be rejected before the chunk fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectLimit {
    /// At most so many.
    Rows(u64),
    /// At most so large a part of all rows of the chunk, 0 to 1.
    Share(f64),
}

impl RejectLimit {
    /// Whether `rejected` of `all` rows are more than the limit.
    pub fn exceeded(self, rejected: u64, all: u64) -> bool {
        match self {
            Self::Rows(limit) => rejected > limit,
            #[expect(clippy::cast_precision_loss, reason = "a share needs no exact count above 2^53 rows")]
            Self::Share(limit) => rejected as f64 > limit * all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_earlier_versions_are_read() {
        let column =
            r#"{"name":"last4","from":["card","last.4"],"type":"text","format":null,"required":false}"#;
        let column: Column = serde_json::from_str(column).unwrap();
        assert_eq!(column.from, r#"card."last.4""#.parse().unwrap());
        assert_eq!(column.from.as_str(), r#"card."last.4""#);
        let again = serde_json::to_string(&column).unwrap();
        assert_eq!(serde_json::from_str::<Column>(&again).unwrap(), column);
        assert!(!again.contains("on_absent") && !again.contains("null_values"), "{again}");
    }
}
