//! Where a row's own moment lies: in its chunk, where the request asked beyond it on purpose, or elsewhere. Pure.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;
use nstore_shared::chunk::start_of_day;

use super::{
    check::{Check, Rule},
    time::Moment,
};
use crate::extract::{Expected, Span};

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the chunk.
    Inside,
    /// Outside, where the request asked on purpose.
    Asked,
    /// Less than a step from what was asked.
    Near,
    /// Elsewhere.
    Far,
}

/// The column that says which chunk a row belongs to, and moments of its kind.
pub(super) struct Bounds {
    pub(super) column: usize,
    chunk: Range<Moment>,
    asked: Range<Moment>,
    near: Range<Moment>,
    pub(super) whole_days: bool,
}

impl Bounds {
    /// The bounds of a chunk in the kind of the column that places a row: nothing outside of it is asked for.
    pub(super) fn new(rules: &[Rule], name: &str, span: Span) -> Result<Self, String> {
        let column = rules.iter().position(|rule| rule.name == name);
        let column = column.ok_or_else(|| format!("its range_column `{name}` is no column"))?;
        let chunk = match rules[column].check {
            Check::Date(_) => first_day(span.start, span.zone)..first_day(span.end, span.zone),
            Check::Timestamptz(_) => instant(span.start)..instant(span.end),
            _ => return Err(format!("its range_column `{name}` is neither a date nor a timestamptz")),
        };
        Ok(Self { column, asked: chunk.clone(), near: chunk.clone(), chunk, whole_days: false })
    }

    /// What a source may send.
    pub(super) fn expect(&mut self, expected: &Expected, zone: Tz) {
        let converted = |range: &Range<DateTime<Utc>>| match self.chunk.start {
            Moment::Instant(_) => instant(range.start)..instant(range.end),
            Moment::Day(_) => day_of(range.start, zone)..first_day(range.end, zone),
        };
        (self.asked, self.near) = (converted(&expected.asked), converted(&expected.near));
        self.whole_days = expected.whole_days;
    }

    /// Where a row with this moment lies.
    pub(super) fn place(&self, moment: Moment) -> Place {
        if self.chunk.contains(&moment) {
            Place::Inside
        } else if self.asked.contains(&moment) {
            Place::Asked
        } else if self.near.contains(&moment) {
            Place::Near
        } else {
            Place::Far
        }
    }
}

fn instant(time: DateTime<Utc>) -> Moment {
    Moment::Instant(time.timestamp_micros())
}

/// The day that an instant is of.
fn day_of(time: DateTime<Utc>, zone: Tz) -> Moment {
    Moment::Day(time.with_timezone(&zone).num_days_from_ce())
}

/// The first day that starts at or after an instant.
fn first_day(time: DateTime<Utc>, zone: Tz) -> Moment {
    let day = time.with_timezone(&zone).date_naive();
    let later = i32::from(start_of_day(day, zone) < time);
    Moment::Day(day.num_days_from_ce() + later)
}
