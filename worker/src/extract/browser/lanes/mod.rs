//! The ways by which a page's rows come out of it. A source lists its lanes; the next one is the fallback.
//!
//! - [`response`]: the answer behind the page, in [`parts`] as a rule; [`export`]: the page's own export; [`grid`]: what
//!   is to be seen
//! - [`total`]: what the page says of its rows
//! - [`decode`]: what came, as bytes -> rows; pure

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::browser::{Lane, LaneHow, LaneSpec, Read, Selector},
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{chrome::Chrome, login::millis, scripts::Script, trouble::Trouble, visit::script};
use decode::Table;

pub mod decode;
mod export;
mod grid;
mod parts;
mod response;
mod total;

/// How long a page may take until it asks for what a filter chose.
pub(super) const ASKS_WITHIN: Duration = Duration::from_millis(1500);

/// The rows of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Harvest {
    /// By which lane they came.
    pub(super) lane: Lane,
    /// In the order of the columns.
    pub(super) table: Table,
    /// Pages, answers or files that they came in.
    pub(super) pages: u64,
    /// What shows that none is missing.
    pub(super) evidence: Vec<Evidence>,
    /// For each column whether it was nowhere in what came, not even as null; empty: all of them were there.
    pub(super) absent: Vec<bool>,
}

/// What a lane brought.
struct Brought {
    table: Table,
    pages: u64,
    evidence: Vec<Evidence>,
    /// The rows that a cap counts, where these are not all rows.
    counted: Option<u64>,
    absent: Vec<bool>,
}

impl Brought {
    /// On one page.
    fn new(table: Table, evidence: Vec<Evidence>) -> Self {
        Self { table, pages: 1, evidence, counted: None, absent: vec![] }
    }
}

/// A page whose rows are to be read.
pub(super) struct Reading<'a> {
    pub(super) chrome: &'a Chrome,
    pub(super) read: &'a Read,
    pub(super) frame: Option<&'a Selector>,
    /// How long each lane may take.
    pub(super) limit: Duration,
    /// The page's requests from here on are those of the chunk.
    pub(super) mark: u64,
    /// When a filter was set, if one was.
    pub(super) filtered: Option<Instant>,
    /// The chunk has days to split it by.
    pub(super) divisible: bool,
}

impl Reading<'_> {
    /// Reads by the first lane that gives all rows.
    pub(super) async fn run(&self) -> Result<Harvest, Trouble> {
        let mut failed: Vec<(Lane, Trouble)> = Vec::new();
        for spec in &self.read.lanes {
            let lane = spec.how.lane();
            match self.by(spec).await {
                // what kept the other lane from its rows may keep this one from them too
                Ok(brought) if brought.table.rows.is_empty() && !failed.is_empty() => {
                    failed.push((
                        lane,
                        Trouble::passing("no row came, and no lane that works says that there is none"),
                    ));
                }
                Ok(Brought { table, pages, evidence, absent, .. }) => {
                    return Ok(Harvest { lane, table, pages, evidence, absent });
                }
                Err(trouble) if trouble.browser_gone || trouble.capped && self.divisible => {
                    return Err(trouble.during(&format!("lane {lane}")));
                }
                Err(trouble) => {
                    if failed.len() + 1 < self.read.lanes.len() {
                        warn!(%lane, error = trouble.message, "lane failed, the next one is tried");
                    }
                    failed.push((lane, trouble));
                }
            }
        }
        Err(together(failed))
    }

    async fn by(&self, spec: &LaneSpec) -> Result<Brought, Trouble> {
        let came = Instant::now();
        self.rest().await?;
        let began = Instant::now();
        if let Some(evidence) = self.none().await? {
            return Ok(Brought::new(Table::default(), vec![evidence]));
        }
        let mut brought = match &spec.how {
            LaneHow::Response { url, format, records, parts } => {
                let how = response::How { url, format: *format, records, parts: *parts };
                self.response(spec, &how).await?
            }
            LaneHow::Export { clicks, format, layout } => {
                self.export(spec, &export::How { clicks, format: *format, layout }).await?
            }
            LaneHow::Grid { selector, by_header, trim, paginate } => {
                let how =
                    grid::How { selector, by_header: *by_header, trim: *trim, paginate: paginate.as_ref() };
                self.grid(spec, &how).await?
            }
        };
        let rows = brought.table.rows.len() as u64;
        // a page may say how many there are only when it shows them
        self.agrees(rows, spec, &mut brought).await?;
        if rows == 0 && !self.read.allow_empty {
            return Err(Trouble::passing(
                "no row came; where that is right, name what the page then shows, `empty: SELECTOR`, or say \
                 `allow_empty: true`",
            ));
        }
        self.plain(spec, &mut brought.table)?;
        let (lane, waited) = (spec.how.lane(), millis(began - came));
        debug!(%lane, rows, waited, ms = millis(began.elapsed()), "rows read");
        Ok(brought)
    }

    /// Waits until the page asks for nothing more and shows nothing that says that it is busy.
    async fn rest(&self) -> Result<(), Trouble> {
        let end = Instant::now() + self.limit;
        loop {
            let unrest = self.chrome.watch.unrest(self.read.settle, &self.read.ignore);
            if unrest.is_none() && self.has_asked() {
                break;
            }
            if Instant::now() > end {
                let message = format!(
                    "the page has not come to rest within {} s, for {}; if it asks that without an end, add a part of \
                     the address to `ignore`",
                    self.limit.as_secs(),
                    unrest.unwrap_or_default()
                );
                return Err(Trouble::passing(message));
            }
            self.chrome.look_again().await?;
        }
        if let Some(busy) = &self.read.busy {
            let input = json!({ "act": "wait_gone", "selector": busy.0 });
            script(self.chrome, self.frame, Script::Step, input, self.limit).await?;
        }
        Ok(())
    }

    /// No lane comes after this one.
    fn is_last(&self, lane: Lane) -> bool {
        self.read.lanes.last().is_none_or(|last| last.how.lane() == lane)
    }

    /// A filter that was just set makes a page ask for its rows, at once or a moment later; some have all rows already.
    fn has_asked(&self) -> bool {
        self.filtered.is_none_or(|at| at.elapsed() >= ASKS_WITHIN || self.chrome.watch.mark() > self.mark)
    }

    /// Turns what the lane wrote into plain text.
    fn plain(&self, spec: &LaneSpec, table: &mut Table) -> Result<(), Trouble> {
        let formats: Vec<_> = self.read.columns.iter().map(|column| spec.formats.get(column)).collect();
        table.apply(&formats).map_err(|misfit| {
            let column = self.read.columns.get(misfit.column).map(String::as_str).unwrap_or_default();
            let message = format!(
                "column `{column}`: the cell `{}` in row {} does not fit the format `{}`",
                misfit.cell, misfit.row, misfit.format
            );
            let class = if misfit.fits_others { FailureClass::Data } else { FailureClass::Config };
            Trouble::new(class, message)
        })
    }

    /// What shows that there are no rows: the page's notice, or its total.
    async fn none(&self) -> Result<Option<Evidence>, Trouble> {
        let mut said = self.said().await?;
        let says_none = |said: &Said| said.empty.is_some() || said.total == Some(0) && self.read.allow_empty;
        if says_none(&said) {
            // a page that has not asked yet may say so too
            tokio::time::sleep(self.read.settle.max(ASKS_WITHIN)).await;
            self.rest().await?;
            said = self.said().await?;
        }
        match (&said.empty, said.total) {
            (Some(text), Some(total)) if total > 0 => Err(Trouble::passing(format!(
                "the page shows `{text}`, and says that there are {total} rows"
            ))),
            (Some(text), _) => Ok(Some(Evidence::EmptyShown { text: text.clone() })),
            (None, Some(0)) if self.read.allow_empty => Ok(Some(Evidence::TotalAgreed { total: 0 })),
            _ => Ok(None),
        }
    }

    /// Compares what came with what the page says, and with the most that can come.
    async fn agrees(&self, rows: u64, spec: &LaneSpec, brought: &mut Brought) -> Result<(), Trouble> {
        let said = if self.read.total.is_some() { self.said().await? } else { Said::default() };
        if let Some(total) = said.total {
            if total != rows {
                // another number of the same text is the right one
                let is_misread = total::mentions(&said.text, rows);
                let class = if is_misread { FailureClass::Config } else { FailureClass::Transient };
                let message =
                    format!("{rows} rows came, and the page says that there are {total}, in `{}`", said.text);
                return Err(Trouble::new(class, message));
            }
            brought.evidence.retain(|one| *one != Evidence::SinglePage);
            brought.evidence.push(Evidence::TotalAgreed { total });
        }
        let Some(cap) = spec.cap else { return Ok(()) };
        let counted = brought.counted.unwrap_or(rows);
        if counted < cap {
            brought.evidence.push(Evidence::BelowCap { rows: counted, cap });
            return Ok(());
        }
        // as many as can come, and all there are
        if said.total.is_some() {
            return Ok(());
        }
        let what = if brought.pages > 1 && brought.counted.is_some() { " in the last part" } else { "" };
        Err(Trouble::capped(format!(
            "{counted} rows came{what}, and {cap} are all that can: more were cut off"
        )))
    }

    /// What the page says of its rows.
    async fn said(&self) -> Result<Said, Trouble> {
        if self.read.total.is_none() && self.read.empty.is_none() {
            return Ok(Said::default());
        }
        let grid = self.read.lanes.iter().find_map(|lane| match &lane.how {
            LaneHow::Grid { selector, .. } => Some(&selector.0),
            _ => None,
        });
        let [total, empty] =
            [&self.read.total, &self.read.empty].map(|selector| selector.as_ref().map(|found| &found.0));
        let input = json!({ "total": total, "empty": empty, "grid": grid });
        let value = script(self.chrome, self.frame, Script::Look, input, self.limit).await?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut said = Said { empty: text("empty"), ..Said::default() };
        if let (Some(text), Some(selector)) = (text("total"), total) {
            let misread = |error| {
                let message = format!("`total` is misread: {selector} says `{text}`: {error}");
                Trouble::new(FailureClass::Config, message)
            };
            said = Said { total: Some(total::count(&text).map_err(misread)?), text, ..said };
        }
        Ok(said)
    }
}

/// What a page says of its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    /// How many there are.
    total: Option<u64>,
    /// The text that says so.
    text: String,
    /// The text of the element that says that there are none.
    empty: Option<String>,
}

/// One trouble of several lanes: the first one first, for it is of the lane that is preferred.
fn together(mut failed: Vec<(Lane, Trouble)>) -> Trouble {
    if failed.len() == 1 {
        let (lane, trouble) = failed.remove(0);
        return trouble.during(&format!("lane {lane}"));
    }
    let told: Vec<String> =
        failed.iter().map(|(lane, trouble)| format!("{lane}: {}", trouble.message)).collect();
    let first = failed.first().map_or(FailureClass::Config, |(_, trouble)| trouble.class);
    let passing = failed.iter().map(|(_, trouble)| trouble.class).find(|class| class.may_pass());
    // a fault of the source's file is told at once, whatever may become of the other lanes
    let class = if first == FailureClass::Config { first } else { passing.unwrap_or(first) };
    Trouble::new(class, format!("no lane gives the rows; {}", told.join("; ")))
}

/// A field of what a script gave.
fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_first_and_decides() {
        let config = || Trouble::new(FailureClass::Config, "no column `a`");
        let passing = || Trouble::passing("answered with 503");
        let both = together(vec![(Lane::Response, config()), (Lane::Grid, passing())]);
        assert_eq!(both.class, FailureClass::Config);
        assert_eq!(both.message, "no lane gives the rows; response: no column `a`; grid: answered with 503");
        let both = together(vec![(Lane::Response, passing()), (Lane::Grid, config())]);
        assert_eq!(both.class, FailureClass::Transient);
        assert!(both.message.contains("response: answered with 503; grid: no column `a`"), "{both}");
        let one = together(vec![(Lane::Export, config())]);
        assert_eq!((one.class, &*one.message), (FailureClass::Config, "lane export: no column `a`"));
        let capped =
            together(vec![(Lane::Export, Trouble::capped("cut")), (Lane::Grid, Trouble::capped("cut"))]);
        assert_eq!(capped.class, FailureClass::Data);
    }
}
