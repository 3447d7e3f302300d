//! One pass over a body for all that paging wants to know of it.

use std::fmt;

use nstore_shared::config::{
    path::FieldPath,
    spec::{NoList, Paginator, Records},
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{FactsError, PageFacts, Signal, Want};
use crate::extract::api::{identity::Identity, refusal};

/// One key on the way to what is wanted.
#[derive(Debug, Default)]
struct Node {
    key: String,
    wants: Vec<Want>,
    is_list: bool,
    children: Vec<Node>,
}

impl Node {
    fn at(&mut self, keys: &[&str]) -> &mut Self {
        keys.iter().fold(self, |node, key| {
            let at = node.children.iter().position(|child| child.key == *key).unwrap_or_else(|| {
                node.children.push(Self { key: (*key).to_owned(), ..Self::default() });
                node.children.len() - 1
            });
            &mut node.children[at]
        })
    }
}

/// The paths of one source, compiled.
#[derive(Debug)]
pub(in crate::extract::api) struct Pointers {
    root: Node,
    records: Records,
    identity: Identity,
    paths: Vec<(Want, FieldPath)>,
    /// Those with steps into lists, which are looked up one by one.
    in_lists: Vec<(Want, FieldPath)>,
}

impl Pointers {
    /// Compiles what the paginator wants to know; `identity` tells records apart.
    pub(in crate::extract::api) fn new(paginator: &Paginator, records: &Records, identity: Identity) -> Self {
        let paths = wanted(paginator);
        let mut root = Node::default();
        if let Some(keys) = records.selector.plain_keys() {
            root.at(&keys).is_list = true;
        }
        let mut in_lists = Vec::new();
        for (want, path) in &paths {
            match path.plain_keys() {
                Some(keys) => root.at(&keys).wants.push(*want),
                None => in_lists.push((*want, path.clone())),
            }
        }
        for name in refusal::FIELDS {
            root.at(&[name]).wants.push(Want::Refusal(name));
        }
        Self { root, records: records.clone(), identity, paths, in_lists }
    }

    /// Where a path that leads nowhere ends, with the keys that are there.
    pub(in crate::extract::api) fn explain(&self, want: Want, body: &str) -> String {
        let path = self.paths.iter().find(|(other, _)| *other == want);
        path.map_or_else(String::new, |(_, path)| format!("`{path}` leads nowhere: {}", path.explain(body)))
    }

    /// Reads a body; `trusts` says that the source's description takes it for a good one, whatever it says of itself.
    pub(in crate::extract::api) fn read(&self, body: &str, trusts: bool) -> Result<PageFacts, FactsError> {
        if body.trim_ascii().is_empty() {
            return Err(FactsError::Empty);
        }
        let mut seen = Seen::new(&self.identity);
        let mut input = serde_json::Deserializer::from_str(body);
        let read =
            Look { node: &self.root, seen: &mut seen }.deserialize(&mut input).and_then(|()| input.end());
        let invalid = |e: serde_json::Error| match e.is_eof() {
            true => FactsError::CutOff { bytes: body.len(), reason: e.to_string() },
            false => FactsError::Syntax { reason: e.to_string() },
        };
        read.map_err(invalid)?;
        for (want, path) in &self.in_lists {
            seen.values.extend(path.find(body).map_err(invalid)?.map(|raw| (*want, raw.get())));
        }
        let mut facts = PageFacts::default();
        for (want, raw) in &seen.values {
            match want {
                Want::Refusal(field) if !trusts && refusal::says_so(field, raw) => {
                    return Err(FactsError::Refused { field: (*field).to_owned(), value: shown(raw) });
                }
                want => self.note(*want, raw, &mut facts)?,
            }
        }
        facts.records = self.list(seen, body, facts.total == Signal::Value(0))?;
        if facts.cursor.is_absent() && self.is_misspelt(Want::Cursor, body) {
            facts.cursor = Signal::Misspelt;
        }
        Ok(facts)
    }

    /// The records, or why there is no list of them; `is_none` says that the total is zero.
    fn list(&self, seen: Seen<'_, '_>, body: &str, is_none: bool) -> Result<Vec<u64>, FactsError> {
        let selector = &self.records.selector;
        let null = || match self.records.null_list == NoList::NoRecords || is_none {
            true => Ok(Vec::new()),
            false => Err(FactsError::NullList { selector: selector.to_string() }),
        };
        let nowhere = |found: String| FactsError::NoRecords { selector: selector.to_string(), found };
        if selector.plain_keys().is_some() {
            return match (seen.records, seen.instead) {
                (Some(records), _) => Ok(records),
                (None, Some("null")) => null(),
                (None, Some(words)) => Err(nowhere(format!("there is {words}"))),
                (None, None) => Err(nowhere(selector.explain(body))),
            };
        }
        match selector.find(body).ok().flatten().map(RawValue::get) {
            Some("null") => null(),
            Some(list) if list.starts_with('[') => {
                let node = Node { is_list: true, ..Node::default() };
                let mut seen = Seen::new(&self.identity);
                let mut input = serde_json::Deserializer::from_str(list);
                let read = Look { node: &node, seen: &mut seen }.deserialize(&mut input);
                read.map_err(|e| FactsError::Syntax { reason: e.to_string() })?;
                Ok(seen.records.unwrap_or_default())
            }
            _ => Err(nowhere(selector.explain(body))),
        }
    }

    fn is_misspelt(&self, want: Want, body: &str) -> bool {
        self.paths.iter().any(|(other, path)| *other == want && path.renamed(body).is_some())
    }

    /// Puts one value in its place.
    fn note(&self, want: Want, raw: &str, facts: &mut PageFacts) -> Result<(), FactsError> {
        let is_scalar = !raw.starts_with(['{', '[']);
        let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        let null = raw == "null";
        let count = || text.parse::<u64>().ok().map(Signal::Value).or(null.then_some(Signal::Null));
        let expected = match want {
            Want::Total | Want::TotalPages => {
                let place = if want == Want::Total { &mut facts.total } else { &mut facts.total_pages };
                match count() {
                    Some(found) => {
                        *place = found;
                        return Ok(());
                    }
                    None => "count",
                }
            }
            Want::HasMore => {
                facts.has_more = match text.as_str() {
                    _ if null => Signal::Null,
                    "true" | "1" => Signal::Value(true),
                    "false" | "0" => Signal::Value(false),
                    _ => Signal::Absent,
                };
                if facts.has_more != Signal::Absent { return Ok(()) } else { "value of true or false" }
            }
            // "next: false" and "next: null" say that nothing follows
            Want::Cursor if raw == "false" || null => {
                facts.cursor = Signal::Null;
                return Ok(());
            }
            Want::Cursor if is_scalar && raw != "true" => {
                facts.cursor = Signal::Value(text);
                return Ok(());
            }
            Want::Cursor => "cursor",
            Want::Refusal(_) => return Ok(()),
        };
        let path = self.paths.iter().find(|(other, _)| *other == want).map(|(_, path)| path.to_string());
        Err(FactsError::Value {
            path: path.unwrap_or_default(),
            found: shown(raw),
            expected,
            key: want.config_key(),
        })
    }
}

/// What a paginator wants to know of a page.
fn wanted(paginator: &Paginator) -> Vec<(Want, FieldPath)> {
    let wanted = match paginator {
        Paginator::PageNumber { total_pages_path, total_path, has_more_path, .. } => vec![
            (Want::TotalPages, total_pages_path.as_ref()),
            (Want::Total, total_path.as_ref()),
            (Want::HasMore, has_more_path.as_ref()),
        ],
        Paginator::None { total_path, has_more_path }
        | Paginator::Offset { total_path, has_more_path, .. } => {
            vec![(Want::Total, total_path.as_ref()), (Want::HasMore, has_more_path.as_ref())]
        }
        Paginator::Cursor { cursor_path, has_more_path, total_path, .. } => vec![
            (Want::Cursor, Some(cursor_path)),
            (Want::HasMore, has_more_path.as_ref()),
            (Want::Total, total_path.as_ref()),
        ],
    };
    wanted.into_iter().filter_map(|(want, path)| Some((want, path?.clone()))).collect()
}

/// The start of a value, for messages.
fn shown(raw: &str) -> String {
    raw.chars().take(60).collect()
}

/// What one pass has met.
struct Seen<'a, 'de> {
    identity: &'a Identity,
    records: Option<Vec<u64>>,
    /// What is in place of the list.
    instead: Option<&'static str>,
    values: Vec<(Want, &'de str)>,
}

impl<'a> Seen<'a, '_> {
    fn new(identity: &'a Identity) -> Self {
        Self { identity, records: None, instead: None, values: Vec::new() }
    }
}

/// Reads one value.
struct Look<'a, 'b, 'de> {
    node: &'a Node,
    seen: &'a mut Seen<'b, 'de>,
}

impl Look<'_, '_, '_> {
    fn instead<E>(self, words: &'static str) -> Result<(), E> {
        if self.node.is_list {
            self.seen.instead = Some(words);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if self.node.wants.is_empty() {
            return input.deserialize_any(self);
        }
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(input)?.get();
        self.seen.values.extend(self.node.wants.iter().map(|want| (*want, raw)));
        if self.node.children.is_empty() && !self.node.is_list {
            return Ok(());
        }
        // the value itself and parts of it are wanted: only then is it read twice
        serde_json::Deserializer::from_str(raw).deserialize_any(self).map_err(serde::de::Error::custom)
    }
}

impl<'de> Visitor<'de> for Look<'_, '_, 'de> {
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
        if !self.node.is_list {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut records = self.seen.records.take().unwrap_or_default();
        while let Some(record) = seq.next_element_seed(self.seen.identity)? {
            records.push(record);
        }
        self.seen.records = Some(records);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.instead("null")
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
