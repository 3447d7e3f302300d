//! Reads what is to be seen: a table, or a grid that draws only what is in view. One script reads a whole page; a page counts
//! once nothing is on its way to it any more.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Instant,
};

use nstore_shared::{
    config::spec::browser::{LaneSpec, Paginate, Selector},
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::{Brought, Reading, decode::Table};
use crate::extract::browser::{
    chrome::{ChromeError, Mouse},
    login::millis,
    scripts::Script,
    trouble::Trouble,
    visit::script,
};

/// Rows in one answer of a script: a long text is slow.
const PIECE: usize = 5000;
/// A page that was still asking for something when it was read is read again, so often unless more rows come each time.
const READS: u32 = 5;

/// What is read.
pub(super) struct How<'a> {
    pub(super) selector: &'a Selector,
    pub(super) by_header: bool,
    pub(super) trim: bool,
    pub(super) paginate: Option<&'a Paginate>,
}

type Row = Vec<Option<String>>;

/// What the script gives.
#[derive(Debug, Deserialize)]
struct Page {
    headers: Vec<String>,
    /// Rows in all; the first piece of them comes along.
    count: usize,
    rows: Vec<Row>,
    /// How many the grid says it has.
    rowcount: Option<u64>,
    /// Its rows came by scrolling, down to an end.
    scrolled: bool,
    /// It was scrolled to its end, where it may ask for more.
    moved: bool,
    /// There is a next page.
    more: bool,
    /// The control for the next page is there, if only disabled.
    pager: bool,
    /// There seems to be a next page that no `paginate` names.
    other_pager: bool,
}

/// Which page is read.
#[derive(Debug, Clone, Copy)]
struct Which {
    /// From 1.
    number: u64,
    /// It is asked for first, within the same document.
    turn: bool,
}

/// The pages that were read so far, by a hash of their rows.
#[derive(Default)]
struct Pages {
    rows: Vec<Row>,
    seen: HashMap<u64, u64>,
    count: u64,
    /// The control for the next page was there.
    pager: bool,
}

impl Pages {
    /// Takes the next page, which must not be one that was read before.
    fn add(&mut self, rows: Vec<Row>) -> Result<(), Trouble> {
        self.count += 1;
        let mut hasher = DefaultHasher::new();
        rows.hash(&mut hasher);
        if !rows.is_empty()
            && let Some(before) = self.seen.insert(hasher.finish(), self.count)
        {
            let message = format!("page {} of the grid is the same as page {before}", self.count);
            return Err(Trouble::passing(message));
        }
        self.rows.extend(rows);
        Ok(())
    }
}

impl Reading<'_> {
    pub(super) async fn grid(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        self.none_failed()?;
        let mut pages = Pages::default();
        let mut which = Which { number: 1, turn: false };
        loop {
            let page = self.settled(spec, how, which).await?;
            pages.pager |= page.pager;
            let places = places(&page.headers, spec, how.by_header)?;
            let rows = (pages.rows.len() + page.count) as u64;
            let evidence = evidence(how, &page, rows, &pages)?;
            let more = page.more;
            pages.add(page.rows.into_iter().map(|row| pick(row, &places)).collect())?;
            let Some(paginate) = how.paginate.filter(|_| more) else {
                let table = Table { rows: pages.rows };
                return Ok(Brought { pages: pages.count, ..Brought::new(table, evidence) });
            };
            if pages.count >= paginate.max_pages {
                let message = format!("the grid has more than {} pages (`max_pages`)", paginate.max_pages);
                return Err(Trouble::new(FailureClass::Data, message));
            }
            which = Which { number: pages.count + 1, turn: !paginate.navigates };
            if paginate.navigates {
                self.another_document(paginate, which.number).await?;
            }
        }
    }

    /// What the page shows may be old where it got no answer.
    fn none_failed(&self) -> Result<(), Trouble> {
        let Some((address, status)) = self.chrome.watch.failed_since(self.mark, &self.read.ignore) else {
            return Ok(());
        };
        let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
        let message = format!(
            "the page's own request to {address} came to {answer}: what it shows may be old; if it is not about the \
             rows, add a part of the address to `ignore`"
        );
        Err(Trouble::passing(message))
    }

    /// One page, read while the page asked for nothing more: what is on its way may change what it shows.
    async fn settled(&self, spec: &LaneSpec, how: &How<'_>, mut which: Which) -> Result<Page, Trouble> {
        let (mut fruitless, mut before, mut grown) = (0, None, false);
        let unrest = loop {
            let mut page = self.page(spec, how, which).await?;
            // rows that came because the last read scrolled to the end
            let more = before.is_some_and(|(rows, moved)| moved && page.count > rows);
            grown |= more || page.scrolled;
            page.scrolled = grown;
            let Some(address) = self.chrome.watch.unrest(self.read.settle, &self.read.ignore) else {
                self.none_failed()?;
                return self.all_pieces(page).await;
            };
            fruitless = if more { 0 } else { fruitless + 1 };
            if fruitless >= READS {
                break address;
            }
            before = Some((page.count, page.moved));
            self.rest().await?;
            which.turn = false;
        };
        Err(Trouble::passing(format!(
            "the page asks for more each time its grid is read, from {unrest}; if that is not about the rows, add a part of \
             the address to `ignore`"
        )))
    }

    /// One page as it is now, with the first piece of its rows.
    async fn page(&self, spec: &LaneSpec, how: &How<'_>, which: Which) -> Result<Page, Trouble> {
        let input = json!({
            "selector": how.selector.0,
            "names": spec.names,
            "by_header": how.by_header,
            "busy": self.read.busy.as_ref().map(|busy| &busy.0),
            "settle": millis(self.read.settle),
            "trim": how.trim,
            "next": how.paginate.map(|paginate| &paginate.next.0),
            "turn": which.turn,
            "page": which.number,
            "piece": PIECE,
        });
        let value = script(self.chrome, self.frame, Script::Grid, input, self.limit).await?;
        serde_json::from_value(value).map_err(|error| broken(&error))
    }

    /// The page with all pieces of its rows.
    async fn all_pieces(&self, mut page: Page) -> Result<Page, Trouble> {
        while page.rows.len() < page.count {
            let input = json!({ "from": page.rows.len(), "piece": PIECE });
            let value = script(self.chrome, self.frame, Script::Piece, input, self.limit).await?;
            let piece: Vec<Row> = serde_json::from_value(value).map_err(|error| broken(&error))?;
            if piece.is_empty() {
                return Err(Trouble::passing("the page forgot the rows that were read from it"));
            }
            page.rows.extend(piece);
        }
        Ok(page)
    }

    /// Asks for the next page where it is another document, and waits for it.
    async fn another_document(&self, paginate: &Paginate, page: u64) -> Result<(), Trouble> {
        let (loads, end) = (self.chrome.watch.loads(), Instant::now() + self.limit);
        let (limit, frame) = (self.limit, self.frame.cloned());
        let next =
            json!({ "act": "point", "selector": paginate.next.0, "enabled": true, "ms": millis(limit) });
        match self.chrome.ask(limit * 2, move |seat| seat.point(frame.as_ref(), &next, Mouse::Click)).await {
            Ok(()) | Err(ChromeError::ContextLost) => {}
            Err(error) => return Err(error.into()),
        }
        while self.chrome.watch.loads() == loads {
            if Instant::now() > end {
                let seconds = self.limit.as_secs();
                return Err(Trouble::passing(format!("page {page} did not come within {seconds} s")));
            }
            self.chrome.look_again().await?;
        }
        let input = json!({ "act": "wait_for", "selector": "body" });
        match script(self.chrome, self.frame, Script::Step, input, self.limit).await {
            Ok(_) | Err(ChromeError::ContextLost) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The page's script gave what it should not.
fn broken(error: &serde_json::Error) -> Trouble {
    Trouble::passing(format!("the page's script: {error}"))
}

/// Where the columns stand in a row.
fn places(headers: &[String], spec: &LaneSpec, by_header: bool) -> Result<Vec<usize>, Trouble> {
    // an empty grid may have no header
    if headers.is_empty() || !by_header && headers.len() == spec.names.len() {
        return Ok((0..spec.names.len()).collect());
    }
    if !by_header {
        let message = format!(
            "the grid has {} columns (`{}`), and `columns` names {}; tell them by their headers: `names`",
            headers.len(),
            headers.join("`, `"),
            spec.names.len()
        );
        return Err(Trouble::new(FailureClass::Config, message));
    }
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let place = |name: &String| {
        let mut found = headers.iter().enumerate().filter(|(_, header)| plain(header) == plain(name));
        match (found.next(), found.next()) {
            (Some((place, _)), None) => Ok(place),
            (found, _) => {
                let how = if found.is_some() { "two columns" } else { "no column" };
                let message = format!("the grid has {how} `{name}`: there are `{}`", headers.join("`, `"));
                Err(Trouble::new(FailureClass::Config, message))
            }
        }
    };
    spec.names.iter().map(place).collect()
}

fn pick(mut row: Row, places: &[usize]) -> Row {
    places.iter().map(|place| row.get_mut(*place).and_then(Option::take)).collect()
}

/// What the grid itself shows of its end; a row count that was not reached contradicts. Without any sign of it, one page
/// is all that was read, and nothing says that it is all there is.
fn evidence(how: &How<'_>, page: &Page, rows: u64, pages: &Pages) -> Result<Vec<Evidence>, Trouble> {
    let mut found = Vec::new();
    match page.rowcount {
        Some(count) if count > rows => {
            return Err(Trouble::passing(format!(
                "{rows} rows were read, and the grid says that it has {count}"
            )));
        }
        // the end of what is shown is not the end where there is a next page
        _ if page.other_pager => warn!("the page has a control for a next page, and no `paginate` names it"),
        Some(count) if count == rows => found.push(Evidence::GridRowCount { rows }),
        // a count that grew while we scrolled, or none
        _ => {}
    }
    if page.scrolled && !page.other_pager {
        found.push(Evidence::ScrolledToEnd { rows });
    }
    if how.paginate.is_some() {
        // each of the pages was scrolled to its end, which says nothing of the others
        found.retain(|one| !matches!(one, Evidence::ScrolledToEnd { .. }));
        if pages.pager {
            found.push(Evidence::PagerEnded { pages: pages.count + 1 });
        }
    }
    if found.is_empty() {
        found.push(Evidence::SinglePage);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nstore_shared::config::spec::browser::LaneHow;

    use super::*;

    fn spec(names: &[&str]) -> LaneSpec {
        LaneSpec {
            how: LaneHow::Grid {
                selector: Selector("table".into()),
                by_header: true,
                trim: false,
                paginate: None,
            },
            names: names.iter().map(|&name| name.to_owned()).collect(),
            formats: BTreeMap::new(),
            cap: None,
        }
    }

    fn headers(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn columns_are_told_by_header_or_by_place() {
        let found =
            places(&headers(&["", "Order  ID", "Status"]), &spec(&["status", "Order id"]), true).unwrap();
        assert_eq!(found, [2, 1]);
        let row = vec![None, Some("o1".to_owned()), Some("paid".to_owned())];
        assert_eq!(pick(row, &found), [Some("paid".to_owned()), Some("o1".to_owned())]);
        assert_eq!(places(&headers(&["A", "B"]), &spec(&["x", "y"]), false).unwrap(), [0, 1]);
        let error = places(&headers(&["A", "B", "C"]), &spec(&["x", "y"]), false).unwrap_err();
        assert!(error.message.contains("has 3 columns (`A`, `B`, `C`)"), "{error}");
        let error = places(&headers(&["A"]), &spec(&["x"]), true).unwrap_err();
        assert!(error.message.contains("no column `x`: there are `A`"), "{error}");
    }

    #[test]
    fn what_shows_the_end_counts_and_what_contradicts_fails() {
        let page = |rowcount, scrolled| Page {
            headers: vec![],
            count: 5,
            rows: vec![],
            rowcount,
            scrolled,
            moved: false,
            more: false,
            pager: false,
            other_pager: false,
        };
        let (selector, none) = (Selector("table".into()), Pages::default());
        let how = How { selector: &selector, by_header: false, trim: false, paginate: None };
        assert!(evidence(&how, &page(Some(6), true), 5, &none).is_err());
        let all = [Evidence::GridRowCount { rows: 5 }, Evidence::ScrolledToEnd { rows: 5 }];
        assert_eq!(evidence(&how, &page(Some(5), true), 5, &none).unwrap(), all);
        assert_eq!(evidence(&how, &page(None, true), 5, &none).unwrap(), all[1..]);
        assert_eq!(evidence(&how, &page(Some(4), true), 5, &none).unwrap(), all[1..]);
        assert_eq!(evidence(&how, &page(None, false), 5, &none).unwrap(), [Evidence::SinglePage]);
        // a pager that nobody named: the end of its page proves nothing
        let other = Page { other_pager: true, ..page(Some(5), true) };
        assert_eq!(evidence(&how, &other, 5, &none).unwrap(), [Evidence::SinglePage]);
        let paginate = Paginate { next: Selector("#next".into()), navigates: false, max_pages: 9 };
        let how = How { paginate: Some(&paginate), ..how };
        assert_eq!(evidence(&how, &page(None, true), 5, &none).unwrap(), [Evidence::SinglePage]);
        let pages = Pages { count: 1, pager: true, ..Pages::default() };
        assert_eq!(
            evidence(&how, &page(None, true), 5, &pages).unwrap(),
            [Evidence::PagerEnded { pages: 2 }]
        );
    }

    #[test]
    fn a_page_that_was_read_before_is_not_the_next_one() {
        let page = |text: &str| vec![vec![Some(text.to_owned())]];
        let mut pages = Pages::default();
        for text in ["a", "b"] {
            pages.add(page(text)).unwrap();
        }
        assert!(
            pages.add(page("a")).unwrap_err().message.contains("page 3 of the grid is the same as page 1")
        );
        assert_eq!(pages.rows.len(), 2);
    }
}
