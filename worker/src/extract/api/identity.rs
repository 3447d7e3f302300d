//! A number for each record of a page, by which one that comes again is known. Pure.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher as _},
};

use nstore_shared::config::path::{FieldPath, PathStep};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What tells one record of a source from another.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    /// The key's fields; the whole record counts where there are none.
    key: Vec<FieldPath>,
    /// The same as plain names, where each is one.
    names: Option<Vec<String>>,
}

impl Identity {
    /// By the fields of a mapping's key; by the whole record where it has none.
    pub(super) fn new(key: &[FieldPath]) -> Self {
        let name = |path: &FieldPath| match path.steps() {
            [PathStep::Key(name)] => Some(name.clone()),
            _ => None,
        };
        let names = key.iter().map(name).collect::<Option<Vec<String>>>().filter(|names| !names.is_empty());
        Self { key: key.to_vec(), names }
    }

    /// Whether records are told apart by a key.
    pub(super) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }
}

/// A 64-bit number that two different values practically never share: one pair in a thousand chunks of a million records.
pub(super) fn fingerprint(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<'de> DeserializeSeed<'de> for &Identity {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<u64, D::Error> {
        if let Some(names) = &self.names {
            return input.deserialize_any(ByNames(names));
        }
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(input)?.get();
        if self.key.is_empty() {
            return Ok(fingerprint(raw));
        }
        let field = |path: &FieldPath| path.find(raw).ok().flatten().map(RawValue::get);
        Ok(fingerprint(self.key.iter().map(field).collect::<Vec<_>>()))
    }
}

/// Reads a record's key and skips the rest of it.
struct ByNames<'a>(&'a [String]);

impl<'de> Visitor<'de> for ByNames<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(hit) = map.next_key_seed(Find(self.0))? {
            match hit {
                Some(at) => sum ^= fingerprint((at, map.next_value::<&'de RawValue>()?.get())),
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(sum)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            items.push(item.get());
        }
        Ok(fingerprint(items))
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(fingerprint(()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(fingerprint(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(fingerprint(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(fingerprint(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(fingerprint(value.to_bits()))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(fingerprint(value))
    }
}

/// Which of the names a key is.
struct Find<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Find<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| name.as_bytes() == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &[&str], record: &str) -> u64 {
        let key: Vec<FieldPath> = key.iter().map(|text| text.parse().unwrap()).collect();
        Identity::new(&key).deserialize(&mut serde_json::Deserializer::from_str(record)).unwrap()
    }

    #[test]
    fn a_record_is_known_by_its_key() {
        let (one, two) = (r#"{"id":1,"at":"x","n":{"k":7}}"#, r#"{"n":{"k":7,"z":0},"at":"y","id":1}"#);
        assert_eq!(of(&["id"], one), of(&["id"], two));
        assert_eq!(of(&["id", "n.k"], one), of(&["id", "n.k"], two));
        assert_ne!(of(&["id", "at"], one), of(&["id", "at"], two));
        assert_ne!(of(&["id"], one), of(&["id"], r#"{"id":2}"#));
        assert_ne!(of(&["a", "b"], r#"{"a":1,"b":2}"#), of(&["a", "b"], r#"{"a":2,"b":1}"#));
    }

    #[test]
    fn without_a_key_the_whole_record_counts() {
        assert_eq!(of(&[], r#"{"a":1}"#), of(&[], r#"{"a":1}"#));
        assert_ne!(of(&[], r#"{"a":1}"#), of(&[], r#"{"a":1,"b":2}"#));
    }

    #[test]
    fn what_is_not_an_object_is_told_apart_too() {
        for pair in [("1", "2"), ("null", "true"), ("[1]", "[2]"), ("\"a\"", "\"b\""), ("1.5", "2.5")] {
            assert_ne!(of(&["id"], pair.0), of(&["id"], pair.1), "{pair:?}");
        }
    }
}
