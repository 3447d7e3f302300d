//! Failed chunks as people read them: the same error of many chunks once, with their ranges. Pure.

use nstore_shared::{chunk::ChunkRange, retry::FailureClass};

use super::quantity::count;
use crate::run::FailedChunk;

/// Longer lists of ranges end with a count.
const RANGES: usize = 6;

/// Chunks of one source that failed for the same reason.
pub(super) struct Group<'a> {
    /// The chunk whose error is shown.
    pub(super) first: &'a FailedChunk,
    /// All their ranges, in the order of time.
    pub(super) ranges: Vec<ChunkRange>,
}

impl Group<'_> {
    /// `2025-08-01..2025-08-03`, or `19 chunks: 2025-08-01..2025-08-19`.
    pub(super) fn ranges(&self) -> String {
        match self.ranges.len() {
            1 => compact(&self.ranges),
            many => format!("{}: {}", count(many as u64, "chunk"), compact(&self.ranges)),
        }
    }
}

/// The groups of failed chunks, each at the place of its first chunk.
pub(super) fn groups(failed: &[FailedChunk]) -> Vec<Group<'_>> {
    let mut places = std::collections::HashMap::<(Option<FailureClass>, String), usize>::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for chunk in failed {
        let at = *places.entry((chunk.class, reason(&chunk.error))).or_insert_with(|| {
            groups.push(Group { first: chunk, ranges: vec![] });
            groups.len() - 1
        });
        groups[at].ranges.push(chunk.range);
    }
    for group in &mut groups {
        group.ranges.sort_by_key(|range| (range.order(), *range));
    }
    groups
}

/// Ranges that touch are one: `2025-08-01..2025-08-09, 2025-08-12..2025-08-14`.
pub(super) fn compact(sorted: &[ChunkRange]) -> String {
    let mut joined: Vec<ChunkRange> = Vec::new();
    for range in sorted {
        match joined.last_mut().and_then(|last| Some((last.joined(range)?, last))) {
            Some((both, last)) => *last = both,
            None => joined.push(*range),
        }
    }
    let mut shown: Vec<String> = joined.iter().take(RANGES).map(ChunkRange::inclusive).collect();
    if joined.len() > RANGES {
        shown.push(format!("and {} more", joined.len() - RANGES));
    }
    shown.join(", ")
}

/// What of an error's text is the same in chunks that fail for the same reason: numbers other than an HTTP status,
/// so dates and times too, the queries of URLs, and paths of failure bundles are left out.
fn reason(error: &str) -> String {
    let words: Vec<String> = error.split_whitespace().map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let address = word.contains("://");
    // the files of a chunk have its range in their names
    if address && (word.contains("/failures/") || word.contains("/chunks/")) {
        return "<file>".to_owned();
    }
    let end = if address { word.find(['?', '#']).unwrap_or(word.len()) } else { word.len() };
    let mut out = String::new();
    let mut digits = String::new();
    let mut identifier = false;
    for c in word[..end].chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            // a digit of a name, such as `card_last4`, is part of it
            out.push_str(if identifier || is_status(&digits) { &digits } else { "#" });
            digits.clear();
        }
        identifier = c.is_alphabetic() || c == '_';
        out.push(c);
    }
    out.pop();
    out
}

/// Numbers that tell errors apart.
fn is_status(digits: &str) -> bool {
    digits.len() == 3 && matches!(digits.as_bytes()[0], b'1'..=b'5')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(range: &str, class: FailureClass, error: &str) -> FailedChunk {
        FailedChunk {
            range: range.parse().unwrap(),
            class: Some(class),
            error: error.into(),
            row: None,
            bundle: None,
        }
    }

    #[test]
    fn the_same_reason_with_other_dates_and_addresses_is_one() {
        for (one, other) in [
            ("no answer for 2025-08-01", "no answer for 2025-08-14"),
            (
                "503 from http://h/p?from=2025-08-01&page=1 after 5 tries",
                "503 from http://h/p?from=x after 4 tries",
            ),
            ("bundle: file:///s/failures/a/r/2025-08-01.g1", "bundle: file:///s/failures/a/r/2025-08-02.g2"),
            ("record 12 of 300000: `amount`", "record 1 of 17: `amount`"),
            ("step 3: not there\nafter 20s", "step 3: not there after 5s"),
        ] {
            assert_eq!(reason(one), reason(other), "{one} | {other}");
        }
        for (one, other) in [
            ("503 from http://h/p", "502 from http://h/p"),
            ("404 from http://h/a", "404 from http://h/b"),
            ("column `card_last4`", "column `card_last6`"),
            ("column `a`", "column `b`"),
        ] {
            assert_ne!(reason(one), reason(other), "{one} | {other}");
        }
    }

    #[test]
    fn groups_keep_class_and_order_and_join_days_that_touch() {
        use FailureClass::{Data, Transient};
        let chunks = [
            failed("2025-08-04_2025-08-05", Transient, "503 at 04"),
            failed("2025-08-01_2025-08-02", Data, "503 at 01"),
            failed("2025-08-02_2025-08-03", Transient, "503 at 02"),
            failed("2025-08-03_2025-08-04", Transient, "503 at 03"),
            failed("2025-08-06_2025-08-09", Transient, "503 at 06"),
        ];
        let shown: Vec<_> =
            groups(&chunks).iter().map(|group| (group.first.error.clone(), group.ranges())).collect();
        let right = "4 chunks: 2025-08-02..2025-08-04, 2025-08-06..2025-08-08";
        assert_eq!(shown[0], ("503 at 04".into(), right.into()));
        assert_eq!(shown[1], ("503 at 01".into(), "2025-08-01..2025-08-01".into()));
        assert_eq!(shown.len(), 2);
    }

    #[test]
    fn many_gaps_are_counted() {
        let chunks: Vec<_> = (1..=9)
            .map(|n| failed(&format!("2025-0{n}-01_2025-0{n}-02"), FailureClass::Auth, "401"))
            .collect();
        let shown = groups(&chunks)[0].ranges();
        assert!(
            shown.starts_with("9 chunks: 2025-01-01..2025-01-01, ") && shown.ends_with(", and 3 more"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn every_failed_chunk_is_in_one_group(errors in prop::collection::vec("[a-z]{1,2} [0-9]{1,4}", 1..40)) {
            let first = chrono::NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
            let day = |n: usize| first + chrono::Days::new(n as u64);
            let range = |n| ChunkRange::days(day(n), day(n + 1)).unwrap();
            let chunks: Vec<_> = errors.iter().enumerate()
                .map(|(n, error)| FailedChunk {
                    range: range(n), class: None, error: error.clone(), row: None, bundle: None,
                })
                .collect();
            let mut all: Vec<_> = groups(&chunks).iter().flat_map(|group| group.ranges.clone()).collect();
            all.sort();
            let given: Vec<_> = chunks.iter().map(|chunk| chunk.range).collect();
            prop_assert_eq!(all, given);
        }
    }
}
