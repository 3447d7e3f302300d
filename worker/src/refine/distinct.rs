//! Rows of one chunk that have the same key.
//!
//! A list that is read page by page may show a row twice, and a key may not be one. Of each row 16 bytes of a hash of its
//! key and 16 of its line are kept: 40 to 75 bytes a row, with the room of the table. The hash is `SipHash` with a
//! random key of its own, so that no source can choose values that meet; by chance two of ten million keys meet once in
//! 10^24 chunks.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState},
    ops::Range,
};

use nstore_shared::contract::{ColumnType, Contract};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::number;

/// Columns of two differing rows that are named in a message.
const MAX_SHOWN_COLUMNS: usize = 3;
/// Characters of a value in a message.
const MAX_SHOWN_CHARS: usize = 60;

/// What a row is to those before it.
pub(super) enum Seen {
    /// The first with its key.
    First,
    /// Equal to an earlier one.
    Again,
    /// An earlier one has its key and other values.
    Differs(Conflict),
}

/// Two rows with one key and different values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The key: `order_id=1`.
    pub(super) key: String,
    /// Where they differ: `` `sku`: `a` and `b` ``; `None` when the earlier row came with an earlier page.
    pub(super) values: Option<String>,
}

/// The keys of a chunk so far.
pub(super) struct Distinct {
    names: Vec<String>,
    /// Columns of the key, and whether equal numbers may be written differently there.
    key: Vec<(usize, bool)>,
    seeds: (u64, u64),
    rows: HashMap<u128, u128, BuildHasherDefault<Hashed>>,
    number: Vec<u8>,
}

impl Distinct {
    /// Nothing seen yet; `None` for a table without a key.
    pub(super) fn new(contract: &Contract) -> Option<Self> {
        let place = |name: &String| {
            let column = contract.columns.iter().position(|column| column.name == *name)?;
            let kind = contract.columns[column].kind;
            Some((column, matches!(kind, ColumnType::Numeric { .. } | ColumnType::Double)))
        };
        let key: Vec<(usize, bool)> = contract.key.iter().filter_map(place).collect();
        let seed = || RandomState::new().hash_one(0_u8);
        (!key.is_empty()).then(|| Self {
            names: contract.column_names(),
            key,
            seeds: (seed(), seed()),
            rows: HashMap::default(),
            number: Vec::new(),
        })
    }

    /// Looks a row up that was written to `out` from `start` on, with the places of its cells there.
    pub(super) fn see(&mut self, out: &[u8], start: usize, cells: &[Range<usize>]) -> Seen {
        let line = self.hash(&out[start..]);
        let mut hasher = self.hasher();
        for &(column, is_number) in &self.key {
            let mut cell = &out[cells[column].clone()];
            if is_number {
                self.number.clear();
                number::write_equal(cell, &mut self.number);
                cell = &self.number;
            }
            hasher.write_usize(cell.len());
            hasher.write(cell);
        }
        let key = hasher.finish128().as_u128();
        match self.rows.insert(key, line) {
            None => Seen::First,
            Some(earlier) if earlier == line => Seen::Again,
            Some(earlier) => {
                let found =
                    lines(&out[..start]).into_iter().find(|found| self.hash(&out[found.clone()]) == earlier);
                let values = found.map(|found| self.differences(&out[found], &out[start..]));
                Seen::Differs(Conflict { key: self.key_of(out, cells), values })
            }
        }
    }

    /// How many keys there are.
    pub(super) fn keys(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The key of a row, as people write it.
    pub(super) fn key_of(&self, out: &[u8], cells: &[Range<usize>]) -> String {
        let pairs: Vec<String> = self
            .key
            .iter()
            .map(|(column, _)| format!("{}={}", self.names[*column], shown(&out[cells[*column].clone()])))
            .collect();
        pairs.join(", ")
    }

    /// The names of the key's columns.
    pub(super) fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|(column, _)| self.names[*column].as_str()).collect();
        names.join(", ")
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.seeds.0, self.seeds.1)
    }

    fn hash(&self, line: &[u8]) -> u128 {
        let mut hasher = self.hasher();
        hasher.write(line);
        hasher.finish128().as_u128()
    }

    fn differences(&self, earlier: &[u8], later: &[u8]) -> String {
        let pairs =
            cells(earlier).into_iter().zip(cells(later)).zip(&self.names).filter(|((a, b), _)| a != b);
        let differing: Vec<String> =
            pairs.map(|((a, b), name)| format!("`{name}`: `{}` and `{}`", shown(a), shown(b))).collect();
        let more = differing.len().saturating_sub(MAX_SHOWN_COLUMNS);
        let mut text = differing[..differing.len() - more].join(", ");
        if more > 0 {
            text.push_str(&format!(", and {more} more columns"));
        }
        text
    }
}

/// A written cell for people: unquoted, and its beginning only.
fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let text = inside.map_or(text.to_string(), |inside| inside.replace("\"\"", "\""));
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The places of the parts that a separator outside quotes ends.
fn parts(text: &[u8], separator: u8) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut in_quotes) = (Vec::new(), 0, false);
    for (at, &byte) in text.iter().enumerate() {
        if byte == b'"' {
            in_quotes = !in_quotes;
        } else if byte == separator && !in_quotes {
            parts.push(start..at);
            start = at + 1;
        }
    }
    if start < text.len() || separator == b',' {
        parts.push(start..text.len());
    }
    parts
}

/// The places of whole lines in written CSV, with their line breaks.
fn lines(text: &[u8]) -> Vec<Range<usize>> {
    parts(text, b'\n').into_iter().map(|line| line.start..line.end + 1).collect()
}

/// The cells of one line.
fn cells(line: &[u8]) -> Vec<&[u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    parts(line, b',').into_iter().map(|cell| &line[cell]).collect()
}

/// A 128-bit hash is its own hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = u64::try_from(hash >> 64).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_cells_end_outside_quotes() {
        let text = b"a,\"b\n,\"\"c\"\"\",\n,\n";
        let lines: Vec<&[u8]> = lines(text).into_iter().map(|line| &text[line]).collect();
        assert_eq!(lines, [&text[..14], &text[14..]]);
        assert_eq!(cells(lines[0]), [&b"a"[..], b"\"b\n,\"\"c\"\"\"", b""]);
        assert_eq!(cells(lines[1]), [b"", b""]);
        assert_eq!(shown(cells(lines[0])[1]), "b\n,\"c\"");
    }
}
