//! Records of a CSV, found without taking fields apart. Pure; pieces may be cut anywhere.
//!
//! A line feed inside quotes belongs to its field; a doubled quote opens and closes again at once, so one flag
//! is enough (RFC 4180 with line feeds).

use std::collections::{BTreeMap, BTreeSet};

/// Counts records and follows quotes over pieces of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordCounter {
    in_quotes: bool,
    ended: u64,
    /// Bytes came after the last record's end.
    open: bool,
}

impl RecordCounter {
    /// Takes the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        let Some(last) = piece.last() else { return };
        let mut in_quotes = self.in_quotes;
        let mut ended = 0u64;
        // no branches: this runs over every loaded byte
        for &byte in piece {
            in_quotes ^= byte == b'"';
            ended += u64::from((byte == b'\n') & !in_quotes);
        }
        self.open = in_quotes || *last != b'\n';
        self.in_quotes = in_quotes;
        self.ended += ended;
    }

    /// Data rows so far: all records but the header.
    pub(super) fn rows(&self) -> u64 {
        (self.ended + u64::from(self.open)).saturating_sub(1)
    }
}

/// Bytes of the header with its line feed; of a file without one, all of it.
pub(super) fn header_len(file: &[u8]) -> usize {
    let mut in_quotes = false;
    let ends = |byte: &u8| {
        in_quotes ^= *byte == b'"';
        *byte == b'\n' && !in_quotes
    };
    file.iter().position(ends).map_or(file.len(), |at| at + 1)
}

/// Bytes of a line that are kept for people.
const KEPT: usize = 2_000;

/// Finds the record that ends on a given line of the file, as COPY counts lines.
#[derive(Debug, Clone)]
pub(super) struct RecordFinder {
    wanted: u64,
    line: u64,
    in_quotes: bool,
    record: Vec<u8>,
    found: bool,
}

impl RecordFinder {
    /// Lines count from 1, the header's.
    pub(super) fn new(wanted: u64) -> Self {
        Self { wanted, line: 1, in_quotes: false, record: Vec::new(), found: false }
    }

    /// Takes the next piece; true once the record is complete.
    pub(super) fn feed(&mut self, piece: &[u8]) -> bool {
        for &byte in piece {
            if self.found {
                break;
            }
            self.in_quotes ^= byte == b'"';
            let ends = byte == b'\n' && !self.in_quotes;
            if ends && self.line >= self.wanted {
                self.found = true;
            } else if ends {
                self.record.clear();
            } else if self.record.len() < KEPT {
                self.record.push(byte);
            }
            self.line += u64::from(byte == b'\n');
        }
        self.found
    }

    /// The record, cut to what people read.
    pub(super) fn record(self) -> Option<String> {
        (!self.record.is_empty()).then(|| shown(&self.record))
    }
}

/// Picks data rows by their number, from 1.
#[derive(Debug, Clone)]
pub(super) struct RecordPicker {
    wanted: BTreeSet<u64>,
    /// The number of the row that is being read; 0 is the header.
    row: u64,
    in_quotes: bool,
    record: Vec<u8>,
    found: BTreeMap<u64, String>,
}

impl RecordPicker {
    /// Picks these rows.
    pub(super) fn new(wanted: impl IntoIterator<Item = u64>) -> Self {
        let (wanted, record, found) = (wanted.into_iter().collect(), Vec::new(), BTreeMap::new());
        Self { wanted, row: 0, in_quotes: false, record, found }
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.in_quotes ^= byte == b'"';
            if byte == b'\n' && !self.in_quotes {
                self.end();
            } else if self.record.len() < KEPT && self.wanted.contains(&self.row) {
                self.record.push(byte);
            }
        }
    }

    fn end(&mut self) {
        if self.wanted.remove(&self.row) {
            self.found.insert(self.row, shown(&self.record));
            self.record.clear();
        }
        self.row += 1;
    }

    /// Nothing is left to find.
    pub(super) fn done(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The rows that were found, cut to what people read.
    pub(super) fn found(mut self) -> BTreeMap<u64, String> {
        // the last row may have no line feed
        if !self.record.is_empty() {
            self.end();
        }
        self.found
    }
}

/// A record, cut to what people read.
fn shown(record: &[u8]) -> String {
    let text = String::from_utf8_lossy(record).into_owned();
    if record.len() < KEPT { text } else { text + "…" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_ends_at_the_first_line_feed_outside_quotes() {
        for (file, header) in [("a,b\n1,2\n", 4), ("\"a\n\"\"\n\",b\n1", 10), ("a", 1), ("", 0), ("\n\n", 1)]
        {
            assert_eq!(header_len(file.as_bytes()), header, "{file:?}");
        }
    }

    fn field(value: &str) -> String {
        format!("\"{}\"", value.replace('"', "\"\""))
    }

    fn file(rows: &[Vec<String>]) -> String {
        let line = |row: &Vec<String>| row.iter().map(|v| field(v)).collect::<Vec<_>>().join(",") + "\n";
        String::from("a,b\n") + &rows.iter().map(line).collect::<String>()
    }

    fn rows_of(text: &[u8], cuts: usize) -> u64 {
        let mut counter = RecordCounter::default();
        text.chunks(cuts.max(1)).for_each(|piece| counter.feed(piece));
        counter.rows()
    }

    proptest! {
        #[test]
        fn rows_are_counted_whatever_fields_hold_and_wherever_pieces_end(
            rows in prop::collection::vec(prop::collection::vec("[\"\n\r,a\\\\é.]{0,8}", 2), 0..20),
            cuts in 1usize..9,
        ) {
            let text = file(&rows);
            prop_assert_eq!(rows_of(text.as_bytes(), cuts), rows.len() as u64);
            let unended = text.trim_end_matches('\n');
            prop_assert_eq!(rows_of(unended.as_bytes(), cuts), rows.len() as u64);
        }

        #[test]
        fn a_record_is_found_by_its_last_line(
            rows in prop::collection::vec(prop::collection::vec("[\"\n,a]{0,6}", 2), 1..12),
            pick in any::<prop::sample::Index>(),
            cuts in 1usize..9,
        ) {
            let pick = pick.index(rows.len());
            let upto = file(&rows[..=pick]);
            let mut finder = RecordFinder::new(upto.matches('\n').count() as u64);
            let text = file(&rows);
            text.as_bytes().chunks(cuts).any(|piece| finder.feed(piece));
            let record = format!("{}\n", finder.record().unwrap());
            let alone = file(&rows[pick..=pick]);
            prop_assert_eq!(record, alone.strip_prefix("a,b\n").unwrap());

            let number = pick as u64 + 1;
            let mut picker = RecordPicker::new([number, 1_000_000]);
            let unended = text.trim_end_matches('\n');
            unended.as_bytes().chunks(cuts).for_each(|piece| picker.feed(piece));
            let found = picker.found();
            let alone = alone.strip_prefix("a,b\n").unwrap().trim_end_matches('\n');
            prop_assert_eq!(found.into_iter().collect::<Vec<_>>(), [(number, alone.to_owned())]);
        }
    }

    #[test]
    fn an_empty_file_and_a_lone_header_hold_no_rows() {
        assert_eq!(rows_of(b"", 1), 0);
        assert_eq!(rows_of(b"a,b", 1), 0);
        assert_eq!(rows_of(b"a,b\n", 1), 0);
        assert_eq!(rows_of(b"a\n\n\n", 1), 2);
    }
}
