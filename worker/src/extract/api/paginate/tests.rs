//! Lists that end, that do not, and that only seem to.

use std::time::Duration;

use nstore_shared::retry::FailureClass;
use proptest::prelude::*;

use super::*;

fn offset() -> Paginator {
    let (offset_param, limit_param) = ("skip".to_owned(), "count".to_owned());
    Paginator::Offset {
        offset_param,
        limit_param,
        limit: 10,
        start: 0,
        total_path: None,
        has_more_path: None,
    }
}

fn cursor(limit: Option<u64>) -> Paginator {
    Paginator::Cursor {
        cursor_path: "next".parse().unwrap(),
        param: "after".to_owned(),
        limit_param: Some("size".to_owned()),
        limit,
        has_more_path: None,
        total_path: None,
    }
}

fn numbered() -> Paginator {
    Paginator::PageNumber {
        page_param: "page".to_owned(),
        start_page: 1,
        size_param: None,
        size: 10,
        total_pages_path: None,
        total_path: None,
        has_more_path: None,
    }
}

fn single() -> Paginator {
    Paginator::None { total_path: None, has_more_path: None }
}

/// The same paginator with a path for everything that a body may say.
fn with_paths(mut paginator: Paginator) -> Paginator {
    let path = || Some("x".parse().unwrap());
    match &mut paginator {
        Paginator::PageNumber { total_pages_path, total_path, has_more_path, .. } => {
            (*total_pages_path, *total_path, *has_more_path) = (path(), path(), path());
        }
        Paginator::None { total_path, has_more_path }
        | Paginator::Offset { total_path, has_more_path, .. }
        | Paginator::Cursor { total_path, has_more_path, .. } => {
            (*total_path, *has_more_path) = (path(), path());
        }
    }
    paginator
}

const KEYED: Counting = Counting { has_key: true, repeats: Repeats::Fail };
const KEYLESS: Counting = Counting { has_key: false, repeats: Repeats::Fail };

/// Pages with records that differ from all others, as many as each says.
fn numbered_records(pages: &mut [PageFacts]) {
    let mut next = 1;
    for page in pages {
        for record in page.records.iter_mut().filter(|record| **record == 0) {
            *record = next;
            next += 1;
        }
    }
}

/// The parameters asked for, and how it ended.
type Read = (Vec<Params>, Result<End, PagingError>);

fn read_as(counting: Counting, paginator: &Paginator, pages: &[PageFacts], max_records: Option<u64>) -> Read {
    let second = Duration::from_secs(1);
    let limits = RequestLimits {
        connect_timeout: second,
        read_timeout: second,
        total_timeout: second,
        chunk_timeout: None,
        max_body_bytes: 1,
        max_pages: 5,
        max_records,
    };
    let mut pages = pages.to_vec();
    numbered_records(&mut pages);
    let mut paging = Paging::new(paginator, counting, &limits);
    let mut asked = vec![paging.first()];
    for (index, page) in pages.iter().enumerate() {
        match paging.turn(page) {
            Ok(Step::Ask(params)) => asked.push(params),
            Ok(Step::Done(end)) => {
                assert_eq!(index + 1, pages.len(), "ended early");
                return (asked, Ok(end));
            }
            Err(error) => return (asked, Err(error)),
        }
    }
    panic!("asks for more: {asked:?}");
}

fn read(paginator: &Paginator, pages: &[PageFacts]) -> Read {
    read_as(KEYED, paginator, pages, None)
}

/// The evidence of a list that ended well.
fn evidence(paginator: &Paginator, pages: &[PageFacts]) -> Vec<Evidence> {
    read(paginator, pages).1.unwrap().evidence
}

fn error(paginator: &Paginator, pages: &[PageFacts]) -> PagingError {
    read(paginator, pages).1.unwrap_err()
}

/// Whether an end was reached that nothing proves, and that says so.
fn is_unproven(end: &Result<End, PagingError>) -> bool {
    let end = end.as_ref().unwrap();
    !end.evidence.iter().any(Evidence::is_proof) && !end.warnings.is_empty()
}

fn page(records: usize) -> PageFacts {
    PageFacts { records: vec![0; records], ..PageFacts::default() }
}

/// A page with these records.
fn of(records: impl IntoIterator<Item = u64>) -> PageFacts {
    PageFacts { records: records.into_iter().collect(), ..PageFacts::default() }
}

fn total(records: usize, total: u64) -> PageFacts {
    PageFacts { total: Signal::Value(total), ..page(records) }
}

fn more(records: usize, more: bool) -> PageFacts {
    PageFacts { has_more: Signal::Value(more), ..page(records) }
}

fn to(records: usize, next: &str) -> PageFacts {
    PageFacts { cursor: Signal::Value(next.to_owned()), ..page(records) }
}

fn last(records: usize) -> PageFacts {
    PageFacts { cursor: Signal::Null, ..page(records) }
}

#[test]
fn a_short_page_is_not_the_end_and_an_empty_one_is() {
    let (asked, end) = read(&offset(), &[page(10), page(10), page(3), page(0)]);
    let skips: Vec<_> = asked.iter().map(|params| params[0].1.as_str()).collect();
    assert_eq!(skips, ["0", "10", "20", "23"]);
    assert_eq!(asked[0][1], ("count".to_owned(), "10".to_owned()));
    assert_eq!(end.unwrap().evidence, [Evidence::EmptyLastPage]);
    // a source that caps pages below what was asked for: by what came, not by what was asked
    let (asked, end) = read(&offset(), &[page(5), page(5), page(2), page(0)]);
    assert_eq!(asked[3][0].1, "12");
    assert_eq!(end.unwrap().evidence, [Evidence::EmptyLastPage]);
    assert_eq!(evidence(&numbered(), &[page(5), page(5), page(0)]), [Evidence::EmptyLastPage]);
    assert_eq!(evidence(&offset(), &[page(0)]), [Evidence::EmptyLastPage]);
    let none = PageFacts { is_none: true, ..page(0) };
    for paginator in [offset(), numbered(), cursor(None), single()] {
        assert_eq!(evidence(&paginator, std::slice::from_ref(&none)), [Evidence::NoRecords]);
    }
}

proptest! {
    /// Whatever a server makes of the size asked for, a list that is read to an empty page is whole.
    #[test]
    fn caps_lose_nothing(caps in prop::collection::vec(1_usize..12, 1..5)) {
        let mut pages: Vec<PageFacts> = caps.iter().map(|cap| page(*cap)).collect();
        pages.push(page(0));
        let all: usize = caps.iter().sum();
        for paginator in [offset(), numbered()] {
            let (asked, end) = read(&paginator, &pages);
            prop_assert_eq!(asked.len(), pages.len());
            prop_assert_eq!(end.unwrap().evidence, [Evidence::EmptyLastPage]);
            if let Paginator::Offset { .. } = paginator {
                prop_assert_eq!(&asked[asked.len() - 1][0].1, &all.to_string());
            }
        }
    }
}

#[test]
fn the_body_outranks_the_size_of_pages() {
    let (asked, _) = read(&numbered(), &[page(10), page(0)]);
    assert_eq!(asked, [[("page".to_owned(), "1".to_owned())], [("page".to_owned(), "2".to_owned())]]);
    let pages = |records, pages| PageFacts { total_pages: Signal::Value(pages), ..page(records) };
    assert_eq!(evidence(&numbered(), &[pages(10, 2), pages(10, 2)]), [Evidence::AllPagesRead { pages: 2 }]);
    assert_eq!(evidence(&numbered(), &[pages(0, 0)]), [Evidence::AllPagesRead { pages: 0 }]);
    assert_eq!(evidence(&numbered(), &[more(4, true), more(10, false)]), [Evidence::EndOfList]);
    let null = PageFacts { has_more: Signal::Null, ..page(4) };
    assert_eq!(evidence(&numbered(), &[null]), [Evidence::EndOfList]);
    assert_eq!(error(&offset(), &[more(0, true)]), PagingError::EmptyButMore(1));
}

#[test]
fn totals_must_agree() {
    assert_eq!(evidence(&offset(), &[total(10, 10)]), [Evidence::TotalAgreed { total: 10 }]);
    assert_eq!(evidence(&offset(), &[total(5, 12), total(7, 12)]), [Evidence::TotalAgreed { total: 12 }]);
    let differs = |total, received| PagingError::TotalDiffers { total, received, repeated: 0 };
    assert_eq!(error(&offset(), &[total(10, 12), total(0, 12)]), differs(12, 10));
    assert_eq!(error(&offset(), &[total(10, 9)]), differs(9, 10));
    let moved = PagingError::TotalMoved { before: 15, now: 16 };
    assert_eq!(moved.class(), FailureClass::Transient);
    assert_eq!(error(&offset(), &[total(10, 15), total(6, 16)]), moved);
    let pages = |records, pages| PageFacts { total_pages: Signal::Value(pages), ..page(records) };
    let moved = PagingError::PagesMoved { before: 3, now: 2 };
    assert_eq!(error(&numbered(), &[pages(10, 3), pages(10, 2)]), moved);
    let end = PageFacts { has_more: Signal::Value(false), ..total(9, 10) };
    assert_eq!(error(&offset(), &[end]), differs(10, 9));
}

#[test]
fn one_page_proves_nothing_by_itself() {
    let (_, end) = read(&single(), &[page(7)]);
    assert!(is_unproven(&end));
    assert_eq!(end.unwrap().evidence, [Evidence::SinglePage]);
    assert_eq!(evidence(&single(), &[total(7, 7)]), [Evidence::TotalAgreed { total: 7 }]);
    assert_eq!(evidence(&single(), &[more(7, false)]), [Evidence::EndOfList]);
    for page in [
        total(7, 8),
        more(7, true),
        PageFacts { has_link: true, ..page(7) },
        PageFacts { is_partial: true, ..page(7) },
        PageFacts { is_partial: true, ..total(7, 250) },
    ] {
        let error = error(&single(), std::slice::from_ref(&page));
        assert_eq!(error.class(), FailureClass::Config, "{error}");
        assert!(error.to_string().contains("type: none"), "{error}");
    }
    let whole = PageFacts { is_partial: true, ..total(7, 7) };
    assert_eq!(evidence(&single(), &[whole]), [Evidence::TotalAgreed { total: 7 }]);
}

#[test]
fn a_path_that_never_met_anything_is_an_error_and_not_an_end() {
    let nowhere = |want| PagingError::PathLeadsNowhere(want);
    for (paginator, want) in [
        (with_paths(offset()), Want::Total),
        (with_paths(numbered()), Want::Total),
        (with_paths(single()), Want::Total),
        (with_paths(cursor(None)), Want::Total),
    ] {
        let error = error(&paginator, &[page(3)]);
        assert_eq!((error.class(), &error), (FailureClass::Config, &nowhere(want)));
    }
    let has_more = Paginator::Offset {
        offset_param: "skip".to_owned(),
        limit_param: "count".to_owned(),
        limit: 10,
        start: 0,
        total_path: None,
        has_more_path: Some("x".parse().unwrap()),
    };
    assert_eq!(error(&has_more, &[page(3)]), nowhere(Want::HasMore));
    // an answer without records may well say nothing else
    assert_eq!(evidence(&with_paths(offset()), &[page(0)]), [Evidence::EmptyLastPage]);
    // absence on a later page is not an error, and no end either where pages are counted
    let said_once = [more(10, true), page(10), page(0)];
    assert_eq!(evidence(&has_more, &said_once), [Evidence::EmptyLastPage]);
}

#[test]
fn a_cursor_ends_a_list_by_null_and_not_by_never_being_there() {
    let (asked, ended) = read(&cursor(Some(10)), &[to(10, "a"), to(0, "b"), last(3)]);
    assert_eq!(asked[0], [("size".to_owned(), "10".to_owned())]);
    assert_eq!(asked[2][0], ("after".to_owned(), "b".to_owned()));
    assert_eq!(ended.unwrap().evidence, [Evidence::EndOfList]);
    assert_eq!(evidence(&cursor(None), &[to(3, "")]), [Evidence::EndOfList]);
    assert_eq!(evidence(&cursor(None), &[last(10)]), [Evidence::EndOfList]);
    assert_eq!(evidence(&cursor(None), &[to(10, "a"), page(3)]), [Evidence::EndOfList], "absent later");
    assert_eq!(evidence(&cursor(None), &[more(3, false)]), [Evidence::EndOfList]);
    let nowhere = PagingError::PathLeadsNowhere(Want::Cursor);
    assert_eq!(error(&cursor(Some(10)), &[page(10)]), nowhere, "a full first page");
    let misspelt = PageFacts { cursor: Signal::Misspelt, ..page(3) };
    assert_eq!(error(&cursor(None), &[misspelt]), nowhere, "the key is there under another name");
    let with_total = Paginator::Cursor {
        cursor_path: "next".parse().unwrap(),
        param: "after".to_owned(),
        limit_param: None,
        limit: None,
        has_more_path: None,
        total_path: Some("x".parse().unwrap()),
    };
    assert_eq!(error(&with_total, &[total(3, 25)]), nowhere, "the total says that there is more");
    assert!(is_unproven(&read(&cursor(Some(10)), &[page(3)]).1), "perhaps a capped page");
    assert!(is_unproven(&read(&cursor(None), &[page(30)]).1));
}

#[test]
fn cursors_that_lead_nowhere() {
    let repeated = PagingError::RepeatedCursor("a".to_owned());
    assert_eq!(error(&cursor(None), &[to(10, "a"), to(10, "b"), to(10, "a")]), repeated);
    assert_eq!(error(&cursor(None), &[more(1, true)]), PagingError::MoreWithoutCursor(1));
    let link = PageFacts { has_link: true, ..last(3) };
    assert_eq!(error(&cursor(None), &[link]), PagingError::LinkWithoutCursor(1));
    for address in ["https://h/x?page=2", "http://h/", "/x?page=2"] {
        let error = error(&cursor(None), &[to(3, address)]);
        assert_eq!(error, PagingError::CursorIsAddress(address.to_owned()));
        assert_eq!(error.class(), FailureClass::Config);
    }
    for other in ["/abc", "aHR0cHM6Ly9o", "a/b?c", "1754006400"] {
        assert!(read(&cursor(None), &[to(3, other), last(1)]).1.is_ok(), "{other}");
    }
}

#[test]
fn pages_that_repeat_are_found_by_their_records() {
    let first = || of(1..=10);
    for counting in [KEYED, KEYLESS] {
        for paginator in [offset(), numbered()] {
            let error = read_as(counting, &paginator, &[first(), first()], None).1.unwrap_err();
            assert!(matches!(error, PagingError::SamePage { page: 2, .. }), "{error}");
            let error = read_as(counting, &paginator, &[first(), of(11..=20), first()], None).1.unwrap_err();
            assert!(matches!(error, PagingError::SamePage { page: 3, .. }), "{error}");
        }
    }
    // mostly the same, in another order
    let other = of((3..=12).rev());
    assert!(matches!(
        error(&offset(), &[first(), other]),
        PagingError::SameRecords { known: 8, count: 10, .. }
    ));
    let message = error(&offset(), &[first(), first()]).to_string();
    assert!(message.contains("ignore `skip`"), "{message}");
    // a short first page that comes again is one too: perhaps all there is, perhaps a cap
    assert!(matches!(error(&offset(), &[of(1..=3), of(1..=3)]), PagingError::SamePage { .. }));
}

#[test]
fn a_server_that_repeats_its_last_page_for_ever_ends_unproven() {
    let pages = [of(1..=10), of(11..=13), of(11..=13)];
    let (_, end) = read(&numbered(), &pages);
    assert!(is_unproven(&end));
    assert!(end.unwrap().repeats_last);
    // a full page that comes again is a limit of offsets
    let pages = [of(1..=10), of(11..=20), of(11..=20)];
    assert!(matches!(error(&numbered(), &pages), PagingError::SamePage { page: 3, .. }));
}

#[test]
fn a_list_that_moves_is_never_whole_without_a_total() {
    // one record was put in front while the pages were read: 10 came twice
    let moved = [of(1..=10), of(10..=19), of([]), of([])];
    let end = read_as(KEYED, &offset(), &moved[..3], None).1;
    assert!(is_unproven(&end));
    assert!(matches!(end.unwrap().warnings[..], [ChunkWarning::ListMoved { .. }]));
    let error = read_as(KEYLESS, &offset(), &moved, None).1.unwrap_err();
    assert_eq!(
        (error.class(), &error),
        (FailureClass::Transient, &PagingError::ListMoved { page: 2, known: 1 })
    );
    let allowed = Counting { has_key: false, repeats: Repeats::Allow };
    assert!(read_as(allowed, &offset(), &moved[..3], None).1.is_ok());
    // a total agrees with different records only
    let said = |page: &PageFacts, total| PageFacts { total: Signal::Value(total), ..page.clone() };
    let pages = [said(&moved[0], 19), said(&moved[1], 19)];
    assert_eq!(evidence(&offset(), &pages), [Evidence::TotalAgreed { total: 19 }]);
    let pages = [said(&moved[0], 20), said(&moved[1], 20), said(&moved[2], 20)];
    let differs = PagingError::TotalDiffers { total: 20, received: 19, repeated: 1 };
    assert_eq!(read(&offset(), &pages).1.unwrap_err(), differs);
}

#[test]
fn loops_end() {
    let pages = [page(10), page(10), page(10), page(10), page(10)];
    assert_eq!(error(&numbered(), &pages), PagingError::TooManyPages(5));
    // the page that only confirms the end is let through
    let pages = [page(10), page(10), page(10), page(10), page(9), page(0)];
    assert_eq!(evidence(&numbered(), &pages), [Evidence::EmptyLastPage]);
    let pages = [page(10), page(10), page(10), page(10), page(9), page(9)];
    assert_eq!(error(&numbered(), &pages), PagingError::TooManyPages(5));
}

#[test]
fn a_list_that_may_be_cut_off_is_seen_as_early_as_can_be() {
    let capped =
        |paginator: &Paginator, pages: &[PageFacts], cap| read_as(KEYED, paginator, pages, Some(cap)).1;
    let too_many = |cap| PagingError::TooManyRecords(cap);
    assert_eq!(capped(&offset(), &[page(10), page(10)], 20).unwrap_err(), too_many(20));
    assert_eq!(capped(&offset(), &[page(10), page(5)], 15).unwrap_err(), too_many(15));
    // the last requests reach no further than the source lets
    let (asked, end) = read_as(KEYED, &offset(), &[page(10), page(9), page(0)], Some(20));
    assert_eq!(asked[2], [("skip".to_owned(), "19".to_owned()), ("count".to_owned(), "1".to_owned())]);
    assert_eq!(end.unwrap().evidence, [Evidence::EmptyLastPage]);
    assert_eq!(capped(&numbered(), &[page(10), page(5)], 15).unwrap_err(), too_many(15));
    assert!(capped(&numbered(), &[page(10), page(4), page(0)], 15).is_ok());
    assert_eq!(
        capped(&offset(), &[total(10, 21)], 20).unwrap_err(),
        too_many(20),
        "the total says so at once"
    );
    assert!(capped(&offset(), &[total(10, 20), total(10, 20)], 20).is_ok(), "the total says that it is all");
    let pages = |records, pages| PageFacts { total_pages: Signal::Value(pages), ..page(records) };
    let many = PagingError::TooManyPages(5);
    assert!(many.is_cap() && !PagingError::EmptyButMore(2).is_cap());
    assert_eq!(error(&numbered(), &[pages(10, 6)]), many);
    assert_eq!(
        capped(&numbered(), &[more(15, false)], 15).unwrap_err(),
        too_many(15),
        "so says a cut list too"
    );
    assert_eq!(capped(&single(), &[page(15)], 15).unwrap_err(), too_many(15));
}
