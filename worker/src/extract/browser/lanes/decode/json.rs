//! A plain JSON answer -> rows. Pure.
//!
//! Numbers keep the text that they came as: none passes through a float.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use nstore_shared::config::path::{FieldPath, find};
use serde_json::value::RawValue;

use super::{Table, page};

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is a web page, by its title.
    #[error("{} came instead of the answer", page::words(.0))]
    Page(String),
    /// The records hold none of the wanted columns: they are of something else.
    #[error("none of its records has one of the wanted columns; the first one has {0}")]
    OtherRecords(String),
    /// It is not JSON.
    #[error("the answer is not valid JSON: {0}")]
    Syntax(String),
    /// It says that the request failed, whatever the status was.
    #[error("the answer says that it failed: {0}")]
    Failed(String),
    /// There is null in place of the records.
    #[error("the answer has null in place of the records at `{0}`")]
    Null(String),
    /// A path that leads nowhere, and the same text is a key.
    #[error("`{path}` is a key of the records, and a path without quotes: write `{quoted}`")]
    FlatKey {
        /// As it was written.
        path: String,
        /// As it would find the key.
        quoted: String,
    },
    /// The records are not where they were said to be.
    #[error("the answer has no array at `{path}`: {reason}")]
    NoRecords {
        /// The path.
        path: String,
        /// How far it leads.
        reason: String,
    },
    /// A record is not an object.
    #[error("record {0} of the answer is not an object")]
    NoObject(usize),
    /// A text that is not valid Unicode.
    #[error("`{name}` of record {record} of the answer is not a valid text: {reason}")]
    Text {
        /// From 1.
        record: usize,
        /// The path of the value.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The records of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// The values of the wanted columns.
    pub table: Table,
    /// A hash of each record as a whole: two that differ are two records.
    pub hashes: Vec<u64>,
    /// Whether any record has the column, if only as null.
    pub found: Vec<bool>,
}

/// The values at the wanted paths of each record; `records` is the path of their array, empty when the answer is the
/// array. What is null or absent is null; arrays and objects are handed on as JSON.
///
/// # Errors
/// When it is not JSON, says that it failed, or the records are not where they were said to be.
pub fn decode<S: AsRef<str>>(bytes: &[u8], records: &FieldPath, wanted: &[S]) -> Result<Records, JsonError> {
    if let Some(title) = page::title(bytes) {
        return Err(JsonError::Page(title));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole: &RawValue = serde_json::from_slice(bytes).map_err(|error| syntax(&error))?;
    let array = array(whole, records)?;
    let paths: Vec<FieldPath> = wanted.iter().map(|name| path(name.as_ref())).collect();
    let mut read = Records { found: vec![false; paths.len()], ..Records::default() };
    for (index, record) in array.iter().enumerate() {
        if !record.get().starts_with('{') {
            return Err(JsonError::NoObject(index + 1));
        }
        let mut row = Vec::with_capacity(paths.len());
        for (path, found) in paths.iter().zip(&mut read.found) {
            let value = path.find(record.get()).map_err(|error| syntax(&error))?;
            *found |= value.is_some();
            row.push(value.map_or(Ok(None), text).map_err(|error| JsonError::Text {
                record: index + 1,
                name: path.to_string(),
                reason: error.to_string(),
            })?);
        }
        read.table.rows.push(row);
        let mut hasher = DefaultHasher::new();
        record.get().hash(&mut hasher);
        read.hashes.push(hasher.finish());
    }
    let Some(first) = array.first() else { return Ok(read) };
    for (path, _) in paths.iter().zip(&read.found).filter(|(_, found)| !**found) {
        let key = path.flat_key().filter(|key| keys(first).iter().any(|known| known == key));
        if let Some(key) = key {
            let quoted = FieldPath::key(key).to_string();
            return Err(JsonError::FlatKey { path: key.to_owned(), quoted });
        }
    }
    if read.found.contains(&true) { Ok(read) } else { Err(JsonError::OtherRecords(listed(first))) }
}

fn syntax(error: &serde_json::Error) -> JsonError {
    JsonError::Syntax(error.to_string())
}

/// A column's path; the config's check lets only paths pass as `names`, and a column's own name may be any key.
fn path(name: &str) -> FieldPath {
    name.parse().unwrap_or_else(|_| FieldPath::key(name))
}

/// The array of the records.
fn array<'a>(whole: &'a RawValue, path: &FieldPath) -> Result<Vec<&'a RawValue>, JsonError> {
    let mut value = whole;
    for (at, step) in path.steps().iter().enumerate() {
        let Some(next) = find(std::slice::from_ref(step), value).map_err(|error| syntax(&error))? else {
            return Err(complaint(whole).map_or_else(|| nowhere(path, value, at), JsonError::Failed));
        };
        value = next;
    }
    if value.get() == "null" {
        return Err(complaint(whole).map_or_else(|| JsonError::Null(path.to_string()), JsonError::Failed));
    }
    let lost =
        |_| JsonError::NoRecords { path: path.to_string(), reason: format!("{} is there", kind(value)) };
    let array: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(lost)?;
    // some services answer with no records and an error
    match complaint(whole).filter(|_| array.is_empty()) {
        Some(text) => Err(JsonError::Failed(text)),
        None => Ok(array),
    }
}

/// How far a path leads, and what is there.
fn nowhere(path: &FieldPath, value: &RawValue, at: usize) -> JsonError {
    let step = match &path.steps()[at] {
        nstore_shared::config::path::PathStep::Key(key) => key.clone(),
        nstore_shared::config::path::PathStep::Where { key, value } => format!("{key}={value}"),
    };
    let reason = match value.get().as_bytes().first() {
        Some(b'{') => format!("`{step}` is not among {}", listed(value)),
        _ => format!("`{step}` is sought in {}", kind(value)),
    };
    JsonError::NoRecords { path: path.to_string(), reason }
}

/// What an answer says of its own failure: a member such as `error`, or `success: false`.
fn complaint(whole: &RawValue) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(whole.get()).ok()?;
    let object = value.as_object()?;
    let said = |name: &&str| {
        object.get(*name).filter(|value| match value {
            serde_json::Value::Null | serde_json::Value::Bool(false) => false,
            serde_json::Value::String(text) => !text.is_empty(),
            serde_json::Value::Array(entries) => !entries.is_empty(),
            serde_json::Value::Object(members) => !members.is_empty(),
            serde_json::Value::Number(number) => number.as_f64() != Some(0.0),
            serde_json::Value::Bool(true) => true,
        })
    };
    let refused = |name: &&str| object.get(*name) == Some(&serde_json::Value::Bool(false));
    let text = ["error", "errors", "fault", "exception"].iter().find_map(said).map(ToString::to_string);
    let text = text.or_else(|| ["success", "ok"].iter().any(refused).then(|| whole.get().to_owned()));
    text.map(|text| text.chars().take(COMPLAINT_CHARS).collect())
}

/// No longer text of an error is told.
const COMPLAINT_CHARS: usize = 300;
/// As many keys are told.
const TOLD_KEYS: usize = 30;

/// The keys of an object, for people.
fn listed(value: &RawValue) -> String {
    let keys = keys(value);
    match keys.len() {
        0 => "nothing".to_owned(),
        _ => keys.iter().take(TOLD_KEYS).map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// The keys of an object, in their order.
fn keys(value: &RawValue) -> Vec<String> {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(value.get());
    object.map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

/// A value as text.
fn text(value: &RawValue) -> Result<Option<String>, serde_json::Error> {
    match value.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => serde_json::from_str(text).map(Some),
        text => Ok(Some(text.to_owned())),
    }
}

fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn values_keep_their_text() {
        let answer = r#"{"data": {"rows": [
            {"t": "a\nü", "v": {"n": 12345678901234567890.10, "ok": true}, "o": [1, {"x": 2}]},
            {"v": null, "t": 1e-7}, {"v": 3, "t": ""}]}}"#;
        let read = decode(answer.as_bytes(), &path("data.rows"), &["t", "v.n", "v.ok", "o"]).unwrap();
        let expected = [
            row(&[Some("a\nü"), Some("12345678901234567890.10"), Some("true"), Some("[1, {\"x\": 2}]")]),
            row(&[Some("1e-7"), None, None, None]),
            row(&[Some(""), None, None, None]),
        ];
        assert_eq!(read.table.rows, expected);
        assert_eq!((read.hashes.len(), &read.found[..]), (3, &[true; 4][..]));
        let bare = decode(b"\xef\xbb\xbf [{\"a\":1}]", &path(""), &["a", "b"]).unwrap();
        assert_eq!(bare.table.rows, [row(&[Some("1"), None])]);
        assert_eq!(bare.found, [true, false]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| decode(text.as_bytes(), &path("data.rows"), &["t"]).unwrap_err().to_string();
        assert_eq!(
            told("{\"data\": {\"items\": [], \"n\": 0}}"),
            "the answer has no array at `data.rows`: `rows` is not among items, n"
        );
        assert_eq!(
            told("{\"data\": []}"),
            "the answer has no array at `data.rows`: `rows` is sought in an array"
        );
        assert_eq!(
            told("{\"data\": {\"rows\": {}}}"),
            "the answer has no array at `data.rows`: an object is there"
        );
        assert_eq!(told("{\"data\": {\"rows\": [{}, 1]}}"), "record 2 of the answer is not an object");
        assert!(told("{\"data\": {\"rows\": [{\"t\": \"\\ud800\"}]}}").starts_with("`t` of record 1"));
        assert!(told("{\"data\"").starts_with("the answer is not valid JSON: EOF"));
        assert_eq!(told("<html><title>Oh</title>"), "an html page, `Oh` came instead of the answer");
    }

    #[test]
    fn records_and_columns_are_found_by_every_form_of_path() {
        let answer = r#"{"result": [{"data": [{"a.b": 1, "f": [{"name": "x", "v": 2}]}]}], "@rows": [{"a": {"b": 3}}]}"#;
        let found = |records: &str, column: &str| {
            decode(answer.as_bytes(), &path(records), &[column]).map(|read| read.table.rows[0][0].clone())
        };
        for (records, column, value) in [
            ("result.0.data", r#""a.b""#, "1"),
            ("result[0].data", "f[name=x].v", "2"),
            ("/result/0/data", "/a.b", "1"),
            (r#""@rows""#, "a.b", "3"),
        ] {
            assert_eq!(found(records, column), Ok(Some(value.to_owned())), "{records} {column}");
        }
        let error = found("result[0].data", "a.b").unwrap_err().to_string();
        assert!(error.ends_with(r#"write `"a.b"`"#), "{error}");
        let error = found("result[0].data", "c").unwrap_err().to_string();
        assert!(error.ends_with("the first one has a.b, f"), "{error}");
    }

    #[test]
    fn an_answer_that_says_no_is_not_an_empty_one() {
        for answer in [
            r#"{"error": {"code": 7}}"#,
            r#"{"rows": [], "errors": ["no"]}"#,
            r#"{"rows": null, "success": false}"#,
        ] {
            let error = decode(answer.as_bytes(), &path("rows"), &["a"]).unwrap_err();
            assert!(matches!(error, JsonError::Failed(_)), "{answer}: {error}");
        }
        let null = decode(br#"{"rows": null}"#, &path("rows"), &["a"]);
        assert_eq!(null, Err(JsonError::Null("rows".to_owned())));
        let good = r#"{"rows": [{"a": 1}], "errors": [], "error": null, "success": true}"#;
        assert!(decode(good.as_bytes(), &path("rows"), &["a"]).is_ok());
    }

    proptest! {
        #[test]
        fn anything_may_come(text in "[\\[\\]{}:,\"a.0-9nulltrue ]*") {
            drop(decode(text.as_bytes(), &path("a"), &["a.a"]));
            drop(decode(text.as_bytes(), &path(""), &["a"]));
        }
    }
}
