//! The mapping compiled to a trie: a record is read through it in one pass, without a tree of values.
//!
//! The trie holds the keys that begin a path. Where a path goes on into a list, its column takes the raw value of the
//! list, and [`super::list`] follows the steps that are left. Wanted values stay raw slices of the page, everything else is skipped. Keys are compared as bytes, and the next
//! child is guessed first, since records of one source mostly keep their order.

use std::fmt;

use nstore_shared::{
    config::path::{FieldPath, PathStep},
    contract::Column,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What a record holds for one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot<'de> {
    /// Nothing.
    Absent,
    /// A JSON value, as written.
    Raw(&'de str),
    /// The path to it passes through something that is no object.
    Blocked(&'static str),
}

/// What stands where an object was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Null,
    /// PHP and Razorpay write an empty object so.
    EmptyArray,
    /// In words.
    Other(&'static str),
}

impl Shape {
    /// What it is called in a reject's reason.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Null => "null",
            Self::EmptyArray => "an empty array",
            Self::Other(words) => words,
        }
    }
}

/// One key on the way to columns.
#[derive(Debug, Default)]
pub(super) struct Node {
    key: String,
    /// Columns that take its value.
    columns: Vec<usize>,
    children: Vec<Node>,
    /// Columns of all nodes under it.
    below: Vec<usize>,
}

impl Node {
    /// The trie of all columns; a column's place in the list is its slot.
    pub(super) fn compile(columns: &[Column]) -> Self {
        let mut root = Self::default();
        for (slot, column) in columns.iter().enumerate() {
            root.insert(split(&column.from).0, slot);
        }
        root
    }

    fn insert(&mut self, path: &[PathStep], slot: usize) {
        let Some((PathStep::Key(key), rest)) = path.split_first() else {
            self.columns.push(slot);
            return;
        };
        self.below.push(slot);
        let at = self.children.iter().position(|child| child.key == *key).unwrap_or_else(|| {
            self.children.push(Self { key: key.clone(), ..Self::default() });
            self.children.len() - 1
        });
        self.children[at].insert(rest, slot);
    }

    /// Reads this key's value from a map. A key that comes twice counts the second time.
    fn read<'de, A: MapAccess<'de>>(&self, map: &mut A, slots: &mut [Slot<'de>]) -> Result<(), A::Error> {
        if self.columns.is_empty() {
            self.forget(slots);
            let shape = map.next_value_seed(Fill { node: self, slots })?;
            self.block(shape, slots);
            return Ok(());
        }
        let raw = map.next_value::<&'de RawValue>()?.get();
        for &slot in &self.columns {
            slots[slot] = Slot::Raw(raw);
        }
        if !self.children.is_empty() {
            // the whole value and parts of it are wanted: only then is it read twice
            self.forget(slots);
            let mut inner = serde_json::Deserializer::from_str(raw);
            let shape =
                Fill { node: self, slots }.deserialize(&mut inner).map_err(serde::de::Error::custom)?;
            self.block(shape, slots);
        }
        Ok(())
    }

    fn forget(&self, slots: &mut [Slot<'_>]) {
        for &slot in &self.below {
            slots[slot] = Slot::Absent;
        }
    }

    /// Where there is nothing, the fields of it are null: they are not missing from the record.
    fn block(&self, shape: Shape, slots: &mut [Slot<'_>]) {
        let slot_below = match shape {
            Shape::Object => return,
            Shape::Null | Shape::EmptyArray => Slot::Raw("null"),
            Shape::Other(words) => Slot::Blocked(words),
        };
        for &slot in &self.below {
            slots[slot] = slot_below;
        }
    }
}

/// The keys that begin a path, which the trie holds, and the steps that are left: a number may be a key of an object or a
/// place in a list, which only the value tells.
pub(super) fn split(path: &FieldPath) -> (&[PathStep], &[PathStep]) {
    let is_key = |(at, step): (usize, &PathStep)| match step {
        // a record is an object
        PathStep::Key(key) => at == 0 || key.parse::<usize>().is_err(),
        PathStep::Where { .. } => false,
    };
    let steps = path.steps();
    let end = steps.iter().enumerate().position(|step| !is_key(step)).unwrap_or(steps.len());
    steps.split_at(end)
}

/// Reads an object into the slots; the result is what it was in truth.
pub(super) struct Fill<'a, 'de> {
    /// Where in the trie.
    pub(super) node: &'a Node,
    /// One slot per column.
    pub(super) slots: &'a mut [Slot<'de>],
}

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Shape, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let children = &self.node.children;
        let mut guess = 0;
        while let Some(hit) = map.next_key_seed(Find { children, guess })? {
            if let Some(at) = hit {
                guess = at + 1;
                children[at].read(&mut map, self.slots)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Shape::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::EmptyArray;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            shape = Shape::Other("an array");
        }
        Ok(shape)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Other("a text"))
    }
}

/// Which child a key is, without allocating.
struct Find<'a> {
    children: &'a [Node],
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        // as bytes, a key with half of a surrogate pair is merely unknown, not an error
        input.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Find<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        let is = |node: &Node| node.key.as_bytes() == key;
        if self.children.get(self.guess).is_some_and(is) {
            return Ok(Some(self.guess));
        }
        Ok(self.children.iter().position(is))
    }
}
