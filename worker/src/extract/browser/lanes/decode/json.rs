//! A plain JSON answer -> rows. Pure.
//!
//! Numbers keep the text that they came as: none passes through a float.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Table, page};

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is a web page, by its title.
    #[error("{} came instead of the answer", page::words(.0))]
    Page(String),
    /// The records hold none of the wanted columns: they are of something else.
    #[error("none of its records holds one of the wanted columns")]
    OtherRecords,
    /// It is no JSON.
    #[error("the answer is no json: {0}")]
    Syntax(String),
    /// The records are not where they were said to be.
    #[error("the answer has no array at `{path}`: {reason}")]
    NoRecords {
        /// The dotted path.
        path: String,
        /// How far it leads.
        reason: String,
    },
    /// A record is no object.
    #[error("record {0} of the answer is no object")]
    NoObject(usize),
    /// A text that is no Unicode.
    #[error("`{name}` of record {record} of the answer is no text: {reason}")]
    Text {
        /// From 1.
        record: usize,
        /// The path of the value.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The values at the wanted dotted paths of each record; `records` is the dotted path of their array, empty when
/// the answer is the array. What is null or absent is null; arrays and objects are handed on as JSON.
///
/// # Errors
/// When it is no JSON or the records are not where they were said to be.
pub fn decode<S: AsRef<str>>(bytes: &[u8], records: &str, wanted: &[S]) -> Result<Table, JsonError> {
    if let Some(title) = page::title(bytes) {
        return Err(JsonError::Page(title));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole: &RawValue =
        serde_json::from_slice(bytes).map_err(|error| JsonError::Syntax(error.to_string()))?;
    let mut table = Table::default();
    let mut any = false;
    for (index, record) in array(whole, records)?.into_iter().enumerate() {
        if !record.get().starts_with('{') {
            return Err(JsonError::NoObject(index + 1));
        }
        let mut value = |name: &S| {
            let name = name.as_ref();
            let found = at(record, name);
            any |= found.is_some();
            found.map(text).unwrap_or(Ok(None)).map_err(|error| JsonError::Text {
                record: index + 1,
                name: name.to_owned(),
                reason: error.to_string(),
            })
        };
        let row = wanted.iter().map(&mut value).collect::<Result<_, _>>()?;
        table.rows.push(row);
    }
    if any || table.rows.is_empty() { Ok(table) } else { Err(JsonError::OtherRecords) }
}

fn array<'a>(whole: &'a RawValue, path: &str) -> Result<Vec<&'a RawValue>, JsonError> {
    let lost = |reason: String| JsonError::NoRecords { path: path.to_owned(), reason };
    let mut found = whole;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let members = members(found).ok_or_else(|| lost(format!("`{key}` is sought in {}", kind(found))))?;
        let there: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        found = members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
            .ok_or_else(|| lost(format!("`{key}` is not among {}", there.join(", "))))?;
    }
    serde_json::from_str(found.get()).map_err(|_| lost(format!("{} is there", kind(found))))
}

/// The value at a dotted path; `None` where the path leads nowhere.
fn at<'a>(record: &'a RawValue, path: &str) -> Option<&'a RawValue> {
    path.split('.').try_fold(record, |value, key| {
        // objects alone have members
        serde_json::Deserializer::from_str(value.get()).deserialize_map(Member(key)).ok()?
    })
}

/// A value as text.
fn text(value: &RawValue) -> Result<Option<String>, serde_json::Error> {
    match value.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => serde_json::from_str(text).map(Some),
        text => Ok(Some(text.to_owned())),
    }
}

fn members(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).ok()
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

/// Finds one member of an object; the last of those that share its name, as most readers do.
struct Member<'k>(&'k str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// All members of an object.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(member) = map.next_entry()? {
            found.push(member);
        }
        Ok(found)
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
        let table = decode(answer.as_bytes(), "data.rows", &["t", "v.n", "v.ok", "o"]).unwrap();
        let expected = [
            row(&[Some("a\nü"), Some("12345678901234567890.10"), Some("true"), Some("[1, {\"x\": 2}]")]),
            row(&[Some("1e-7"), None, None, None]),
            row(&[Some(""), None, None, None]),
        ];
        assert_eq!(table.rows, expected);
        assert_eq!(decode(b"\xef\xbb\xbf [{\"a\":1}]", "", &["a"]).unwrap().rows, [row(&[Some("1")])]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| decode(text.as_bytes(), "data.rows", &["t"]).unwrap_err().to_string();
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
        assert_eq!(told("{\"data\": {\"rows\": [{}, 1]}}"), "record 2 of the answer is no object");
        assert!(told("{\"data\": {\"rows\": [{\"t\": \"\\ud800\"}]}}").starts_with("`t` of record 1"));
        assert!(told("{\"data\"").starts_with("the answer is no json: EOF"));
        assert_eq!(told("<html><title>Oh</title>"), "an html page, `Oh` came instead of the answer");
    }

    proptest! {
        #[test]
        fn anything_may_come(text in "[\\[\\]{}:,\"a.0-9nulltrue ]*") {
            drop(decode(text.as_bytes(), "a", &["a.a"]));
            drop(decode(text.as_bytes(), "", &["a"]));
        }
    }
}
