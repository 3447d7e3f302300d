//! From one page to the next, and what shows that none is missing. Pure.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use nstore_shared::{
    config::spec::{Paginator, RequestLimits},
    retry::FailureClass,
    storage::marker::Evidence,
};

/// What a page says about itself and about what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PageFacts {
    /// Records that it holds.
    pub(super) records: u64,
    /// Records in all, as it says.
    pub(super) total: Option<u64>,
    /// Pages in all, as it says.
    pub(super) total_pages: Option<u64>,
    /// What names the next page.
    pub(super) cursor: Option<String>,
    /// Whether another page follows, as it says.
    pub(super) has_more: Option<bool>,
    /// [`fingerprint`] of its body.
    pub(super) fingerprint: u64,
}

/// Query parameters of a page.
pub(super) type Params = Vec<(String, String)>;

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for another one.
    Ask(Params),
    /// It was the last.
    Done(Vec<Evidence>),
}

/// What cannot be true of a list that is read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PagingFault {
    #[error(
        "the total went from {before} to {now} while the pages were read, so rows may be missing or double"
    )]
    TotalMoved { before: u64, now: u64 },
    #[error(
        "the number of pages went from {before} to {now} while they were read, so rows may be missing or double"
    )]
    PagesMoved { before: u64, now: u64 },
    #[error(
        "there is nothing at `paginator.{0}`, which was to show that the list is complete; correct the path"
    )]
    NoProof(&'static str),
    #[error("{received} records came, but the total says {total}")]
    TotalDiffers { total: u64, received: u64 },
    #[error("the cursor `{0}` came a second time; correct `paginator.cursor_path` or `paginator.param`")]
    RepeatedCursor(String),
    #[error(
        "page {0} is the same as the one before; the source seems not to know the paginator's parameters"
    )]
    SamePage(u64),
    #[error("page {0} is empty, but says that more follows")]
    EmptyButMore(u64),
    #[error("page {0} says that more follows, but names no next page at `paginator.cursor_path`")]
    MoreWithoutCursor(u64),
    #[error("more than {0} pages; raise `limits.max_pages` or make the chunks smaller")]
    TooManyPages(u64),
    #[error(
        "the source gives {0} records of one window and no more (`limits.max_records`), and this one has as many"
    )]
    TooManyRecords(u64),
}

impl PagingFault {
    /// What kind of failure it is.
    pub(super) fn class(&self) -> FailureClass {
        match self {
            // the data moved: the next attempt reads it anew
            Self::TotalMoved { .. } | Self::PagesMoved { .. } | Self::TotalDiffers { .. } => {
                FailureClass::Transient
            }
            Self::TooManyPages(_) | Self::TooManyRecords(_) => FailureClass::Config,
            _ => FailureClass::Data,
        }
    }

    /// Whether a smaller window may do.
    pub(super) fn is_cap(&self) -> bool {
        matches!(self, Self::TooManyPages(_) | Self::TooManyRecords(_))
    }
}

/// How far the reading of one chunk is.
#[derive(Debug)]
pub(super) struct Paging<'a> {
    paginator: &'a Paginator,
    max_pages: u64,
    max_records: u64,
    pages: u64,
    received: u64,
    total: Option<u64>,
    total_pages: Option<u64>,
    last: Option<u64>,
    /// Fingerprints of all cursors so far.
    cursors: HashSet<u64>,
}

/// What a page means for the list.
enum Turn {
    More(Option<String>),
    End(Evidence),
}

/// A number that two different bodies practically never share.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Paging<'a> {
    /// Before the first page.
    pub(super) fn new(paginator: &'a Paginator, limits: &RequestLimits) -> Self {
        let cursors = HashSet::new();
        let (total, total_pages, last) = (None, None, None);
        let (max_pages, max_records) = (limits.max_pages, limits.max_records.unwrap_or(u64::MAX));
        Self { paginator, max_pages, max_records, pages: 0, received: 0, total, total_pages, last, cursors }
    }

    /// Pages seen.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// The parameters of the first page.
    pub(super) fn first(&self) -> Params {
        self.params(None)
    }

    /// Takes a page in and says what follows.
    pub(super) fn turn(&mut self, facts: &PageFacts) -> Result<Step, PagingFault> {
        self.pages += 1;
        self.received += facts.records;
        if facts.records > 0 && self.last.replace(facts.fingerprint) == Some(facts.fingerprint) {
            return Err(PagingFault::SamePage(self.pages));
        }
        if let (Some(before), Some(now)) = (self.total, facts.total)
            && before != now
        {
            return Err(PagingFault::TotalMoved { before, now });
        }
        if let (Some(before), Some(now)) = (self.total_pages, facts.total_pages)
            && before != now
        {
            return Err(PagingFault::PagesMoved { before, now });
        }
        self.total = self.total.or(facts.total);
        self.total_pages = self.total_pages.or(facts.total_pages);
        self.proof_is_there()?;
        self.fits()?;
        let turn = match self.paginator {
            Paginator::None => Turn::End(Evidence::SinglePage),
            Paginator::PageNumber { size, .. } => self.by_count(facts, *size)?,
            Paginator::Offset { limit, .. } => self.by_count(facts, *limit)?,
            Paginator::Cursor { .. } => self.by_cursor(facts)?,
        };
        match turn {
            Turn::End(evidence) => self.end(evidence).map(Step::Done),
            Turn::More(_) if self.pages >= self.max_pages => Err(PagingFault::TooManyPages(self.max_pages)),
            Turn::More(_) if self.next_end() > self.max_records => {
                Err(PagingFault::TooManyRecords(self.max_records))
            }
            Turn::More(cursor) => Ok(Step::Ask(self.params(cursor))),
        }
    }

    /// A list that is longer than the source gives, or may be: seen as early as it says so, at the latest when as many
    /// records came as it gives.
    fn fits(&self) -> Result<(), PagingFault> {
        if self.total_pages.is_some_and(|pages| pages > self.max_pages) {
            return Err(PagingFault::TooManyPages(self.max_pages));
        }
        let too_many = match self.total {
            Some(total) => total > self.max_records,
            None => self.received >= self.max_records,
        };
        if too_many { Err(PagingFault::TooManyRecords(self.max_records)) } else { Ok(()) }
    }

    /// How far the next page reaches into the list: no further than the source lets.
    fn next_end(&self) -> u64 {
        match (self.paginator, self.total) {
            (Paginator::Offset { limit, .. }, None) => self.received.saturating_add(*limit),
            _ => self.received,
        }
    }

    /// A path that was to show that the list is complete, and meets nothing on the first page, shows nothing.
    fn proof_is_there(&self) -> Result<(), PagingFault> {
        let (total, pages) = match self.paginator {
            Paginator::None => (&None, &None),
            Paginator::PageNumber { total_path, total_pages_path, .. } => (total_path, total_pages_path),
            Paginator::Offset { total_path, .. } | Paginator::Cursor { total_path, .. } => {
                (total_path, &None)
            }
        };
        if total.is_some() && self.total.is_none() {
            return Err(PagingFault::NoProof("total_path"));
        }
        if pages.is_some() && self.total_pages.is_none() {
            return Err(PagingFault::NoProof("total_pages_path"));
        }
        Ok(())
    }

    /// What the body says outranks what its size suggests: a source may well cap the size that it was asked for.
    fn by_count(&self, facts: &PageFacts, size: u64) -> Result<Turn, PagingFault> {
        let more = || {
            if facts.records == 0 { Err(PagingFault::EmptyButMore(self.pages)) } else { Ok(Turn::More(None)) }
        };
        match (facts.has_more, facts.total_pages, self.total) {
            (Some(false), ..) => Ok(Turn::End(Evidence::EndOfList)),
            (Some(true), ..) => more(),
            (None, Some(pages), _) if self.pages >= pages => Ok(Turn::End(Evidence::AllPagesRead { pages })),
            (None, Some(_), _) => more(),
            (None, None, Some(total)) if self.received >= total || facts.records == 0 => {
                Ok(Turn::End(Evidence::TotalAgreed { total }))
            }
            (None, None, Some(_)) => Ok(Turn::More(None)),
            (None, None, None) if facts.records == 0 || facts.records < size => {
                Ok(Turn::End(Evidence::ShortLastPage { records: facts.records }))
            }
            (None, None, None) => Ok(Turn::More(None)),
        }
    }

    /// An empty page with a fresh cursor is followed: sources that filter after paging send such.
    fn by_cursor(&mut self, facts: &PageFacts) -> Result<Turn, PagingFault> {
        if facts.has_more == Some(false) {
            return Ok(Turn::End(Evidence::EndOfList));
        }
        let Some(cursor) = facts.cursor.as_ref().filter(|cursor| !cursor.is_empty()) else {
            return match facts.has_more {
                Some(true) => Err(PagingFault::MoreWithoutCursor(self.pages)),
                _ => Ok(Turn::End(Evidence::EndOfList)),
            };
        };
        if !self.cursors.insert(fingerprint(cursor.as_bytes())) {
            return Err(PagingFault::RepeatedCursor(cursor.clone()));
        }
        Ok(Turn::More(Some(cursor.clone())))
    }

    fn end(&self, evidence: Evidence) -> Result<Vec<Evidence>, PagingFault> {
        let Some(total) = self.total else { return Ok(vec![evidence]) };
        if total != self.received {
            return Err(PagingFault::TotalDiffers { total, received: self.received });
        }
        let agreed = Evidence::TotalAgreed { total };
        Ok(if evidence == agreed { vec![agreed] } else { vec![agreed, evidence] })
    }

    fn params(&self, next: Option<String>) -> Params {
        let sized =
            |name: &Option<String>, size: u64| name.as_ref().map(|name| (name.clone(), size.to_string()));
        match self.paginator {
            Paginator::None => vec![],
            Paginator::PageNumber { page_param, start_page, size_param, size, .. } => {
                let page = (page_param.clone(), (start_page + self.pages).to_string());
                [page].into_iter().chain(sized(size_param, *size)).collect()
            }
            Paginator::Offset { offset_param, limit_param, limit, start, .. } => vec![
                (offset_param.clone(), (start + self.received).to_string()),
                (limit_param.clone(), limit.to_string()),
            ],
            Paginator::Cursor { param, limit_param, limit, .. } => {
                let cursor = next.map(|cursor| (param.clone(), cursor));
                cursor.into_iter().chain(limit.and_then(|limit| sized(limit_param, limit))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
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

    fn cursor() -> Paginator {
        let (cursor_path, param) = ("next".to_owned(), "after".to_owned());
        let limit_param = Some("size".to_owned());
        Paginator::Cursor {
            cursor_path,
            param,
            limit_param,
            limit: Some(10),
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

    /// Feeds pages until the list ends; the parameters asked for, and how it ended.
    fn read(paginator: &Paginator, pages: &[PageFacts]) -> (Vec<Params>, Result<Vec<Evidence>, PagingFault>) {
        read_within(paginator, pages, None)
    }

    fn read_within(
        paginator: &Paginator,
        pages: &[PageFacts],
        max_records: Option<u64>,
    ) -> (Vec<Params>, Result<Vec<Evidence>, PagingFault>) {
        let second = std::time::Duration::from_secs(1);
        let limits = RequestLimits {
            connect_timeout: second,
            read_timeout: second,
            total_timeout: second,
            chunk_timeout: None,
            max_body_bytes: 1,
            max_pages: 5,
            max_records,
        };
        let mut paging = Paging::new(paginator, &limits);
        let mut asked = vec![paging.first()];
        for (index, page) in pages.iter().enumerate() {
            let print = if page.fingerprint == 0 { index as u64 + 1 } else { page.fingerprint };
            match paging.turn(&PageFacts { fingerprint: print, ..page.clone() }) {
                Ok(Step::Ask(params)) => asked.push(params),
                Ok(Step::Done(evidence)) => {
                    assert_eq!(index + 1, pages.len(), "ended early");
                    return (asked, Ok(evidence));
                }
                Err(fault) => return (asked, Err(fault)),
            }
        }
        panic!("asks for more: {asked:?}");
    }

    fn page(records: u64) -> PageFacts {
        PageFacts { records, ..PageFacts::default() }
    }

    fn end(paginator: &Paginator, pages: &[PageFacts]) -> Result<Vec<Evidence>, PagingFault> {
        read(paginator, pages).1
    }

    #[test]
    fn offsets_count_what_came() {
        let (asked, end) = read(&offset(), &[page(10), page(10), page(3)]);
        let skips: Vec<_> = asked.iter().map(|params| params[0].1.as_str()).collect();
        assert_eq!(skips, ["0", "10", "20"]);
        assert_eq!(asked[0][1], ("count".to_owned(), "10".to_owned()));
        assert_eq!(end.unwrap(), [Evidence::ShortLastPage { records: 3 }]);
        // a source that caps the size below what was asked for loses nothing, if it says how many there are
        let of_12 = |records| PageFacts { total: Some(12), ..page(records) };
        let (asked, end) = read(&offset(), &[of_12(5), of_12(5), of_12(2)]);
        assert_eq!(asked[2][0].1, "10");
        assert_eq!(end.unwrap(), [Evidence::TotalAgreed { total: 12 }]);
    }

    #[test]
    fn page_numbers_end_by_the_strongest_word() {
        let (asked, ended) = read(&numbered(), &[page(10), page(0)]);
        assert_eq!(asked, [[("page".to_owned(), "1".to_owned())], [("page".to_owned(), "2".to_owned())]]);
        assert_eq!(ended.unwrap(), [Evidence::ShortLastPage { records: 0 }]);
        let of = |records, pages| PageFacts { total_pages: Some(pages), ..page(records) };
        assert_eq!(end(&numbered(), &[of(10, 2), of(10, 2)]).unwrap(), [Evidence::AllPagesRead { pages: 2 }]);
        assert_eq!(end(&numbered(), &[of(0, 0)]).unwrap(), [Evidence::AllPagesRead { pages: 0 }]);
        let more = |records, more| PageFacts { has_more: Some(more), ..page(records) };
        assert_eq!(end(&numbered(), &[more(4, true), more(10, false)]).unwrap(), [Evidence::EndOfList]);
        assert_eq!(end(&Paginator::None, &[page(7)]).unwrap(), [Evidence::SinglePage]);
    }

    #[test]
    fn totals_must_agree() {
        let of = |records, total| PageFacts { total: Some(total), ..page(records) };
        assert_eq!(end(&offset(), &[of(10, 10)]).unwrap(), [Evidence::TotalAgreed { total: 10 }]);
        let differs = |total, received| Err(PagingFault::TotalDiffers { total, received });
        assert_eq!(end(&offset(), &[of(10, 12), of(0, 12)]), differs(12, 10));
        assert_eq!(end(&offset(), &[of(10, 9)]), differs(9, 10));
        let moved = PagingFault::TotalMoved { before: 15, now: 16 };
        assert_eq!(moved.class(), FailureClass::Transient);
        assert_eq!(end(&offset(), &[of(10, 15), of(6, 16)]), Err(moved));
        let of_pages = |records, pages| PageFacts { total_pages: Some(pages), ..page(records) };
        let moved = PagingFault::PagesMoved { before: 3, now: 2 };
        assert_eq!(end(&numbered(), &[of_pages(10, 3), of_pages(10, 2)]), Err(moved));
        let last = PageFacts { has_more: Some(false), ..of(9, 10) };
        assert_eq!(end(&offset(), &[last]), differs(10, 9));
    }

    #[test]
    fn cursors() {
        let to = |records, next: &str| PageFacts { cursor: Some(next.to_owned()), ..page(records) };
        let (asked, ended) = read(&cursor(), &[to(10, "a"), to(0, "b"), page(3)]);
        assert_eq!(asked[0], [("size".to_owned(), "10".to_owned())]);
        assert_eq!(asked[2][0], ("after".to_owned(), "b".to_owned()));
        assert_eq!(ended.unwrap(), [Evidence::EndOfList]);
        assert_eq!(end(&cursor(), &[to(3, "")]).unwrap(), [Evidence::EndOfList]);
        let repeated = Err(PagingFault::RepeatedCursor("a".to_owned()));
        assert_eq!(end(&cursor(), &[to(10, "a"), to(10, "b"), to(10, "a")]), repeated);
        let more = PageFacts { has_more: Some(true), ..page(1) };
        assert_eq!(end(&cursor(), &[more]), Err(PagingFault::MoreWithoutCursor(1)));
    }

    #[test]
    fn loops_end() {
        let same = PageFacts { fingerprint: 7, ..page(10) };
        assert_eq!(end(&offset(), &[same.clone(), same]), Err(PagingFault::SamePage(2)));
        let empty = PageFacts { has_more: Some(true), ..page(0) };
        assert_eq!(end(&offset(), &[empty]), Err(PagingFault::EmptyButMore(1)));
        assert_eq!(
            end(&numbered(), &[page(10), page(10), page(10), page(10), page(10)]),
            Err(PagingFault::TooManyPages(5))
        );
    }

    #[test]
    fn a_list_that_may_be_cut_off_is_seen_as_early_as_can_be() {
        let capped =
            |paginator: &Paginator, pages: &[PageFacts], cap| read_within(paginator, pages, Some(cap)).1;
        let too_many = |cap| Err(PagingFault::TooManyRecords(cap));
        assert_eq!(capped(&offset(), &[page(10), page(10)], 20), too_many(20));
        assert_eq!(capped(&offset(), &[page(10)], 15), too_many(15), "the next page would reach beyond");
        assert!(capped(&offset(), &[page(10), page(9)], 20).is_ok());
        assert_eq!(
            capped(&numbered(), &[page(10), page(5)], 15),
            too_many(15),
            "a short page may be a cut one"
        );
        assert!(capped(&numbered(), &[page(10), page(4)], 15).is_ok());
        let of = |records, total| PageFacts { total: Some(total), ..page(records) };
        assert_eq!(capped(&offset(), &[of(10, 21)], 20), too_many(20), "the total says so at once");
        assert!(capped(&offset(), &[of(10, 20), of(10, 20)], 20).is_ok(), "the total says that it is all");
        let of_pages = |records, pages| PageFacts { total_pages: Some(pages), ..page(records) };
        let many = PagingFault::TooManyPages(5);
        assert!(many.is_cap() && !PagingFault::SamePage(2).is_cap());
        assert_eq!(end(&numbered(), &[of_pages(10, 6)]), Err(many));
        let more = |records| PageFacts { has_more: Some(false), ..page(records) };
        assert_eq!(capped(&numbered(), &[more(15)], 15), too_many(15), "it says the same of a cut list");
        assert_eq!(capped(&Paginator::None, &[page(15)], 15), too_many(15));
    }
}
