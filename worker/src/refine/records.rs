//! Finds the records of a page and sees to it that each becomes a row, a reject, or none of the chunk's business.
//!
//! Normally one pass does it all. A second one over the same page, record by record, is made only when there are
//! rejects to keep as they came, or when a single record cannot be read and must not take the page with it.

use std::fmt;

use nstore_shared::config::path::FieldPath;
use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    PageFigures, RefineError,
    fields::{Fill, Node, Shape, Slot},
    json,
    row::{Fate, RowWriter},
};
use crate::extract::Page;

/// Why a page cannot be read as a whole.
pub(super) enum PageFault {
    /// As the parser says.
    Json(serde_json::Error),
    /// There is no array where the records should be.
    NoArray(Option<&'static str>),
    /// There are two.
    TwoArrays,
}

impl PageFault {
    /// With the page's origin and what is in it.
    pub(super) fn into_error(self, page: &Page, selector: &FieldPath) -> RefineError {
        let origin = page.origin.clone();
        let found = match self {
            Self::Json(e) if e.is_eof() => {
                return RefineError::CutOff { origin, bytes: page.body.len(), reason: e.to_string() };
            }
            Self::Json(e) => return RefineError::Syntax { origin, reason: e.to_string() },
            Self::NoArray(Some(words)) => format!("there is {words}"),
            Self::NoArray(None) => selector.explain(&String::from_utf8_lossy(&page.body)),
            Self::TwoArrays => "it is there twice".to_owned(),
        };
        RefineError::NoRecords { origin, selector: selector.to_string(), found }
    }
}

/// Reads a page.
pub(super) fn read(
    body: &str,
    selector: &FieldPath,
    trie: &Node,
    rows: &mut RowWriter,
    out: &mut Vec<u8>,
    rejects: &mut Vec<u8>,
) -> Result<PageFigures, PageFault> {
    let slots = vec![Slot::Absent; rows.columns()];
    let mut first =
        InOnePass { trie, rows, slots, out, figures: PageFigures::default(), misfits: Vec::new() };
    let outcome = walk(body, selector, &mut first);
    let InOnePass { figures, misfits, .. } = first;
    if outcome.is_ok() && misfits.is_empty() {
        return Ok(figures);
    }
    if let Err(fault @ (PageFault::NoArray(_) | PageFault::TwoArrays)) = outcome {
        return Err(fault);
    }
    let done = figures.records;
    let mut second = OneByOne { trie, rows, out, rejects, figures, done, misfits, at: 0 };
    walk(body, selector, &mut second)?;
    Ok(second.figures)
}

/// Takes the elements of the array one at a time.
trait Sink<'de> {
    /// Reads one; false at the end.
    fn next<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error>;
}

/// The usual pass: rows are written straight from the page.
struct InOnePass<'a, 'de> {
    trie: &'a Node,
    rows: &'a mut RowWriter,
    slots: Vec<Slot<'de>>,
    out: &'a mut Vec<u8>,
    figures: PageFigures,
    /// Place in the array, and why it does not fit.
    misfits: Vec<(u64, String)>,
}

impl<'de> Sink<'de> for InOnePass<'_, 'de> {
    fn next<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        self.slots.fill(Slot::Absent);
        let seed = Fill { node: self.trie, slots: &mut self.slots };
        let Some(shape) = seq.next_element_seed(seed)? else { return Ok(false) };
        if let Some(reason) = take(shape, &self.slots, self.rows, self.out, &mut self.figures) {
            self.misfits.push((self.figures.records - 1, reason));
        }
        Ok(true)
    }
}

/// The second pass: keeps what does not fit, and reads what the first one did not get to.
struct OneByOne<'a> {
    trie: &'a Node,
    rows: &'a mut RowWriter,
    out: &'a mut Vec<u8>,
    rejects: &'a mut Vec<u8>,
    figures: PageFigures,
    /// Records that the first pass has seen to.
    done: u64,
    misfits: Vec<(u64, String)>,
    at: u64,
}

impl<'de> Sink<'de> for OneByOne<'_> {
    fn next<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Some(raw) = seq.next_element::<&'de RawValue>()? else { return Ok(false) };
        let reason = if self.at < self.done {
            let known = self.misfits.binary_search_by_key(&self.at, |(at, _)| *at);
            known.ok().map(|at| std::mem::take(&mut self.misfits[at].1))
        } else {
            self.refine(raw.get())
        };
        if let Some(reason) = reason {
            keep(&reason, raw, self.rejects);
        }
        self.at += 1;
        Ok(true)
    }
}

impl OneByOne<'_> {
    fn refine(&mut self, raw: &str) -> Option<String> {
        let mut slots = vec![Slot::Absent; self.rows.columns()];
        let mut input = serde_json::Deserializer::from_str(raw);
        match (Fill { node: self.trie, slots: &mut slots }).deserialize(&mut input) {
            Ok(shape) => take(shape, &slots, self.rows, self.out, &mut self.figures),
            Err(e) => {
                self.figures.records += 1;
                self.figures.rejected += 1;
                self.rows.count_reject();
                Some(format!("the record cannot be read: {e}"))
            }
        }
    }
}

/// Writes one record and counts it; a reject comes with its reasons.
fn take(
    shape: Shape,
    slots: &[Slot<'_>],
    rows: &mut RowWriter,
    out: &mut Vec<u8>,
    figures: &mut PageFigures,
) -> Option<String> {
    figures.records += 1;
    let fate = if shape == Shape::Object {
        rows.write(slots, out)
    } else {
        rows.count_reject();
        Fate::Rejected(format!("the record is {}, not an object", shape.words()))
    };
    match fate {
        Fate::Row => figures.rows += 1,
        Fate::Outside => figures.outside += 1,
        Fate::Duplicate => figures.duplicates += 1,
        Fate::Rejected(reason) => {
            figures.rejected += 1;
            return Some(reason);
        }
    }
    None
}

/// Appends a reject as a JSON line.
fn keep(reason: &str, record: &RawValue, rejects: &mut Vec<u8>) {
    rejects.extend_from_slice(br#"{"reason":"#);
    // a text cannot fail to be JSON, and a Vec takes every write
    let _ = reason.serialize(&mut serde_json::Serializer::new(&mut *rejects));
    rejects.extend_from_slice(br#","record":"#);
    json::one_line(record.get(), rejects);
    rejects.extend_from_slice(b"}\n");
}

/// Walks to the list at the selector and lets the sink have its elements.
fn walk<'de>(body: &'de str, selector: &FieldPath, sink: &mut impl Sink<'de>) -> Result<(), PageFault> {
    let mut found = Found::default();
    if let Some(keys) = selector.plain_keys() {
        let mut input = serde_json::Deserializer::from_str(body);
        Pick { path: &keys, found: &mut found, sink }.deserialize(&mut input).map_err(PageFault::Json)?;
        input.end().map_err(PageFault::Json)?;
    } else {
        let list = selector.find(body).map_err(PageFault::Json)?.ok_or(PageFault::NoArray(None))?;
        let mut input = serde_json::Deserializer::from_str(list.get());
        Pick { path: &[], found: &mut found, sink }.deserialize(&mut input).map_err(PageFault::Json)?;
    }
    match found {
        Found { arrays: 1, .. } => Ok(()),
        Found { arrays: 0, instead } => Err(PageFault::NoArray(instead)),
        Found { .. } => Err(PageFault::TwoArrays),
    }
}

/// What the walk has met.
#[derive(Default)]
struct Found {
    arrays: u32,
    /// What stands where an object or the array should be.
    instead: Option<&'static str>,
}

/// Descends one key of the selector.
struct Pick<'a, S> {
    path: &'a [&'a str],
    found: &'a mut Found,
    sink: &'a mut S,
}

impl<S> Pick<'_, S> {
    fn instead<E>(self, words: &'static str) -> Result<(), E> {
        self.found.instead = Some(words);
        Ok(())
    }
}

impl<'de, S: Sink<'de>> DeserializeSeed<'de> for Pick<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, S: Sink<'de>> Visitor<'de> for Pick<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let wanted = self.path.first().copied();
        while let Some(hit) = map.next_key_seed(IsKey(wanted))? {
            if hit {
                let path = &self.path[1..];
                map.next_value_seed(Pick { path, found: &mut *self.found, sink: &mut *self.sink })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if wanted.is_none() { self.instead("an object") } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.path.is_empty() && self.found.arrays == 0 {
            while self.sink.next(&mut seq)? {}
        } else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        if self.path.is_empty() {
            self.found.arrays += 1;
            return Ok(());
        }
        self.instead("an array on the way")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // many languages write an empty list so
        if self.path.is_empty() {
            self.found.arrays += 1;
            return Ok(());
        }
        self.instead("null on the way")
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

/// Whether a key is the wanted one.
struct IsKey<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<bool, D::Error> {
        input.deserialize_bytes(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<bool, E> {
        Ok(self.0.is_some_and(|wanted| wanted.as_bytes() == key))
    }
}
