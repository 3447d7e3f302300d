//! From one page to the next, and what shows that none is missing. Pure.
//!
//! A list has ended only where something says so: a total that agrees, a page count, "no more follows", or an empty page.
//! A short page says nothing, since servers cap what they were asked for.

use std::collections::HashSet;

use nstore_shared::{
    config::spec::{Paginator, Repeats, RequestLimits},
    storage::marker::{ChunkWarning, Evidence},
};

use super::{
    facts::{PageFacts, Signal, Want},
    identity::fingerprint,
};

mod fault;

pub(super) use fault::PagingError;

/// Query parameters of a page.
pub(super) type Params = Vec<(String, String)>;

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take it, and ask for another one.
    Ask(Params),
    /// It was the last.
    Done(End),
}

/// The end of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// What speaks for its completeness.
    pub(super) evidence: Vec<Evidence>,
    /// What is to be known besides.
    pub(super) warnings: Vec<ChunkWarning>,
    /// The last page repeats the one before it, and is not to be taken.
    pub(super) repeats_last: bool,
}

/// How the records of a source are told apart and counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counting {
    /// Records have a key.
    pub(super) has_key: bool,
    /// Whether one may come again.
    pub(super) repeats: Repeats,
}

/// How far the reading of one chunk is.
#[derive(Debug)]
pub(super) struct Paging<'a> {
    paginator: &'a Paginator,
    counting: Counting,
    max_pages: u64,
    max_records: u64,
    pages: u64,
    received: u64,
    /// Records that came on an earlier page already.
    repeated: u64,
    /// Records of the largest page.
    largest: u64,
    total: Option<u64>,
    total_pages: Option<u64>,
    has_cursor: bool,
    /// All records so far, 8 bytes each.
    records: HashSet<u64>,
    /// All pages so far, and the last one.
    seen_pages: HashSet<u64>,
    last_page: Option<u64>,
    cursors: HashSet<u64>,
}

/// What a page means for the list.
enum Turn {
    More(Option<String>),
    /// It ends here, by this evidence.
    End(Evidence),
    /// It ends here, and nothing shows that it is whole.
    Unproven,
}

impl<'a> Paging<'a> {
    /// Before the first page.
    pub(super) fn new(paginator: &'a Paginator, counting: Counting, limits: &RequestLimits) -> Self {
        Self {
            paginator,
            counting,
            max_pages: limits.max_pages,
            max_records: limits.max_records.unwrap_or(u64::MAX),
            pages: 0,
            received: 0,
            repeated: 0,
            largest: 0,
            total: None,
            total_pages: None,
            has_cursor: false,
            records: HashSet::new(),
            seen_pages: HashSet::new(),
            last_page: None,
            cursors: HashSet::new(),
        }
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
    pub(super) fn turn(&mut self, facts: &PageFacts) -> Result<Step, PagingError> {
        self.pages += 1;
        let count = facts.records.len() as u64;
        if let Some(end) = self.repeats(facts)? {
            return Ok(Step::Done(end));
        }
        self.received += count;
        self.totals(facts)?;
        if self.pages == 1 && count > 0 {
            self.paths_lead_somewhere(facts)?;
        }
        self.fits()?;
        let turn = match self.paginator {
            _ if facts.is_none => Turn::End(Evidence::NoRecords),
            Paginator::None { .. } => self.single(facts)?,
            Paginator::PageNumber { .. } | Paginator::Offset { .. } => self.by_count(facts)?,
            Paginator::Cursor { limit, .. } => self.by_cursor(facts, *limit)?,
        };
        let is_short = count < self.largest;
        self.largest = self.largest.max(count);
        match turn {
            Turn::End(evidence) => self.end(Some(evidence)).map(Step::Done),
            Turn::Unproven => self.end(None).map(Step::Done),
            // the page after a short one most likely only confirms the end
            Turn::More(_) if self.pages >= self.max_pages && !(is_short && self.pages == self.max_pages) => {
                Err(PagingError::TooManyPages(self.max_pages))
            }
            Turn::More(cursor) => Ok(Step::Ask(self.params(cursor))),
        }
    }

    /// Finds records that came before: a page that repeats an earlier one, or a list that changed while it was read.
    fn repeats(&mut self, facts: &PageFacts) -> Result<Option<End>, PagingError> {
        let count = facts.records.len() as u64;
        let known = facts.records.iter().filter(|record| self.records.contains(record)).count() as u64;
        let page = fingerprint(&facts.records);
        if count > 0 && self.seen_pages.contains(&page) && self.counting.repeats == Repeats::Fail {
            // a server that answers with the last page whatever page beyond it is asked for
            let is_last_again = self.last_page == Some(page)
                && count < self.largest
                && !self.says_how_many()
                && self.ends_by_count();
            if is_last_again {
                let warnings = vec![ChunkWarning::EndUnknown { fields: vec![] }];
                return Ok(Some(End { warnings, repeats_last: true, ..End::default() }));
            }
            return Err(PagingError::SamePage { page: self.pages, param: self.page_param() });
        }
        if known > 0 && self.counting.repeats == Repeats::Fail {
            if self.pages == 2 && known > 1 && known * 2 >= count {
                return Err(PagingError::SameRecords {
                    page: self.pages,
                    known,
                    count,
                    param: self.page_param(),
                });
            }
            if known * 2 >= count || !self.counting.has_key {
                return Err(PagingError::ListMoved { page: self.pages, known });
            }
            self.repeated += known;
        }
        self.records.extend(&facts.records);
        self.seen_pages.insert(page);
        self.last_page = Some(page);
        Ok(None)
    }

    fn ends_by_count(&self) -> bool {
        matches!(self.paginator, Paginator::PageNumber { .. } | Paginator::Offset { .. })
    }

    fn says_how_many(&self) -> bool {
        self.total.is_some() || self.total_pages.is_some()
    }

    /// The parameter that a source ignores if its pages repeat.
    fn page_param(&self) -> String {
        match self.paginator {
            Paginator::None { .. } => String::new(),
            Paginator::PageNumber { page_param, .. } => page_param.clone(),
            Paginator::Offset { offset_param, .. } => offset_param.clone(),
            Paginator::Cursor { param, .. } => param.clone(),
        }
    }

    fn totals(&mut self, facts: &PageFacts) -> Result<(), PagingError> {
        if let (Some(before), Some(now)) = (self.total, facts.total.value())
            && before != now
        {
            return Err(PagingError::TotalMoved { before, now });
        }
        if let (Some(before), Some(now)) = (self.total_pages, facts.total_pages.value())
            && before != now
        {
            return Err(PagingError::PagesMoved { before, now });
        }
        self.total = self.total.or(facts.total.value());
        self.total_pages = self.total_pages.or(facts.total_pages.value());
        Ok(())
    }

    /// A list that is longer than the source gives, or may be: seen as early as it says so, at the latest when as many
    /// records came as it gives.
    fn fits(&self) -> Result<(), PagingError> {
        if self.total_pages.is_some_and(|pages| pages > self.max_pages) {
            return Err(PagingError::TooManyPages(self.max_pages));
        }
        let too_many = match self.total {
            Some(total) => total > self.max_records,
            None => self.received >= self.max_records,
        };
        if too_many { Err(PagingError::TooManyRecords(self.max_records)) } else { Ok(()) }
    }

    /// A path that was to say something of the list, and meets nothing on a first page with records, says nothing: it is
    /// not an end. A cursor's absence is judged with the page.
    fn paths_lead_somewhere(&self, facts: &PageFacts) -> Result<(), PagingError> {
        let (total, pages, has_more) = match self.paginator {
            Paginator::None { total_path, has_more_path }
            | Paginator::Offset { total_path, has_more_path, .. } => (total_path, &None, has_more_path),
            Paginator::PageNumber { total_path, total_pages_path, has_more_path, .. } => {
                (total_path, total_pages_path, has_more_path)
            }
            Paginator::Cursor { total_path, has_more_path, .. } => (total_path, &None, has_more_path),
        };
        for (path, is_absent, want) in [
            // a header may say it instead
            (total, facts.total.is_absent(), Want::Total),
            (pages, facts.total_pages.is_absent(), Want::TotalPages),
            (has_more, facts.has_more.is_absent(), Want::HasMore),
        ] {
            if path.is_some() && is_absent {
                return Err(PagingError::PathLeadsNowhere(want));
            }
        }
        Ok(())
    }

    /// A source that is described as having one page.
    fn single(&self, facts: &PageFacts) -> Result<Turn, PagingError> {
        let records = self.received;
        if facts.has_link || facts.has_more == Signal::Value(true) {
            return Err(PagingError::MoreThanOnePage {
                records,
                total: self.total,
                has_link: facts.has_link,
            });
        }
        match (self.total, &facts.has_more) {
            (Some(total), _) if total > records => {
                Err(PagingError::MoreThanOnePage { records, total: Some(total), has_link: false })
            }
            (Some(total), _) => Ok(Turn::End(Evidence::TotalAgreed { total })),
            (None, _) if facts.is_partial => Err(PagingError::PartOfTheList { records }),
            (None, Signal::Value(false) | Signal::Null) => Ok(Turn::End(Evidence::EndOfList)),
            (None, _) => Ok(Turn::End(Evidence::SinglePage)),
        }
    }

    /// What the body says outranks what its size suggests; without a word of it only an empty page is the end.
    fn by_count(&self, facts: &PageFacts) -> Result<Turn, PagingError> {
        let is_empty = facts.records.is_empty();
        let more =
            || if is_empty { Err(PagingError::EmptyButMore(self.pages)) } else { Ok(Turn::More(None)) };
        match (&facts.has_more, self.total_pages, self.total) {
            (Signal::Value(false) | Signal::Null, ..) => Ok(Turn::End(Evidence::EndOfList)),
            (Signal::Value(true), ..) => more(),
            (_, Some(pages), _) if self.pages >= pages => Ok(Turn::End(Evidence::AllPagesRead { pages })),
            (_, Some(_), _) => more(),
            (_, None, Some(total)) if self.fresh() >= total || is_empty => {
                Ok(Turn::End(Evidence::TotalAgreed { total }))
            }
            (_, None, None) if is_empty => Ok(Turn::End(Evidence::EmptyLastPage)),
            (_, None, _) => Ok(Turn::More(None)),
        }
    }

    /// An empty page with a fresh cursor is followed: sources that filter after paging send such pages.
    fn by_cursor(&mut self, facts: &PageFacts, limit: Option<u64>) -> Result<Turn, PagingError> {
        if facts.has_more == Signal::Value(false) {
            return Ok(Turn::End(Evidence::EndOfList));
        }
        let count = facts.records.len() as u64;
        match &facts.cursor {
            Signal::Value(cursor) if !cursor.is_empty() => {
                self.has_cursor = true;
                if is_address(cursor) {
                    return Err(PagingError::CursorIsAddress(cursor.chars().take(200).collect()));
                }
                if !self.cursors.insert(fingerprint(cursor.as_str())) {
                    return Err(PagingError::RepeatedCursor(cursor.clone()));
                }
                Ok(Turn::More(Some(cursor.clone())))
            }
            _ if facts.has_more == Signal::Value(true) => Err(PagingError::MoreWithoutCursor(self.pages)),
            _ if facts.has_link => Err(PagingError::LinkWithoutCursor(self.pages)),
            Signal::Null | Signal::Value(_) => Ok(Turn::End(Evidence::EndOfList)),
            Signal::Absent if self.has_cursor || facts.has_more == Signal::Null => {
                Ok(Turn::End(Evidence::EndOfList))
            }
            Signal::Misspelt => Err(PagingError::PathLeadsNowhere(Want::Cursor)),
            Signal::Absent if limit.is_some_and(|limit| count >= limit) => {
                Err(PagingError::PathLeadsNowhere(Want::Cursor))
            }
            Signal::Absent if count > 0 && self.total.is_some_and(|total| total > self.fresh()) => {
                Err(PagingError::PathLeadsNowhere(Want::Cursor))
            }
            Signal::Absent => Ok(Turn::Unproven),
        }
    }

    /// Records that came for the first time.
    fn fresh(&self) -> u64 {
        self.received - self.repeated
    }

    fn end(&self, evidence: Option<Evidence>) -> Result<End, PagingError> {
        if let Some(total) = self.total {
            if total != self.fresh() {
                return Err(PagingError::TotalDiffers {
                    total,
                    received: self.fresh(),
                    repeated: self.repeated,
                });
            }
            let agreed = Evidence::TotalAgreed { total };
            let other = evidence.filter(|evidence| *evidence != agreed);
            return Ok(End { evidence: [agreed].into_iter().chain(other).collect(), ..End::default() });
        }
        if self.repeated > 0 {
            // a record that moved back came twice, and one that moved forward may not have come at all
            let detail = format!("{} records came on two pages", self.repeated);
            return Ok(End { warnings: vec![ChunkWarning::ListMoved { detail }], ..End::default() });
        }
        let is_proven = evidence.as_ref().is_some_and(Evidence::is_proof);
        let warnings = if is_proven { vec![] } else { vec![ChunkWarning::EndUnknown { fields: vec![] }] };
        Ok(End { evidence: evidence.into_iter().collect(), warnings, repeats_last: false })
    }

    fn params(&self, next: Option<String>) -> Params {
        let sized =
            |name: &Option<String>, size: u64| name.as_ref().map(|name| (name.clone(), size.to_string()));
        match self.paginator {
            Paginator::None { .. } => vec![],
            Paginator::PageNumber { page_param, start_page, size_param, size, .. } => {
                let page = (page_param.clone(), (start_page + self.pages).to_string());
                [page].into_iter().chain(sized(size_param, *size)).collect()
            }
            Paginator::Offset { offset_param, limit_param, limit, start, .. } => {
                // no further than the source lets, so that a window just below that is read to its end
                let limit = match self.total {
                    None => (*limit).min(self.max_records.saturating_sub(self.received)),
                    Some(_) => *limit,
                };
                vec![
                    (offset_param.clone(), (start + self.received).to_string()),
                    (limit_param.clone(), limit.to_string()),
                ]
            }
            Paginator::Cursor { param, limit_param, limit, .. } => {
                let cursor = next.map(|cursor| (param.clone(), cursor));
                cursor.into_iter().chain(limit.and_then(|limit| sized(limit_param, limit))).collect()
            }
        }
    }
}

/// Whether a cursor is the address of the next page.
fn is_address(cursor: &str) -> bool {
    cursor.starts_with("http://")
        || cursor.starts_with("https://")
        || (cursor.starts_with('/') && cursor.contains(['?', '/']) && cursor.contains('='))
}

#[cfg(test)]
mod tests;
