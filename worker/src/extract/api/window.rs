//! A chunk's range -> the query parameters that ask for it. Pure.

use std::fmt::Write as _;

use chrono::{
    DateTime, Days, Duration, FixedOffset, NaiveDate, NaiveTime, SecondsFormat, TimeZone as _, Utc,
    format::StrftimeItems,
};
use chrono_tz::Tz;
use nstore_shared::{
    chunk::start_of_day,
    config::{
        spec::{Bounds, TimeFormat, Window, WindowBound},
        zone_mark::{self, ZoneMark},
    },
};

use crate::extract::{Expected, Span};

const DAY_SECONDS: i64 = 86_400;

/// Each parameter with its value.
pub(super) fn params(window: &Window, span: Span) -> Vec<(String, String)> {
    let clock = Clock::new(&window.format, span.zone);
    let (start, end) = asked(window, span, clock);
    let value = |bound| match bound {
        WindowBound::Start => written(start, &window.format, clock),
        WindowBound::End => written(end, &window.format, clock),
    };
    window.params.iter().map(|(name, bound)| (name.clone(), value(*bound))).collect()
}

/// Whether a strftime pattern can be written at all.
pub(super) fn is_pattern(pattern: &str) -> bool {
    StrftimeItems::new(pattern).parse().is_ok()
}

/// The rows that a source may send for a chunk, as far as its window was written on purpose so that they come.
pub(super) fn expected(window: &Window, span: Span) -> Expected {
    let clock = Clock::new(&window.format, span.zone);
    let (start, end) = asked(window, span, clock);
    let step = Step::of(window, clock);
    // what is asked for with the upper bound goes on for a step, where that belongs
    let asked_end = match window.bounds {
        Bounds::HalfOpen | Bounds::Open => end,
        Bounds::Closed | Bounds::Unknown => step.later(end),
    };
    let asked = start.min(span.start)..asked_end.max(span.end);
    let near = step.earlier(span.start).min(asked.start)..step.later(span.end).max(asked.end);
    Expected { asked, near, whole_days: window.format.is_whole_day() }
}

/// The two instants to ask for, so that by the API's own reading at least the chunk comes back.
fn asked(window: &Window, span: Span, clock: Clock) -> (DateTime<Utc>, DateTime<Utc>) {
    let step = Step::of(window, clock);
    // by calendar days where the API counts in days: 24 hours are not always one
    let (start, end) = match step {
        Step::Days(..) => (clock.start_of(clock.day_of(span.start)), clock.first_day_after(span)),
        Step::Time(_) => (span.start, span.end),
    };
    match window.bounds {
        Bounds::HalfOpen => (start, end),
        // records may be finer than the step: the last part of it would be lost
        Bounds::Closed if window.filtered && !window.format.is_whole_day() => (start, end),
        Bounds::Closed => (start, step.earlier(end)),
        Bounds::Open => (step.earlier(start), end),
        Bounds::Unknown => (step.earlier(start), step.later(end)),
    }
}

/// The clock by which bounds are written.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Zone(Tz),
    Offset(FixedOffset),
}

impl Clock {
    /// The source's, unless the format names another.
    fn new(format: &TimeFormat, own: Tz) -> Self {
        let TimeFormat::Strftime(pattern) = format else { return Self::Zone(own) };
        match zone_mark::of_pattern(pattern) {
            Ok(Some(ZoneMark::Offset(offset))) => Self::Offset(offset),
            Ok(Some(ZoneMark::Zone(zone))) => Self::Zone(zone),
            // an abbreviation is checked to be what the source's zone is called
            Ok(Some(ZoneMark::Abbreviation(_)) | None) | Err(_) => Self::Zone(own),
        }
    }

    fn day_of(self, instant: DateTime<Utc>) -> NaiveDate {
        match self {
            Self::Zone(zone) => instant.with_timezone(&zone).date_naive(),
            Self::Offset(offset) => instant.with_timezone(&offset).date_naive(),
        }
    }

    fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        match self {
            Self::Zone(zone) => start_of_day(day, zone),
            Self::Offset(offset) => {
                let midnight = offset.from_local_datetime(&day.and_time(NaiveTime::MIN));
                midnight.single().map_or_else(|| start_of_day(day, Tz::UTC), |time| time.to_utc())
            }
        }
    }

    /// The start of the first day that the span does not touch.
    fn first_day_after(self, span: Span) -> DateTime<Utc> {
        self.start_of(self.day_of(span.end - Duration::nanoseconds(1)) + Days::new(1))
    }
}

/// How far a bound is moved.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Calendar days of a clock.
    Days(Days, Clock),
    Time(Duration),
}

impl Step {
    /// The granularity; at least what the format can tell.
    fn of(window: &Window, clock: Clock) -> Self {
        let seconds = i64::try_from(window.granularity.as_secs()).unwrap_or(i64::MAX);
        let days = u64::try_from(seconds / DAY_SECONDS).unwrap_or(0);
        if window.format.is_whole_day() {
            Self::Days(Days::new(days.max(1)), clock)
        } else if days > 0 && seconds % DAY_SECONDS == 0 {
            Self::Days(Days::new(days), clock)
        } else {
            let second = Duration::seconds(1);
            let written = match &window.format {
                TimeFormat::Strftime(_) => {
                    Duration::seconds(i64::try_from(window.format.resolution()).unwrap_or(1))
                }
                _ => second,
            };
            // half-open bounds need no granularity
            let granularity = Duration::from_std(window.granularity).ok().filter(|step| !step.is_zero());
            let granularity = granularity.unwrap_or(second);
            // a pattern tells a second and perhaps less of it, or nothing below a minute or an hour
            Self::Time(if written > second { granularity.max(written) } else { granularity })
        }
    }

    fn earlier(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Days(days, clock) => {
                let day = clock.day_of(instant);
                clock.start_of(day.checked_sub_days(days).unwrap_or(day))
            }
            Self::Time(step) => instant.checked_sub_signed(step).unwrap_or(instant),
        }
    }

    fn later(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Days(days, clock) => {
                let day = clock.day_of(instant);
                clock.start_of(day.checked_add_days(days).unwrap_or(day))
            }
            Self::Time(step) => instant.checked_add_signed(step).unwrap_or(instant),
        }
    }
}

fn written(instant: DateTime<Utc>, format: &TimeFormat, clock: Clock) -> String {
    match format {
        TimeFormat::EpochS => instant.timestamp().to_string(),
        TimeFormat::EpochMs => instant.timestamp_millis().to_string(),
        TimeFormat::Date => clock.day_of(instant).to_string(),
        TimeFormat::Iso8601 => match clock {
            Clock::Zone(zone) => instant.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, true),
            Clock::Offset(offset) => {
                instant.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::AutoSi, true)
            }
        },
        TimeFormat::Strftime(pattern) => {
            let mut text = String::new();
            let done = match clock {
                Clock::Zone(zone) => write!(text, "{}", instant.with_timezone(&zone).format(pattern)),
                Clock::Offset(offset) => write!(text, "{}", instant.with_timezone(&offset).format(pattern)),
            };
            // patterns are checked when the extractor is made
            done.map_or_else(|_| String::new(), |()| text)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::{Asia::Kolkata, Europe::Berlin};
    use proptest::prelude::*;

    use super::*;

    fn span(start: &str, end: &str, zone: Tz) -> Span {
        let at = |day: &str| start_of_day(day.parse().unwrap(), zone);
        Span { start: at(start), end: at(end), zone }
    }

    fn ask(bounds: Bounds, format: TimeFormat, granularity: u64, span: Span) -> (String, String) {
        ask_filtered(false, bounds, format, granularity, span)
    }

    fn ask_filtered(
        filtered: bool,
        bounds: Bounds,
        format: TimeFormat,
        granularity: u64,
        span: Span,
    ) -> (String, String) {
        let params = [("from", WindowBound::Start), ("to", WindowBound::End)];
        let params = params.map(|(name, bound)| (name.to_owned(), bound)).into();
        let granularity = std::time::Duration::from_millis(granularity);
        let window = Window { params, format, bounds, granularity, filtered };
        let [from, to] = <[_; 2]>::try_from(super::params(&window, span)).unwrap();
        assert_eq!((from.0.as_str(), to.0.as_str()), ("from", "to"));
        (from.1, to.1)
    }

    const DAY: u64 = 86_400_000;

    #[test]
    fn bounds_as_the_api_means_them() {
        let august = span("2025-08-01", "2025-08-04", Kolkata);
        let ask = |bounds| ask(bounds, TimeFormat::EpochS, 1_000, august);
        let (start, end) = (1_753_986_600, 1_754_245_800);
        let text = |a: i64, b: i64| (a.to_string(), b.to_string());
        assert_eq!(ask(Bounds::HalfOpen), text(start, end));
        assert_eq!(ask(Bounds::Closed), text(start, end - 1));
        assert_eq!(ask(Bounds::Open), text(start - 1, end));
        assert_eq!(ask(Bounds::Unknown), text(start - 1, end + 1));
    }

    #[test]
    fn days_are_calendar_days() {
        let change = span("2025-10-25", "2025-10-27", Berlin);
        let days = |bounds| ask(bounds, TimeFormat::Date, DAY, change);
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(days(Bounds::HalfOpen), text("2025-10-25", "2025-10-27"));
        assert_eq!(days(Bounds::Closed), text("2025-10-25", "2025-10-26"));
        assert_eq!(days(Bounds::Unknown), text("2025-10-24", "2025-10-28"));
        let pattern = TimeFormat::Strftime("%d/%m/%Y".to_owned());
        assert_eq!(ask(Bounds::Closed, pattern, DAY, change), text("25/10/2025", "26/10/2025"));
        // a part of a day asks for the whole of it
        let start = start_of_day("2025-10-26".parse().unwrap(), Berlin);
        let hours = Span { start: start + Duration::hours(3), end: start + Duration::hours(9), zone: Berlin };
        assert_eq!(ask(Bounds::HalfOpen, TimeFormat::Date, DAY, hours), text("2025-10-26", "2025-10-27"));
        assert_eq!(ask(Bounds::Closed, TimeFormat::Date, DAY, hours), text("2025-10-26", "2025-10-26"));
    }

    #[test]
    fn formats() {
        let day = span("2025-08-01", "2025-08-02", Kolkata);
        let closed = |format, step| ask(Bounds::Closed, format, step, day).1;
        assert_eq!(closed(TimeFormat::Iso8601, 1_000), "2025-08-01T23:59:59+05:30");
        assert_eq!(closed(TimeFormat::Iso8601, 1), "2025-08-01T23:59:59.999+05:30");
        assert_eq!(closed(TimeFormat::EpochMs, 1), "1754072999999");
        let pattern = |text: &str| closed(TimeFormat::Strftime(text.to_owned()), 1_000);
        assert_eq!(pattern("%Y-%m-%d %H:%M:%S"), "2025-08-01 23:59:59");
        assert_eq!(pattern("%Y%m%dT%H%M%SZ"), "20250801T182959Z");
    }

    #[test]
    fn closed_bounds_ask_for_the_end_itself_where_rows_can_be_told() {
        let day = span("2025-08-01", "2025-08-02", Kolkata);
        let end = |format, step| ask_filtered(true, Bounds::Closed, format, step, day).1;
        assert_eq!(end(TimeFormat::EpochS, 1_000), "1754073000");
        assert_eq!(end(TimeFormat::EpochMs, 1), "1754073000000");
        assert_eq!(end(TimeFormat::Iso8601, 1_000), "2025-08-02T00:00:00+05:30");
        assert_eq!(end(TimeFormat::Strftime("%d/%m/%Y %H:%M:%S".to_owned()), 1_000), "02/08/2025 00:00:00");
        assert_eq!(end(TimeFormat::Iso8601, DAY), "2025-08-02T00:00:00+05:30");
        // whole days are the last one that belongs
        assert_eq!(end(TimeFormat::Date, DAY), "2025-08-01");
        assert_eq!(end(TimeFormat::Strftime("%d/%m/%Y".to_owned()), DAY), "01/08/2025");
    }

    #[test]
    fn bounds_are_written_in_the_zone_that_the_pattern_names() {
        let day = span("2025-08-01", "2025-08-02", Kolkata);
        let single = |bounds, format, step, day| ask(bounds, format, step, day);
        let ask = |pattern: &str| ask(Bounds::HalfOpen, TimeFormat::Strftime(pattern.to_owned()), 1_000, day);
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        for pattern in ["%F %T UTC", "%F %T GMT", "%F %TZ", "%F %T+00:00"] {
            let (start, end) = ask(pattern);
            assert!(start.starts_with("2025-07-31 18:30:00"), "{pattern}: {start}");
            assert!(end.starts_with("2025-08-01 18:30:00"), "{pattern}: {end}");
        }
        assert_eq!(ask("%F %T+02:00"), text("2025-07-31 20:30:00+02:00", "2025-08-01 20:30:00+02:00"));
        assert_eq!(
            ask("%F %T Europe/Berlin"),
            text("2025-07-31 20:30:00 Europe/Berlin", "2025-08-01 20:30:00 Europe/Berlin")
        );
        assert_eq!(ask("%F %T %Z"), text("2025-08-01 00:00:00 IST", "2025-08-02 00:00:00 IST"));
        assert_eq!(ask("%F %T %z"), text("2025-08-01 00:00:00 +0530", "2025-08-02 00:00:00 +0530"));
        // days of another zone than the source's: all that the chunk touches
        let days = |bounds| single(bounds, TimeFormat::Strftime("%FT00:00:00Z".to_owned()), DAY, day);
        assert_eq!(days(Bounds::HalfOpen), text("2025-07-31T00:00:00Z", "2025-08-02T00:00:00Z"));
        assert_eq!(days(Bounds::Closed), text("2025-07-31T00:00:00Z", "2025-08-01T00:00:00Z"));
    }

    #[test]
    fn what_is_asked_beyond_the_chunk_is_expected() {
        let day = span("2025-08-01", "2025-08-02", Kolkata);
        let found = |bounds, format: &str, step| {
            let format = match format {
                "date" => TimeFormat::Date,
                "epoch_s" => TimeFormat::EpochS,
                pattern => TimeFormat::Strftime(pattern.to_owned()),
            };
            let granularity = std::time::Duration::from_millis(step);
            let window = Window { params: [].into(), format, bounds, granularity, filtered: true };
            let Expected { asked, near, whole_days } = expected(&window, day);
            let from = |at: DateTime<Utc>, bound: DateTime<Utc>| (at - bound).num_seconds();
            assert!(near.start <= asked.start && asked.end <= near.end);
            (
                [from(asked.start, day.start), from(asked.end, day.end)],
                [from(near.start, day.start), from(near.end, day.end)],
                whole_days,
            )
        };
        let of_days = 86_400;
        assert_eq!(found(Bounds::HalfOpen, "epoch_s", 1_000), ([0, 0], [-1, 1], false));
        assert_eq!(found(Bounds::Closed, "epoch_s", 1_000), ([0, 1], [-1, 1], false));
        assert_eq!(found(Bounds::Open, "epoch_s", 1_000), ([-1, 0], [-1, 1], false));
        assert_eq!(found(Bounds::Unknown, "epoch_s", 1_000), ([-1, 2], [-1, 2], false));
        assert_eq!(found(Bounds::Unknown, "%F %H:%M", 1_000), ([-60, 120], [-60, 120], false));
        assert_eq!(found(Bounds::HalfOpen, "epoch_s", 0), ([0, 0], [-1, 1], false));
        assert_eq!(found(Bounds::Closed, "date", DAY), ([0, 0], [-of_days, of_days], true));
        assert_eq!(found(Bounds::HalfOpen, "%d/%m/%Y", 0), ([0, 0], [-of_days, of_days], true));
        assert_eq!(
            found(Bounds::Unknown, "date", DAY),
            ([-of_days, 2 * of_days], [-of_days, 2 * of_days], true)
        );
    }

    proptest! {
        /// An API of any reading, over rows of any instant: what it means by its two parameters, written to the second,
        /// the minute or the day and compared with rows that are finer. Each row of the chunk comes back.
        #[test]
        fn no_instant_of_a_chunk_is_lost(
            bounds in 0..4_usize,
            resolution in 0..3_usize,
            hours in 1..60_i64,
            at in 0..1_i64 << 32,
            truncated: bool,
        ) {
            let bounds = [Bounds::Closed, Bounds::HalfOpen, Bounds::Open, Bounds::Unknown][bounds];
            let (pattern, step) = [("%F %T", 1_000), ("%F %H:%M", 60_000), ("%FT%TZ", 1_000)][resolution];
            let start = start_of_day("2025-08-01".parse().unwrap(), Kolkata);
            let span = Span { start, end: start + Duration::hours(hours), zone: Kolkata };
            let row = start + Duration::milliseconds(at % (hours * 3_600_000));
            let (from, to) = ask_filtered(true, bounds, TimeFormat::Strftime(pattern.to_owned()), step, span);
            let zone = if pattern.ends_with('Z') { Tz::UTC } else { Kolkata };
            let read = |text: &str| {
                let local = chrono::NaiveDateTime::parse_from_str(text, pattern).unwrap();
                zone.from_local_datetime(&local).unwrap().to_utc()
            };
            let (from, to) = (read(&from), read(&to));
            // some APIs cut what they compare to their own step
            let millis = i64::try_from(step).unwrap();
            let seen = if truncated { row - Duration::milliseconds(row.timestamp_millis().rem_euclid(millis)) } else { row };
            let readings: &[(bool, bool)] = match bounds {
                Bounds::Closed => &[(true, true)],
                Bounds::HalfOpen => &[(true, false)],
                Bounds::Open => &[(false, false)],
                Bounds::Unknown => &[(true, true), (true, false), (false, false), (false, true)],
            };
            for (first, last) in readings {
                let after = if *first { from <= seen } else { from < seen };
                let before = if *last { seen <= to } else { seen < to };
                prop_assert!(after && before, "{bounds:?} {row} not in {from} to {to}");
            }
        }
    }
}
