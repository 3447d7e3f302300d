//! Reads what is to be seen: a table, or a grid that draws only what is in view. One script reads a whole page.

use std::time::Instant;

use nstore_shared::{
    config::spec::browser::{LaneSpec, Paginate, Selector},
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde::Deserialize;
use serde_json::json;

use super::{Brought, Reading, decode::Table};
use crate::extract::browser::{
    chrome::ChromeError, login::millis, scripts::Script, trouble::Trouble, visit::script,
};

/// Rows in one answer of a script: a long text is slow.
const PIECE: usize = 5000;

/// What is read.
pub(super) struct How<'a> {
    pub(super) selector: &'a Selector,
    pub(super) by_header: bool,
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
    /// It was drawn as far as it was in view.
    scrolled: bool,
    pages: u64,
    /// The next page is another document, and on its way.
    more: bool,
}

impl Reading<'_> {
    pub(super) async fn grid(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        if let Some((address, status)) = self.chrome.watch.failed_since(self.mark, &self.read.ignore) {
            let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
            let message = format!(
                "the page's own request to {address} came to {answer}: what it shows may be old; if it is not \
                 about the rows, add a part of the address to `ignore`"
            );
            return Err(Trouble::passing(message));
        }
        let (mut rows, mut pages, mut last): (Vec<Row>, u64, Option<Vec<Row>>) = (Vec::new(), 0, None);
        loop {
            let loads = self.chrome.watch.loads();
            let page = self.page(spec, how).await?;
            pages += page.pages;
            let places = places(&page.headers, spec, how.by_header)?;
            let evidence = evidence(how, &page, (rows.len() + page.count) as u64, pages)?;
            let more = page.more;
            let read: Vec<Row> = page.rows.into_iter().map(|row| pick(row, &places)).collect();
            if last.as_ref().is_some_and(|last| !read.is_empty() && *last == read) {
                return Err(Trouble::passing(format!(
                    "page {pages} of the grid is the same as the one before"
                )));
            }
            rows.extend(read.iter().cloned());
            if !more {
                return Ok(Brought { table: Table { rows }, pages, evidence });
            }
            last = Some(read);
            let most = how.paginate.map_or(1, |paginate| paginate.max_pages);
            if pages >= most {
                return Err(Trouble::new(FailureClass::Data, format!("the grid has more than {most} pages")));
            }
            self.another_document(loads, pages).await?;
        }
    }

    /// One page, or all of them where they change within one document.
    async fn page(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Page, Trouble> {
        let paginate = how.paginate.map(|paginate| {
            json!({ "next": paginate.next.0, "navigates": paginate.navigates, "max_pages": paginate.max_pages })
        });
        let input = json!({
            "selector": how.selector.0,
            "names": spec.names,
            "by_header": how.by_header,
            "busy": self.read.busy.as_ref().map(|busy| &busy.0),
            "settle": millis(self.read.settle),
            "paginate": paginate,
            "piece": PIECE,
        });
        let value = script(self.chrome, self.frame, Script::Grid, input, self.limit).await?;
        let broken = |e: serde_json::Error| Trouble::passing(format!("the page's script: {e}"));
        let mut page: Page = serde_json::from_value(value).map_err(broken)?;
        while page.rows.len() < page.count {
            let input = json!({ "from": page.rows.len(), "piece": PIECE });
            let value = script(self.chrome, self.frame, Script::Piece, input, self.limit).await?;
            let piece: Vec<Row> = serde_json::from_value(value).map_err(broken)?;
            if piece.is_empty() {
                return Err(Trouble::passing("the page forgot the rows that were read from it"));
            }
            page.rows.extend(piece);
        }
        Ok(page)
    }

    /// Waits for the next page's document.
    async fn another_document(&self, loads: u64, page: u64) -> Result<(), Trouble> {
        let end = Instant::now() + self.limit;
        while self.chrome.watch.loads() == loads {
            if Instant::now() > end {
                let seconds = self.limit.as_secs();
                return Err(Trouble::passing(format!("page {} did not come within {seconds} s", page + 1)));
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

/// What the grid itself shows of its end; a row count that was not reached contradicts.
fn evidence(how: &How<'_>, page: &Page, rows: u64, pages: u64) -> Result<Vec<Evidence>, Trouble> {
    let mut found = Vec::new();
    match page.rowcount {
        Some(count) if count > rows => {
            return Err(Trouble::passing(format!(
                "{rows} rows were read, and the grid says that it has {count}"
            )));
        }
        Some(count) if count == rows => found.push(Evidence::GridRowCount { rows }),
        // a count that grew while we scrolled, or none
        _ => {}
    }
    if page.scrolled {
        found.push(Evidence::ScrolledToEnd { rows });
    }
    if how.paginate.is_some() {
        found.push(Evidence::PagerEnded { pages });
    } else if found.is_empty() {
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
            how: LaneHow::Grid { selector: Selector("table".into()), by_header: true, paginate: None },
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
    fn a_row_count_that_is_not_reached_contradicts() {
        let page = |rowcount| Page {
            headers: vec![],
            count: 5,
            rows: vec![],
            rowcount,
            scrolled: true,
            pages: 1,
            more: false,
        };
        let selector = Selector("table".into());
        let how = How { selector: &selector, by_header: false, paginate: None };
        assert!(evidence(&how, &page(Some(6)), 5, 1).is_err());
        let all = [Evidence::GridRowCount { rows: 5 }, Evidence::ScrolledToEnd { rows: 5 }];
        assert_eq!(evidence(&how, &page(Some(5)), 5, 1).unwrap(), all);
        assert_eq!(evidence(&how, &page(None), 5, 1).unwrap(), all[1..]);
        assert_eq!(evidence(&how, &page(Some(4)), 5, 1).unwrap(), all[1..]);
    }
}
