//! A chunk's range -> the query parameters that ask for it. Pure.

use std::fmt::Write as _;

use chrono::{DateTime, Days, Duration, NaiveDate, SecondsFormat, Utc, format::StrftimeItems};
use chrono_tz::Tz;
use nstore_shared::{
    chunk::start_of_day,
    config::spec::{Bounds, TimeFormat, Window, WindowBound},
};

use crate::extract::Span;

const DAY_SECONDS: i64 = 86_400;

/// Each parameter with its value.
pub(super) fn params(window: &Window, span: Span) -> Vec<(String, String)> {
    let (start, end) = asked(window, span);
    let value = |bound| match bound {
        WindowBound::Start => written(start, &window.format, span.zone),
        WindowBound::End => written(end, &window.format, span.zone),
    };
    window.params.iter().map(|(name, bound)| (name.clone(), value(*bound))).collect()
}

/// Whether a strftime pattern can be written at all.
pub(super) fn is_pattern(pattern: &str) -> bool {
    StrftimeItems::new(pattern).parse().is_ok()
}

/// The two instants to ask for, so that by the API's own reading at least the chunk comes back.
fn asked(window: &Window, span: Span) -> (DateTime<Utc>, DateTime<Utc>) {
    let seconds = i64::try_from(window.granularity.as_secs()).unwrap_or(i64::MAX);
    let whole_days = seconds >= DAY_SECONDS && seconds % DAY_SECONDS == 0;
    let days = match window.format {
        TimeFormat::Date => Some((seconds / DAY_SECONDS).max(1)),
        _ => whole_days.then_some(seconds / DAY_SECONDS),
    };
    // by calendar days where the API counts in days: 24 hours are not always one
    let (start, end) = match days {
        Some(_) => (start_of_day(day_of(span.start, span.zone), span.zone), first_day_after(span)),
        None => (span.start, span.end),
    };
    let earlier = |instant| shifted(instant, window, days, span.zone, -1);
    let later = |instant| shifted(instant, window, days, span.zone, 1);
    match window.bounds {
        Bounds::HalfOpen => (start, end),
        Bounds::Closed => (start, earlier(end)),
        Bounds::Open => (earlier(start), end),
        Bounds::Unknown => (earlier(start), later(end)),
    }
}

fn day_of(instant: DateTime<Utc>, zone: Tz) -> NaiveDate {
    instant.with_timezone(&zone).date_naive()
}

/// The start of the first day that the span does not touch.
fn first_day_after(span: Span) -> DateTime<Utc> {
    let last = day_of(span.end - Duration::nanoseconds(1), span.zone);
    start_of_day(last + Days::new(1), span.zone)
}

/// One granularity earlier or later.
fn shifted(instant: DateTime<Utc>, window: &Window, days: Option<i64>, zone: Tz, sign: i32) -> DateTime<Utc> {
    if let Some(days) = days {
        let days = Days::new(days.unsigned_abs());
        let day = day_of(instant, zone);
        let shifted = if sign < 0 { day.checked_sub_days(days) } else { day.checked_add_days(days) };
        return start_of_day(shifted.unwrap_or(day), zone);
    }
    let step = Duration::from_std(window.granularity).unwrap_or(Duration::zero());
    instant.checked_add_signed(step * sign).unwrap_or(instant)
}

fn written(instant: DateTime<Utc>, format: &TimeFormat, zone: Tz) -> String {
    let local = instant.with_timezone(&zone);
    match format {
        TimeFormat::EpochS => instant.timestamp().to_string(),
        TimeFormat::EpochMs => instant.timestamp_millis().to_string(),
        TimeFormat::Date => local.date_naive().to_string(),
        TimeFormat::Iso8601 => local.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        TimeFormat::Strftime(pattern) => {
            let mut text = String::new();
            // a literal Z at the end means what it means in RFC 3339
            let done = if pattern.ends_with('Z') && !pattern.ends_with("%Z") {
                write!(text, "{}", instant.format(pattern))
            } else {
                write!(text, "{}", local.format(pattern))
            };
            // patterns are checked when the extractor is made
            done.map_or_else(|_| String::new(), |()| text)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::{Asia::Kolkata, Europe::Berlin};

    use super::*;

    fn span(start: &str, end: &str, zone: Tz) -> Span {
        let at = |day: &str| start_of_day(day.parse().unwrap(), zone);
        Span { start: at(start), end: at(end), zone }
    }

    fn ask(bounds: Bounds, format: TimeFormat, granularity: u64, span: Span) -> (String, String) {
        let params = [("from", WindowBound::Start), ("to", WindowBound::End)];
        let params = params.map(|(name, bound)| (name.to_owned(), bound)).into();
        let window =
            Window { params, format, bounds, granularity: std::time::Duration::from_millis(granularity) };
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
}
