//! The rows that a report shows, of whatever days.

use std::ops::Range;

use chrono::{NaiveDate, NaiveDateTime};

use super::SOURCE;
use crate::simulator::{
    calendar::{DAY_MS, local, midnight},
    cell::Cell,
    stock::Stock,
};

/// What the report calls its columns.
pub(super) const NAMES: [&str; 4] = ["Timestamp", "Metric", "Value", "Status"];

/// The first day that the report shows to whom no filter is applied.
pub(super) const FIRST_SHOWN: &str = "2025-08-25";
/// The last of those days.
pub(super) const LAST_SHOWN: &str = "2025-08-31";

/// One row.
pub(super) struct Figure {
    /// Local time, which is all that a report knows.
    pub(super) time: NaiveDateTime,
    pub(super) metric: Option<String>,
    /// A plain decimal number.
    pub(super) value: Option<String>,
    pub(super) status: Option<String>,
}

/// Which rows.
pub(super) struct Filter {
    /// In milliseconds since 1970.
    pub(super) window: Range<i64>,
    /// This status alone.
    pub(super) status: Option<String>,
}

/// The window of whole days, both included.
pub(super) fn window(first: NaiveDate, last: NaiveDate) -> Range<i64> {
    midnight(first)..midnight(last) + DAY_MS
}

/// All rows in order of time; `None` when the window is too wide.
pub(super) fn figures(stock: &Stock, filter: &Filter) -> Option<Vec<Figure>> {
    let slice = stock.slice(SOURCE, filter.window.clone())?;
    let rows = slice.page(0, u64::MAX).into_iter().filter_map(|(day, index)| figure(stock, day, index));
    let wanted = |row: &Figure| filter.status.is_none() || row.status == filter.status;
    Some(rows.filter(wanted).collect())
}

fn figure(stock: &Stock, day: NaiveDate, index: u64) -> Option<Figure> {
    let row = stock.row(SOURCE, day, index)?;
    let micros = row.cells.iter().find_map(|cell| match cell {
        Cell::Time(micros) => Some(*micros),
        _ => None,
    })?;
    let text = |field: &str| row.record.get(field).and_then(|value| value.as_str()).map(str::to_owned);
    Some(Figure {
        time: local(micros / 1000)?.naive_local(),
        metric: text("metric"),
        value: text("value"),
        status: text("status"),
    })
}
