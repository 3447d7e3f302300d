//! Paths to a value inside a JSON document: `data.items`, `result.0.data`, `custom_fields[name=status].value`,
//! `meta."@odata.nextLink"`, or a JSON Pointer (RFC 6901) such as `/meta/@odata.nextLink`. Pure.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::nearest;

/// How a path is written, for hints.
pub const FORMS: &str = "keys with dots between them (card.last4), a list's entry by number (items.0) or by a field of it \
     (fields[name=status].value), a key in quotes (meta.\"@odata.nextLink\"), or a JSON Pointer (/meta/next)";

/// More keys than this are not listed in a message.
const MAX_KEYS_SHOWN: usize = 20;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// The value of this key; of a list, the entry with this number, counted from 0.
    Key(String),
    /// The first entry of a list that is an object whose field `key` is `value`.
    Where {
        /// The field that is compared.
        key: String,
        /// Its value: a text, or a number or boolean as it is written.
        value: String,
    },
}

/// A path from the root of a JSON document to a value; the empty path is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath {
    steps: Vec<PathStep>,
    text: String,
}

/// A text that is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid path: {reason}")]
pub struct PathError {
    text: String,
    reason: &'static str,
}

impl FieldPath {
    /// The path that is one key, whatever characters the key has.
    pub fn key(name: &str) -> Self {
        let plain = !name.is_empty() && !name.contains(['.', '[', ']', '"', '\\']) && !name.starts_with('/');
        let text = if plain { name.to_owned() } else { quoted(name) };
        Self { steps: vec![PathStep::Key(name.to_owned())], text }
    }

    /// The path through these keys, whatever characters they have.
    pub fn keys<K: AsRef<str>>(names: &[K]) -> Self {
        let text: Vec<String> = names.iter().map(|name| Self::key(name.as_ref()).text).collect();
        let steps = names.iter().map(|name| PathStep::Key(name.as_ref().to_owned())).collect();
        Self { steps, text: text.join(".") }
    }

    /// The steps, from the root on.
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// The keys of a path that leads through objects alone, so that its value is found in one pass over a document; `None`
    /// where a step may be one into a list.
    pub fn plain_keys(&self) -> Option<Vec<&str>> {
        let mut keys = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            match step {
                PathStep::Key(key) if !key.bytes().all(|byte| byte.is_ascii_digit()) => {
                    keys.push(key.as_str());
                }
                PathStep::Key(_) | PathStep::Where { .. } => return None,
            }
        }
        Some(keys)
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key that the same text would be if its dots belonged to the name; `None` where it has no dots.
    pub fn flat_key(&self) -> Option<&str> {
        let several_keys =
            self.steps.len() > 1 && self.steps.iter().all(|step| matches!(step, PathStep::Key(_)));
        (several_keys && !self.text.starts_with('/') && !self.text.contains(['"', '['])).then_some(&self.text)
    }

    /// Finds the value in a document; `None` where the path leads nowhere. Of a key that is there twice the last counts.
    ///
    /// # Errors
    /// When the document, as far as it has to be read, is not valid JSON.
    pub fn find<'a>(&self, json: &'a str) -> Result<Option<&'a RawValue>, serde_json::Error> {
        find(&self.steps, serde_json::from_str(json)?)
    }
}

impl FieldPath {
    /// Says where the path ends in a document that has no value there, with the keys that are there: "`data` has the keys
    /// `rows` and `count`". At most 20 keys are named.
    pub fn explain(&self, json: &str) -> String {
        let Ok(mut at) = serde_json::from_str::<&RawValue>(json) else {
            return "it is not valid JSON".to_owned();
        };
        let mut way = Vec::new();
        for step in &self.steps {
            match find(std::slice::from_ref(step), at) {
                Ok(Some(next)) => at = next,
                _ => return self.missing(step, &way, at.get()),
            }
            way.push(step.to_string());
        }
        format!("there is {}", shape(at.get()))
    }

    /// The key that is where this path ends in nothing and that is the same name written otherwise (`nextCursor` for
    /// `next_cursor`) or with a slip; stricter than the hints of [`Self::explain`], which only propose.
    pub fn renamed(&self, json: &str) -> Option<String> {
        let (last, way) = self.steps.split_last()?;
        let PathStep::Key(wanted) = last else { return None };
        let parent = find(way, serde_json::from_str(json).ok()?).ok()??;
        let keys = serde_json::from_str::<HashMap<String, &RawValue>>(parent.get()).ok()?;
        if let Some(flat) = self.flat_key() {
            let root = serde_json::from_str::<HashMap<String, &RawValue>>(json).ok()?;
            if root.contains_key(flat) {
                return Some(quoted(flat));
            }
        }
        keys.into_keys().find(|key| is_same_name(key, wanted))
    }

    fn missing(&self, step: &PathStep, way: &[String], at: &str) -> String {
        let place = if way.is_empty() { "the answer".to_owned() } else { format!("`{}`", way.join(".")) };
        let mut keys = match serde_json::from_str::<HashMap<String, &RawValue>>(at) {
            Ok(fields) if !fields.is_empty() => {
                let mut keys: Vec<String> = fields.into_keys().collect();
                keys.sort();
                keys
            }
            _ => return format!("{place} is {}", shape(at)),
        };
        let flat = self.flat_key().filter(|flat| way.is_empty() && keys.iter().any(|key| key == flat));
        let near = match step {
            PathStep::Key(key) => nearest::nearest(key, keys.iter().map(String::as_str)),
            PathStep::Where { .. } => None,
        };
        let hint = match (flat, near) {
            (Some(flat), _) => format!("; did you mean the one key {}?", quoted(flat)),
            (None, Some(near)) => format!("; did you mean `{near}`?"),
            (None, None) => String::new(),
        };
        let more = if keys.len() > MAX_KEYS_SHOWN { ", …" } else { "" };
        keys.truncate(MAX_KEYS_SHOWN);
        format!("{place} has the keys `{}`{more}{hint}", keys.join("`, `"))
    }
}

/// Whether two names differ in case, separators, or a slip or two only.
fn is_same_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (one, other) = (plain(one), plain(other));
    let slips = match one.len().min(other.len()) {
        0..=5 => 0,
        6..=9 => 1,
        _ => 2,
    };
    strsim::damerau_levenshtein(&one, &other) <= slips
}

/// What a JSON value is, with its article.
fn shape(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Where { key, value } => write!(f, "[{key}={value}]"),
        }
    }
}

/// Follows steps that are left from a value on.
///
/// # Errors
/// When the value, as far as it has to be read, is not valid JSON.
pub fn find<'a>(steps: &[PathStep], from: &'a RawValue) -> Result<Option<&'a RawValue>, serde_json::Error> {
    let Some((step, rest)) = steps.split_first() else { return Ok(Some(from)) };
    let raw = from.get();
    let next = match (step, raw.as_bytes().first()) {
        (PathStep::Key(key), Some(b'{')) => {
            serde_json::from_str::<HashMap<std::borrow::Cow<'a, str>, &'a RawValue>>(raw)?
                .remove(key.as_str())
        }
        (PathStep::Key(key), Some(b'[')) => match key.parse::<usize>() {
            Ok(at) => serde_json::from_str::<Vec<&'a RawValue>>(raw)?.get(at).copied(),
            Err(_) => None,
        },
        (PathStep::Where { key, value }, Some(b'[')) => {
            let entries = serde_json::from_str::<Vec<&'a RawValue>>(raw)?;
            entries.into_iter().find(|entry| has(entry.get(), key, value))
        }
        _ => None,
    };
    next.map_or(Ok(None), |next| find(rest, next))
}

/// Whether an entry of a list is an object whose field has the value.
fn has(entry: &str, key: &str, value: &str) -> bool {
    let fields = serde_json::from_str::<HashMap<std::borrow::Cow<'_, str>, &RawValue>>(entry);
    let Some(found) = fields.ok().and_then(|fields| fields.get(key).map(|found| found.get())) else {
        return false;
    };
    match serde_json::from_str::<String>(found) {
        Ok(text) => text == value,
        Err(_) => found == value,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

impl FromStr for FieldPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let steps = match text.strip_prefix('/') {
            _ if text.is_empty() => Ok(vec![]),
            Some(pointer) => {
                let unescaped = |key: &str| PathStep::Key(key.replace("~1", "/").replace("~0", "~"));
                Ok(pointer.split('/').map(unescaped).collect())
            }
            None => Parser { rest: text }.path(),
        };
        let steps = steps.map_err(|reason| PathError { text: text.to_owned(), reason })?;
        Ok(Self { steps, text: text.to_owned() })
    }
}

/// What of a path is still to be read.
struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn path(&mut self) -> Result<Vec<PathStep>, &'static str> {
        let mut steps = Vec::new();
        loop {
            if !self.rest.starts_with('[') {
                steps.push(PathStep::Key(self.word(&['.', '[', ']'])?));
            }
            while self.take('[') {
                steps.push(self.bracket()?);
            }
            if self.rest.is_empty() {
                return Ok(steps);
            }
            if !self.take('.') {
                return Err("a dot is missing between two keys");
            }
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A word in quotes, or up to one of these characters.
    fn word(&mut self, ends: &[char]) -> Result<String, &'static str> {
        if self.take('"') {
            return self.in_quotes();
        }
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "" => Err("a key is empty; put it in quotes if it is meant"),
            _ if word.contains('"') => Err("a quote is in the middle of a key"),
            _ => Ok(word.to_owned()),
        }
    }

    fn in_quotes(&mut self) -> Result<String, &'static str> {
        let mut word = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(word);
                }
                '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
                other => word.push(other),
            }
        }
        Err("a quote is not closed")
    }

    /// What is inside brackets: a number, or `field=value`.
    fn bracket(&mut self) -> Result<PathStep, &'static str> {
        let key = self.word(&['=', ']'])?;
        let step = if self.take('=') {
            let value = self.word(&[']'])?;
            PathStep::Where { key, value }
        } else if key.bytes().all(|byte| byte.is_ascii_digit()) {
            PathStep::Key(key)
        } else {
            return Err("brackets hold a number, or a field and its value as in [name=status]");
        };
        if self.take(']') { Ok(step) } else { Err("a bracket is not closed") }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.text
    }
}

impl TryFrom<String> for FieldPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> FieldPath {
        text.parse().unwrap()
    }

    fn found<'a>(text: &str, json: &'a str) -> Option<&'a str> {
        path(text).find(json).unwrap().map(RawValue::get)
    }

    #[test]
    fn each_form_finds_its_value() {
        let json = r#"{"result":[{"data":[1,2]},{"data":[3]}],"meta":{"@odata.nextLink":"u","a/b":1,"":7},
            "customer.email":"x","custom fields":[{"name":"a","value":1},{"name":"the state","value":2},{"id":7}]}"#;
        for (text, expected) in [
            ("result.0.data", Some("[1,2]")),
            ("result[1].data[0]", Some("3")),
            ("result.2.data", None),
            ("result.data", None),
            (r#"meta."@odata.nextLink""#, Some("\"u\"")),
            ("/meta/@odata.nextLink", Some("\"u\"")),
            ("/meta/a~1b", Some("1")),
            ("/meta/", Some("7")),
            (r#"meta."""#, Some("7")),
            (r#""customer.email""#, Some("\"x\"")),
            ("customer.email", None),
            ("custom fields[name=a].value", Some("1")),
            (r#"custom fields[name="the state"].value"#, Some("2")),
            ("custom fields[id=7]", Some(r#"{"id":7}"#)),
            ("custom fields[name=z].value", None),
            ("meta[name=a]", None),
        ] {
            assert_eq!(found(text, json), expected, "{text}");
        }
        assert_eq!(found("[1]", "[5,6]"), Some("6"));
        assert_eq!(found("", "[5,6]"), Some("[5,6]"));
        assert_eq!(found("a", r#"{"a":1,"a":2}"#), Some("2"), "the last one counts");
    }

    #[test]
    fn what_is_not_a_path_is_refused_with_the_reason() {
        for (text, reason) in [
            ("a..b", "empty"),
            (".a", "empty"),
            ("a.", "empty"),
            ("a[", "empty"),
            ("a[b]", "brackets hold"),
            ("a[0", "not closed"),
            (r#""a"#, "a quote is not closed"),
            (r#"a"b"#, "in the middle"),
            (r#""a"b"#, "a dot is missing"),
            ("a]b", "a dot is missing"),
        ] {
            let error = text.parse::<FieldPath>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_says_what_is_there() {
        let json = r#"{"meta":{"next_cursor":"a","total":3},"@odata.nextLink":"u","items":[]}"#;
        let said = |text: &str| path(text).explain(json);
        assert_eq!(
            said("meta.next_curser"),
            "`meta` has the keys `next_cursor`, `total`; did you mean `next_cursor`?"
        );
        assert!(said("@odata.nextLink").ends_with(r#"did you mean the one key "@odata.nextLink"?"#));
        assert_eq!(said("elsewhere.x"), "the answer has the keys `@odata.nextLink`, `items`, `meta`");
        assert_eq!(said("items.0.id"), "`items` is a list");
        assert_eq!(said("items"), "there is a list");
    }

    #[test]
    fn a_renamed_key_is_told_from_another_one() {
        let json = r#"{"meta":{"next_cursor":"a","prev_cursor":"b","text":"c"},"@odata.nextLink":"u"}"#;
        let renamed = |text: &str| path(text).renamed(json);
        for same in ["meta.next_curser", "meta.nextCursor", "meta.NextCursor"] {
            assert_eq!(renamed(same).as_deref(), Some("next_cursor"), "{same}");
        }
        assert_eq!(renamed("meta.next"), None, "`text` is another name");
        assert_eq!(renamed("meta.token"), None);
        assert_eq!(renamed("nowhere.next_cursor"), None);
    }

    #[test]
    fn a_path_with_dots_may_be_meant_as_one_key() {
        assert_eq!(path("customer.email").flat_key(), Some("customer.email"));
        for other in ["email", r#""customer.email""#, "/customer/email", "a[0].b"] {
            assert_eq!(path(other).flat_key(), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_key_can_be_written(name in any::<String>()) {
            let one = FieldPath::key(&name);
            prop_assert_eq!(&path(one.as_str()), &one);
            let json = serde_json::json!({ "a": { name.clone(): 1 } }).to_string();
            let pointer = format!("/a/{}", name.replace('~', "~0").replace('/', "~1"));
            prop_assert_eq!(found(&pointer, &json), Some("1"));
            prop_assert_eq!(found(&format!("a.{}", quoted(&name)), &json), Some("1"));
        }

        #[test]
        fn any_text_may_be_given(text in any::<String>()) {
            if let Ok(path) = text.parse::<FieldPath>() {
                prop_assert_eq!(path.as_str(), text);
            }
        }
    }
}
