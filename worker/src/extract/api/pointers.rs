//! The few things that paging needs to know of a body, read in one pass and never as a tree. Pure.

use std::{collections::HashMap, fmt};

use nstore_shared::config::spec::{Paginator, Records};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::paginate::{PageFacts, fingerprint};

/// Why a body says nothing about its page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PointerFault {
    #[error("the answer is empty")]
    Empty,
    #[error("the JSON is cut off after {bytes} bytes ({reason})")]
    CutOff { bytes: usize, reason: String },
    #[error("the answer is no JSON ({reason})")]
    Syntax { reason: String },
    #[error("the answer has no list of records at `{selector}`: {found}; correct `records.selector`")]
    NoRecords { selector: String, found: String },
    #[error("`{path}` in the answer is `{found}`, which is no {expected}; correct `{key}`")]
    Value { path: String, found: String, expected: &'static str, key: &'static str },
}

impl PointerFault {
    /// Whether the same request may well be answered whole the next time.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Empty | Self::CutOff { .. })
    }
}

/// What a path is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Total,
    TotalPages,
    Cursor,
    HasMore,
}

impl Want {
    fn config_key(self) -> &'static str {
        match self {
            Self::Total => "paginator.total_path",
            Self::TotalPages => "paginator.total_pages_path",
            Self::Cursor => "paginator.cursor_path",
            Self::HasMore => "paginator.has_more_path",
        }
    }
}

/// One key on the way to what is wanted.
#[derive(Debug, Default)]
struct Node {
    key: String,
    wants: Vec<Want>,
    is_list: bool,
    children: Vec<Node>,
}

impl Node {
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').filter(|key| !key.is_empty()).fold(self, |node, key| {
            let at = node.children.iter().position(|child| child.key == key).unwrap_or_else(|| {
                node.children.push(Self { key: key.to_owned(), ..Self::default() });
                node.children.len() - 1
            });
            &mut node.children[at]
        })
    }
}

/// The paths of one source, compiled.
#[derive(Debug)]
pub(super) struct Pointers {
    root: Node,
    selector: String,
    paths: Vec<(Want, String)>,
}

impl Pointers {
    /// Compiles what the paginator wants to know.
    pub(super) fn new(paginator: &Paginator, records: &Records) -> Self {
        let wanted = match paginator {
            Paginator::None => vec![],
            Paginator::PageNumber { total_pages_path, total_path, has_more_path, .. } => vec![
                (Want::TotalPages, total_pages_path.clone()),
                (Want::Total, total_path.clone()),
                (Want::HasMore, has_more_path.clone()),
            ],
            Paginator::Offset { total_path, has_more_path, .. } => {
                vec![(Want::Total, total_path.clone()), (Want::HasMore, has_more_path.clone())]
            }
            Paginator::Cursor { cursor_path, has_more_path, total_path, .. } => vec![
                (Want::Cursor, Some(cursor_path.clone())),
                (Want::HasMore, has_more_path.clone()),
                (Want::Total, total_path.clone()),
            ],
        };
        let paths: Vec<_> = wanted.into_iter().filter_map(|(want, path)| Some((want, path?))).collect();
        let mut root = Node::default();
        root.at(&records.selector).is_list = true;
        for (want, path) in &paths {
            root.at(path).wants.push(*want);
        }
        Self { root, selector: records.selector.clone(), paths }
    }

    /// Reads a body once.
    pub(super) fn read(&self, body: &[u8]) -> Result<PageFacts, PointerFault> {
        if body.trim_ascii().is_empty() {
            return Err(PointerFault::Empty);
        }
        let mut seen = Seen::default();
        let mut input = serde_json::Deserializer::from_slice(body);
        let read =
            Look { node: &self.root, seen: &mut seen }.deserialize(&mut input).and_then(|()| input.end());
        read.map_err(|e| match e.is_eof() {
            true => PointerFault::CutOff { bytes: body.len(), reason: e.to_string() },
            false => PointerFault::Syntax { reason: e.to_string() },
        })?;
        let Some(records) = seen.records else {
            let found = seen
                .instead
                .map_or_else(|| keys_found(body, &self.selector), |words| format!("there is {words}"));
            return Err(PointerFault::NoRecords { selector: self.selector.clone(), found });
        };
        let mut facts = PageFacts { records, fingerprint: fingerprint(body), ..PageFacts::default() };
        for (want, raw) in seen.values {
            self.note(want, raw, &mut facts)?;
        }
        Ok(facts)
    }

    /// Puts one value in its place; null is as good as absent.
    fn note(&self, want: Want, raw: &str, facts: &mut PageFacts) -> Result<(), PointerFault> {
        let is_scalar = !raw.starts_with(['{', '[']);
        let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        if raw == "null" {
            // "next: null" where a flag was promised says that nothing follows
            if want == Want::HasMore {
                facts.has_more = Some(false);
            }
            return Ok(());
        }
        let expected = match want {
            Want::Total | Want::TotalPages => {
                let count = text.parse::<u64>().ok();
                *(if want == Want::Total { &mut facts.total } else { &mut facts.total_pages }) = count;
                if count.is_some() { return Ok(()) } else { "count" }
            }
            Want::HasMore => {
                facts.has_more = match text.as_str() {
                    "true" | "1" => Some(true),
                    "false" | "0" => Some(false),
                    _ => None,
                };
                if facts.has_more.is_some() { return Ok(()) } else { "true or false" }
            }
            Want::Cursor if raw == "false" => return Ok(()),
            Want::Cursor if is_scalar && raw != "true" => {
                facts.cursor = Some(text);
                return Ok(());
            }
            Want::Cursor => "cursor",
        };
        let path = self.paths.iter().find(|(other, _)| *other == want).map(|(_, path)| path.clone());
        let found = raw.chars().take(60).collect();
        Err(PointerFault::Value { path: path.unwrap_or_default(), found, expected, key: want.config_key() })
    }
}

/// The keys that a body has where the selector ends in nothing.
fn keys_found(body: &[u8], selector: &str) -> String {
    let mut rest = body;
    let mut keys: Vec<String> = Vec::new();
    for key in selector.split('.').map(Some).chain([None]) {
        let Ok(mut level) = serde_json::from_slice::<HashMap<String, &RawValue>>(rest) else { break };
        keys = level.keys().cloned().collect();
        match key.and_then(|key| level.remove(key)) {
            Some(value) => rest = value.get().as_bytes(),
            None => break,
        }
    }
    keys.sort();
    keys.truncate(20);
    if keys.is_empty() {
        "there are no keys".to_owned()
    } else {
        format!("its keys are `{}`", keys.join("`, `"))
    }
}

/// What one pass has met.
#[derive(Default)]
struct Seen<'de> {
    records: Option<u64>,
    /// What stands where the list should be.
    instead: Option<&'static str>,
    values: Vec<(Want, &'de str)>,
}

/// Reads one value.
struct Look<'a, 'de> {
    node: &'a Node,
    seen: &'a mut Seen<'de>,
}

impl Look<'_, '_> {
    fn instead<E>(self, words: &'static str) -> Result<(), E> {
        if self.node.is_list {
            self.seen.instead = Some(words);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if self.node.wants.is_empty() {
            return input.deserialize_any(self);
        }
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(input)?.get();
        self.seen.values.extend(self.node.wants.iter().map(|want| (*want, raw)));
        Ok(())
    }
}

impl<'de> Visitor<'de> for Look<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(hit) = map.next_key_seed(Find(&self.node.children))? {
            match hit {
                Some(node) => map.next_value_seed(Look { node, seen: &mut *self.seen })?,
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        self.instead("an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        if self.node.is_list {
            *self.seen.records.get_or_insert(0) += count;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // many languages write an empty list so
        if self.node.is_list {
            self.seen.records.get_or_insert(0);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.instead("a boolean")
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.instead("a number")
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.instead("a number")
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.instead("a number")
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.instead("a text")
    }
}

/// Which child a key is.
struct Find<'a>(&'a [Node]);

impl<'a, 'de> DeserializeSeed<'de> for Find<'a> {
    type Value = Option<&'a Node>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_bytes(self)
    }
}

impl<'a> Visitor<'_> for Find<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|node| node.key.as_bytes() == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(selector: &str) -> Pointers {
        let path = |text: &str| Some(text.to_owned());
        let (cursor_path, param) = ("meta.next".to_owned(), "after".to_owned());
        let paginator = Paginator::Cursor {
            cursor_path,
            param,
            limit_param: None,
            limit: None,
            has_more_path: path("meta.more"),
            total_path: path("meta.total"),
        };
        Pointers::new(&paginator, &Records { selector: selector.to_owned() })
    }

    fn read(selector: &str, body: &str) -> Result<PageFacts, PointerFault> {
        pointers(selector).read(body.as_bytes()).map(|facts| PageFacts { fingerprint: 0, ..facts })
    }

    #[test]
    fn few_pointers_are_read() {
        let body =
            r#"{"data":{"items":[{"a":[1,2]},{}, 3]},"meta":{"total":"12","next":17,"more":true,"x":{}}}"#;
        let facts = read("data.items", body).unwrap();
        let expected = PageFacts {
            records: 3,
            total: Some(12),
            cursor: Some("17".to_owned()),
            has_more: Some(true),
            ..PageFacts::default()
        };
        assert_eq!(facts, expected);
        assert_eq!(read("", "[{},{}]").unwrap(), PageFacts { records: 2, ..PageFacts::default() });
        let ended = read("items", r#"{"items":null,"meta":{"next":null,"more":null}}"#).unwrap();
        assert_eq!(ended, PageFacts { has_more: Some(false), ..PageFacts::default() });
        let quoted = read("items", r#"{"items":[],"meta":{"next":"a\u002Fb=="}}"#).unwrap();
        assert_eq!(quoted.cursor.as_deref(), Some("a/b=="));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let words = |selector: &str, body: &str| read(selector, body).unwrap_err().to_string();
        assert!(
            words("data.items", r#"{"data":{"rows":[],"count":1}}"#).contains("its keys are `count`, `rows`")
        );
        assert!(words("data.items", r#"{"error":{}}"#).contains("at `data.items`: its keys are `error`"));
        assert!(words("items", r#"{"items":{"a":1}}"#).contains("there is an object"));
        assert!(words("", r#"{"items":[]}"#).contains("there is an object"));
        let total = words("items", r#"{"items":[],"meta":{"total":"many"}}"#);
        assert!(total.contains("`meta.total`") && total.contains("paginator.total_path"), "{total}");
    }

    #[test]
    fn what_may_pass_is_told_apart() {
        for cut in [r#"{"items":[{"a":1},{"a""#, "", " \n", "["] {
            assert!(read("items", cut).unwrap_err().may_pass(), "{cut}");
        }
        for wrong in ["<html></html>", r#"{"items":[1,]}"#, r#"{"items":[]} x"#] {
            assert!(!read("items", wrong).unwrap_err().may_pass(), "{wrong}");
        }
        assert_eq!(read("items", &format!(r#"{{"x":{},"items":[1]}}"#, deep(100_000))).unwrap().records, 1);
    }

    fn deep(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }
}
