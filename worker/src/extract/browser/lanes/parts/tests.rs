//! Lists in parts, as pages ask for them.

use proptest::prelude::*;

use super::{super::decode::Table, *};

/// An answer with the rows of a range.
fn part(query: &str, rows: std::ops::Range<u64>) -> Part {
    let table = Table { rows: rows.clone().map(|n| vec![Some(n.to_string())]).collect() };
    let question = Question::read(&format!("http://h/rows?{query}"), None);
    Part { question, records: Records { table, hashes: rows.collect(), found: vec![true] } }
}

fn rows(joined: &Joined) -> &[u64] {
    &joined.records.hashes
}

#[test]
fn parts_are_joined_by_their_place() {
    let expected: Vec<u64> = (0..250).collect();
    for parts in [
        vec![part("offset=0", 0..100), part("offset=100", 100..200), part("offset=200", 200..250)],
        // asked for at once, in whatever order
        vec![part("offset=200", 200..250), part("offset=0", 0..100), part("offset=100", 100..200)],
        vec![part("page=2", 100..200), part("", 0..100), part("page=3", 200..250)],
        vec![part("page=0", 0..100), part("page=1", 100..200), part("page=2", 200..250)],
        vec![part("start=1", 0..100), part("start=101", 100..200), part("start=201", 200..250)],
        vec![part("start=0", 0..100), part("start=1", 100..200), part("start=2", 200..250)],
        vec![part("cursor=", 0..100), part("cursor=a", 100..200), part("cursor=b", 200..250)],
        // asked for again, and with an overlap
        vec![part("offset=0&_=1", 0..100), part("offset=90", 90..250), part("offset=0&_=2", 0..100)],
        vec![part("limit=10", 0..10), part("limit=250", 0..250)],
        vec![
            part("day=9", 0..0),
            part("offset=0", 0..100),
            part("offset=100", 100..250),
            part("offset=250", 0..0),
        ],
    ] {
        let joined = join(parts).unwrap();
        assert_eq!(rows(&joined), expected);
        assert_eq!(joined.records.table.rows.len(), 250);
    }
}

#[test]
fn what_cannot_be_one_list_is_refused() {
    let views = join(vec![part("day=1", 0..100), part("day=2", 100..150)]).unwrap_err();
    assert_eq!(views, PartsError::SeveralViews { count: 2, differ: "`query.day`".to_owned() });
    for (parts, expected) in [
        (
            vec![part("offset=0", 0..100), part("offset=200", 200..250)],
            PartsError::Gap { what: "row", next: 200 },
        ),
        (
            vec![part("offset=100", 100..200), part("offset=200", 200..250)],
            PartsError::Gap { what: "row", next: 100 },
        ),
        (vec![part("page=1", 0..100), part("page=3", 200..250)], PartsError::Gap { what: "page", next: 3 }),
        (vec![part("offset=0", 0..100), part("offset=50", 100..150)], PartsError::Overlap(50)),
        (vec![part("offset=0", 0..100), part("offset=100", 0..100)], PartsError::Repeated),
        (vec![part("page=1", 0..100), part("page=2", 0..100)], PartsError::Repeated),
        (vec![part("offset=0", 0..9), part("offset=9", 9..12), part("offset=0", 1..10)], PartsError::Changed),
    ] {
        assert_eq!(join(parts), Err(expected));
    }
}

#[test]
fn one_question_asked_again_has_the_newest_answer() {
    let joined = join(vec![part("x=1&_=1", 0..10), part("x=1&_=2", 0..12)]).unwrap();
    assert_eq!((rows(&joined).len(), joined.parts), (12, 1));
    assert_eq!(join(vec![]).unwrap().records, Records::default());
}

#[test]
fn a_last_part_that_is_full_may_not_be_the_last() {
    let whole = join(vec![part("offset=0", 0..100), part("offset=100", 100..200)]).unwrap();
    assert!(whole.may_go_on(None) && whole.may_go_on(Some(100)));
    let short = join(vec![part("offset=0", 0..100), part("offset=100", 100..150)]).unwrap();
    assert!(!short.may_go_on(None) && !short.may_go_on(Some(100)));
    let one = join(vec![part("", 0..100)]).unwrap();
    assert!(!one.may_go_on(None) && one.may_go_on(Some(100)));
}

proptest! {
    #[test]
    fn every_list_comes_back_whole(total in 0..300_u64, size in 1..80_u64, overlap in 0..3_u64, seed in any::<u64>()) {
        let (mut parts, mut start, overlap) = (vec![], 0, overlap.min(size - 1));
        loop {
            let from = start - overlap.min(start);
            parts.push(part(&format!("offset={from}"), from..total.min(start + size)));
            start += size;
            if start >= total {
                break;
            }
        }
        let turn = usize::try_from(seed % parts.len() as u64).unwrap();
        parts.rotate_left(turn);
        let joined = join(parts).unwrap();
        prop_assert_eq!(rows(&joined), (0..total).collect::<Vec<_>>());
    }
}
