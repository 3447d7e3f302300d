//! What the files may hold, word for word: from here come the JSON Schemas, and by them the files are read.
//!
//! Durations, sizes, zones and the like stay text here. `x-means` in a schema says what a text means, and
//! `check::value` holds it against that.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub(super) mod api;
pub(super) mod browser;
pub(super) mod mapping;
pub(super) mod pipeline;
pub(super) mod source;

/// A text that may be written as a number or as true and false; kept as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written(pub(crate) String);

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Written".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A whole number or a text such as `64MiB` or `0.1%`; kept as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Amount(pub(crate) String);

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

/// A duration with its unit, such as `500ms`, `15s` or `1d`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DurationText(pub(crate) String);

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-means": "duration", "examples": ["500ms", "15s", "5m", "1d"] })
    }
}

/// A secret by its name; its value stands in `credentials.yaml` or in `NSTORE_SECRET_…`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-secret" = true))]
pub(crate) struct SecretName {
    /// Its name, such as `razorpay.key_id`.
    #[schemars(extend("x-means" = "secret", "pattern" = "^[a-z0-9_]+(\\.[a-z0-9_]+)*$"))]
    pub(crate) secret: String,
}
