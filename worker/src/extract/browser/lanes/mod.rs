//! The ways by which a page's rows come out of it. A source lists its lanes; the next one is the fallback.
//!
//! - [`response`]: the answer behind the page; [`export`]: the page's own export; [`grid`]: what is to be seen
//! - [`decode`]: what came, as bytes -> rows; pure

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::browser::{Lane, LaneHow, LaneSpec, Read, Selector},
    storage::marker::Evidence,
};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{chrome::Chrome, login::millis, scripts::Script, trouble::Trouble, visit::script};
use decode::Table;

pub mod decode;
mod export;
mod grid;
mod response;

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
}

/// What a lane brought.
struct Brought {
    table: Table,
    pages: u64,
    evidence: Vec<Evidence>,
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
                Ok(Brought { table, pages, evidence }) => {
                    return Ok(Harvest { lane, table, pages, evidence });
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
        let mut total = self.total().await?;
        if total == Some(0) && self.read.allow_empty {
            // a page that has not asked yet may say so too
            tokio::time::sleep(self.read.settle.max(ASKS_WITHIN)).await;
            self.rest().await?;
            total = self.total().await?;
        }
        if total == Some(0) && self.read.allow_empty {
            // there may be nothing to read: no grid, no answer, no export
            let evidence = vec![Evidence::TotalAgreed { total: 0 }];
            return Ok(Brought { table: Table::default(), pages: 1, evidence });
        }
        let mut brought = match &spec.how {
            LaneHow::Response { url, format, records } => self.response(spec, url, *format, records).await?,
            LaneHow::Export { clicks, format, delimiter, sheet } => {
                let how =
                    export::How { clicks, format: *format, delimiter: *delimiter, sheet: sheet.as_deref() };
                self.export(spec, &how).await?
            }
            LaneHow::Grid { selector, by_header, paginate } => {
                let how = grid::How { selector, by_header: *by_header, paginate: paginate.as_ref() };
                self.grid(spec, &how).await?
            }
        };
        let rows = brought.table.rows.len() as u64;
        match spec.cap {
            Some(cap) if rows >= cap => {
                return Err(Trouble::capped(format!(
                    "{rows} rows came, and {cap} are all that can: more were cut off"
                )));
            }
            Some(cap) => brought.evidence.push(Evidence::BelowCap { rows, cap }),
            None => {}
        }
        match total {
            Some(total) if total != rows => {
                return Err(Trouble::passing(format!(
                    "{rows} rows came, and the page says that there are {total}"
                )));
            }
            Some(total) => brought.evidence.push(Evidence::TotalAgreed { total }),
            None => {}
        }
        if rows == 0 && !self.read.allow_empty {
            return Err(Trouble::passing("no row came; where that is right, say `allow_empty: true`"));
        }
        let formats: Vec<_> = self.read.columns.iter().map(|column| spec.formats.get(column)).collect();
        brought.table.apply(&formats);
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

    /// How many rows there are, as the page says.
    async fn total(&self) -> Result<Option<u64>, Trouble> {
        let Some(selector) = &self.read.total else { return Ok(None) };
        let input = json!({ "act": "number", "selector": selector.0 });
        let number = script(self.chrome, self.frame, Script::Step, input, self.limit).await?;
        Ok(number.as_u64())
    }
}

/// One trouble of several lanes.
fn together(mut failed: Vec<(Lane, Trouble)>) -> Trouble {
    if failed.len() == 1 {
        let (lane, trouble) = failed.remove(0);
        return trouble.during(&format!("lane {lane}"));
    }
    let told: Vec<String> =
        failed.iter().map(|(lane, trouble)| format!("{lane}: {}", trouble.message)).collect();
    let class = failed.iter().map(|(_, trouble)| trouble.class).find(|class| class.may_pass());
    let class = class.or(failed.first().map(|(_, trouble)| trouble.class));
    Trouble::new(
        class.unwrap_or(nstore_shared::retry::FailureClass::Config),
        format!("no lane gives the rows; {}", told.join("; ")),
    )
}

/// A field of what a script gave.
fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}
