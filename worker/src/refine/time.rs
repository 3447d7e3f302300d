//! Dates and times as sources write them -> as COPY reads them. Pure.
//!
//! Times without an offset are of the source's zone: one that a clock change skips is refused, of one that it
//! repeats the earlier is meant. Instants are microseconds since 1970, days are counted from the year 1.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;
use nstore_shared::{
    chunk::start_of_day,
    config::{
        spec::TimeFormat,
        time_pattern::{TimePattern, TimeRead},
        zone_mark::ZoneMark,
    },
};

use super::zone::LocalZone;

/// A value of a date or timestamptz column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// Days, 1 for 0001-01-01.
    Day(i32),
    /// Microseconds since 1970.
    Instant(i64),
}

/// Why a text is no date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeFault {
    /// Not written in the column's format.
    Format,
    /// A clock change skips it.
    Gap,
    /// A clock change repeats it, and neither instant is to be taken.
    Repeated,
    /// Outside the years 1 to 9999.
    Reach,
    /// It names a zone that is not what the source's zone is called then.
    Zone,
}

/// How a column's values are written in a record.
#[derive(Debug)]
pub(super) enum Reader {
    Iso,
    /// With this many microseconds to the unit.
    Epoch(i64),
    Date,
    Pattern(TimePattern),
}

/// What a text says before the zone is asked.
enum Reading {
    Day(NaiveDate),
    /// Microseconds since 1970 by the wall clock.
    Local(i64),
    Instant(i64),
    /// Microseconds since 1970 by the wall clock of a zone that the text names, or the pattern.
    Marked(i64, ZoneMark),
    MarkedDay(NaiveDate, ZoneMark),
}

/// In microseconds, like all lengths here.
pub(super) const SECOND: i64 = 1_000_000;
/// Of 24 hours.
pub(super) const DAY: i64 = 86_400 * SECOND;
/// 1970-01-01 counted from the year 1.
pub(super) const EPOCH_DAY: i64 = 719_163;

impl Reader {
    /// Compiles a format; RFC 3339 unless said.
    pub(super) fn new(format: Option<&TimeFormat>) -> Result<Self, String> {
        Ok(match format {
            None | Some(TimeFormat::Iso8601) => Self::Iso,
            Some(TimeFormat::EpochS) => Self::Epoch(SECOND),
            Some(TimeFormat::EpochMs) => Self::Epoch(1_000),
            Some(TimeFormat::Date) => Self::Date,
            Some(TimeFormat::Strftime(pattern)) => {
                Self::Pattern(TimePattern::new(pattern).map_err(|error| error.to_string())?)
            }
        })
    }

    /// What the format is called in a reject's reason.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Iso => "written as 2025-08-31T10:00:00Z",
            Self::Epoch(SECOND) => "in seconds since 1970",
            Self::Epoch(_) => "in milliseconds since 1970",
            Self::Date => "written as 2025-08-31",
            Self::Pattern(_) => "in the column's format",
        }
    }

    /// The instant that a text means.
    pub(super) fn instant(&self, text: &str, zone: &mut LocalZone) -> Result<i64, TimeFault> {
        let micros = match self.read(text)? {
            Reading::Instant(micros) => micros,
            Reading::Day(day) => {
                // before the zone is asked, which knows no end of time
                within_reach(i64::from(day.num_days_from_ce()))?;
                start_of_day(day, zone.zone).timestamp_micros()
            }
            Reading::Local(local) => zone.instant(local)?,
            Reading::Marked(local, mark) => marked(local, &mark, zone.zone)?,
            Reading::MarkedDay(day, mark) => marked(local_micros(day, 0), &mark, zone.zone)?,
        };
        within_reach(days_of(micros)).map(|()| micros)
    }

    /// The calendar day of the source's zone that a text means.
    pub(super) fn day(&self, text: &str, zone: Tz) -> Result<i32, TimeFault> {
        let day = match self.read(text)? {
            Reading::Day(day) | Reading::MarkedDay(day, _) => i64::from(day.num_days_from_ce()),
            Reading::Local(local) => days_of(local),
            Reading::Instant(micros) => day_in(micros, zone)?,
            Reading::Marked(local, mark) => day_in(marked(local, &mark, zone)?, zone)?,
        };
        within_reach(day)?;
        i32::try_from(day).map_err(|_| TimeFault::Reach)
    }

    fn read(&self, text: &str) -> Result<Reading, TimeFault> {
        match self {
            Self::Iso => iso(text.as_bytes()),
            Self::Epoch(unit) => epoch(text, *unit).map(Reading::Instant),
            Self::Date => match iso(text.as_bytes()) {
                day @ Some(Reading::Day(_)) => day,
                _ => None,
            },
            Self::Pattern(pattern) => pattern.read(text).map(from_pattern),
        }
        .ok_or(TimeFault::Format)
    }
}

fn days_of(micros: i64) -> i64 {
    micros.div_euclid(DAY) + EPOCH_DAY
}

/// Years 1 to 9999: others have no plain four digits, and no business in a shop.
fn within_reach(day: i64) -> Result<(), TimeFault> {
    if (1..=3_652_059).contains(&day) { Ok(()) } else { Err(TimeFault::Reach) }
}

/// The number that so many ASCII digits at `at` make.
fn digits(text: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = text.get(at..at + count)?;
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
}

/// RFC 3339 with what the field makes of it: a space for the `T`, no seconds, no offset, no time at all.
fn iso(text: &[u8]) -> Option<Reading> {
    let part = |at, count| digits(text, at, count);
    let day = NaiveDate::from_ymd_opt(i32::try_from(part(0, 4)?).ok()?, part(5, 2)?, part(8, 2)?)?;
    if (text[4], text[7]) != (b'-', b'-') {
        return None;
    }
    if text.len() == 10 {
        return Some(Reading::Day(day));
    }
    if matches!(text[10], b'Z' | b'+' | b'-') {
        let mark = ZoneMark::from_word(std::str::from_utf8(&text[10..]).ok()?)?;
        return Some(Reading::MarkedDay(day, mark));
    }
    if !matches!(text[10], b'T' | b't' | b' ') || text.get(13) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (part(11, 2)?, part(14, 2)?);
    let (second, micros, rest) = match text.get(16) {
        Some(b':') => {
            let (micros, rest) = fraction(text.get(19..)?);
            (part(17, 2)?, micros?, rest)
        }
        _ => (0, 0, text.get(16..)?),
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let in_day = i64::from(hour * 3_600 + minute * 60 + second) * SECOND + micros;
    let local = local_micros(day, in_day);
    Some(match offset(rest) {
        Some(Some(seconds)) => Reading::Instant(local - seconds * SECOND),
        Some(None) => Reading::Local(local),
        // `… UTC`, `… Asia/Kolkata`, as databases and dashboards write it
        None => {
            Reading::Marked(local, ZoneMark::from_word(std::str::from_utf8(rest).ok()?.strip_prefix(' ')?)?)
        }
    })
}

/// `.123456789` as microseconds, cut, and what follows.
fn fraction(text: &[u8]) -> (Option<i64>, &[u8]) {
    let Some(rest) = text.strip_prefix(b".").or_else(|| text.strip_prefix(b",")) else {
        return (Some(0), text);
    };
    let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let micros = (0..6)
        .fold(0, |sum, at| sum * 10 + rest[..length].get(at).map_or(0, |digit| i64::from(digit - b'0')));
    ((length > 0).then_some(micros), &rest[length..])
}

/// Nothing, `Z`, `+05:30`, `+0530` or `+05`, in seconds east.
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let sign = match text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let hours = digits(text, 1, 2)?;
    let minutes = match (text.len(), text.get(3)) {
        (3, _) => 0,
        (5, _) => digits(text, 3, 2)?,
        (6, Some(b':')) => digits(text, 4, 2)?,
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(Some(sign * i64::from(hours * 3_600 + minutes * 60)))
}

/// A count of units since 1970, perhaps with a fraction.
fn epoch(text: &str, unit: i64) -> Option<i64> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, "0"));
    let count: i64 = whole.parse().ok()?;
    let behind = format!(".{behind}");
    let (Some(millionths), []) = fraction(behind.as_bytes()) else { return None };
    let part = millionths * unit / SECOND;
    let part = if whole.starts_with('-') { -part } else { part };
    count.checked_mul(unit)?.checked_add(part)
}

fn from_pattern(read: TimeRead) -> Reading {
    let micros = |time: NaiveDateTime| time.and_utc().timestamp_micros();
    match read {
        TimeRead::Instant(time) => Reading::Instant(time.timestamp_micros()),
        TimeRead::Local(time, None) => Reading::Local(micros(time)),
        TimeRead::Local(time, Some(mark)) => Reading::Marked(micros(time), mark),
        TimeRead::Day(day, None) => Reading::Day(day),
        TimeRead::Day(day, Some(mark)) => Reading::MarkedDay(day, mark),
    }
}

/// The instant of a local time of a named zone.
fn marked(local: i64, mark: &ZoneMark, own: Tz) -> Result<i64, TimeFault> {
    let time = DateTime::<Utc>::from_timestamp_micros(local).ok_or(TimeFault::Reach)?;
    let instant = mark.instant(time.naive_utc(), own).ok_or(TimeFault::Zone)?;
    Ok(instant.timestamp_micros())
}

/// The calendar day of an instant, counted from the year 1.
fn day_in(micros: i64, zone: Tz) -> Result<i64, TimeFault> {
    let time = DateTime::<Utc>::from_timestamp_micros(micros).ok_or(TimeFault::Reach)?;
    Ok(time.with_timezone(&zone).num_days_from_ce().into())
}

fn local_micros(day: NaiveDate, in_day: i64) -> i64 {
    (i64::from(day.num_days_from_ce()) - EPOCH_DAY) * DAY + in_day
}

/// Appends a moment as COPY reads it: `2025-08-31`, or `2025-08-31T10:00:00.25Z`.
pub(super) fn write(out: &mut Vec<u8>, moment: Moment) {
    let (day, in_day) = match moment {
        Moment::Day(day) => (day, None),
        Moment::Instant(micros) => {
            (i32::try_from(days_of(micros)).unwrap_or(i32::MAX), Some(micros.rem_euclid(DAY)))
        }
    };
    let Some(date) = NaiveDate::from_num_days_from_ce_opt(day) else { return };
    push_digits(out, i64::from(date.year()), 4);
    out.push(b'-');
    push_digits(out, date.month().into(), 2);
    out.push(b'-');
    push_digits(out, date.day().into(), 2);
    let Some(in_day) = in_day else { return };
    let seconds = in_day / SECOND;
    for (mark, value) in [(b'T', seconds / 3_600), (b':', seconds / 60 % 60), (b':', seconds % 60)] {
        out.push(mark);
        push_digits(out, value, 2);
    }
    let micros = in_day % SECOND;
    if micros > 0 {
        out.push(b'.');
        push_digits(out, micros, 6);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

/// Appends a number with exactly so many digits.
fn push_digits(out: &mut Vec<u8>, value: i64, count: usize) {
    let start = out.len();
    out.resize(start + count, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use chrono_tz::{Asia::Kolkata, Europe::Berlin};
    use proptest::prelude::*;

    use nstore_shared::contract::Ambiguous;

    use super::*;

    fn written(moment: Moment) -> String {
        let mut out = Vec::new();
        write(&mut out, moment);
        String::from_utf8(out).unwrap()
    }

    fn instant(format: Option<&TimeFormat>, text: &str, zone: Tz) -> Result<String, TimeFault> {
        Reader::new(format)
            .unwrap()
            .instant(text, &mut LocalZone::new(zone, Ambiguous::First))
            .map(|micros| written(Moment::Instant(micros)))
    }

    #[test]
    fn iso_in_its_dialects() {
        for (text, expected) in [
            ("2025-08-01T10:00:00Z", "2025-08-01T10:00:00Z"),
            ("2025-08-01t10:00:00.120z", "2025-08-01T10:00:00.12Z"),
            ("2025-08-01 10:00:00+05:30", "2025-08-01T04:30:00Z"),
            ("2025-08-01T10:00:00.1234567 -0800", "2025-08-01T18:00:00.123456Z"),
            ("2025-08-01T10:00+00", "2025-08-01T10:00:00Z"),
            ("2025-08-01T10:00:00", "2025-08-01T04:30:00Z"),
            ("2025-08-01", "2025-07-31T18:30:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2025-08-01 04:30:00 UTC", "2025-08-01T04:30:00Z"),
            ("2025-08-01 04:30:00.5 GMT", "2025-08-01T04:30:00.5Z"),
            ("2025-08-01 10:00:00 IST", "2025-08-01T04:30:00Z"),
            ("2025-08-01+05:30", "2025-07-31T18:30:00Z"),
            ("2025-08-01Z", "2025-08-01T00:00:00Z"),
            ("2025-08-01 06:30:00 Europe/Berlin", "2025-08-01T04:30:00Z"),
        ] {
            assert_eq!(instant(None, text, Kolkata).as_deref(), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "2025",
            "2025-02-30",
            "2025-08-01T",
            "2025-08-01T10",
            "2025-08-01T24:00:00Z",
            "2025-08-01T10:00:00X",
            "2025-08-01T10:00:00.Z",
            "01.08.2025",
            "2025/08/01",
            "2025-08-01T10:00:00+5",
            "२०२५-०८-०१",
        ] {
            assert_eq!(instant(None, bad, Kolkata), Err(TimeFault::Format), "{bad}");
        }
        assert_eq!(instant(None, "0000-05-01T00:00:00Z", Kolkata), Err(TimeFault::Reach));
        assert_eq!(instant(None, "2025-08-01 10:00:00 EST", Kolkata), Err(TimeFault::Zone));
    }

    #[test]
    fn clock_changes() {
        assert_eq!(instant(None, "2025-03-30T02:30:00", Berlin), Err(TimeFault::Gap));
        assert_eq!(instant(None, "2025-10-26T02:30:00", Berlin).unwrap(), "2025-10-26T00:30:00Z");
    }

    #[test]
    fn epochs() {
        let seconds = |text| instant(Some(&TimeFormat::EpochS), text, Kolkata);
        assert_eq!(seconds("1754042400").unwrap(), "2025-08-01T10:00:00Z");
        assert_eq!(seconds("1754042400.25").unwrap(), "2025-08-01T10:00:00.25Z");
        assert_eq!(seconds("-0.5").unwrap(), "1969-12-31T23:59:59.5Z");
        assert_eq!(
            instant(Some(&TimeFormat::EpochMs), "1754042400250", Kolkata).unwrap(),
            "2025-08-01T10:00:00.25Z"
        );
        for bad in ["", "1e9", "12x", "1.", "1.x", "9999999999999999999"] {
            assert_eq!(seconds(bad), Err(TimeFault::Format), "{bad}");
        }
        assert_eq!(seconds("1754042400000"), Err(TimeFault::Reach));
    }

    #[test]
    fn patterns() {
        let read =
            |pattern: &str, text| instant(Some(&TimeFormat::Strftime(pattern.to_owned())), text, Kolkata);
        assert_eq!(read("%d/%m/%Y %H:%M", "01/08/2025 10:00").unwrap(), "2025-08-01T04:30:00Z");
        assert_eq!(read("%d/%m/%Y", "01/08/2025").unwrap(), "2025-07-31T18:30:00Z");
        assert_eq!(
            read("%d.%m.%Y %H:%M:%S %z", "01.08.2025 10:00:00 +0200").unwrap(),
            "2025-08-01T08:00:00Z"
        );
        assert_eq!(read("%Y%m%dT%H%M%SZ", "20250801T100000Z").unwrap(), "2025-08-01T10:00:00Z");
        assert_eq!(read("%s", "1754042400").unwrap(), "2025-08-01T10:00:00Z");
        assert_eq!(read("%F %T UTC", "2025-08-01 10:00:00 UTC").unwrap(), "2025-08-01T10:00:00Z");
        assert_eq!(read("%F %T %Z", "2025-08-01 10:00:00 GMT").unwrap(), "2025-08-01T10:00:00Z");
        assert_eq!(read("%F %T %Z", "2025-08-01 10:00:00 PST"), Err(TimeFault::Zone));
        assert_eq!(read("%FZ", "2025-08-01Z").unwrap(), "2025-08-01T00:00:00Z");
        assert_eq!(read("%F %H", "2025-08-01 10").unwrap(), "2025-08-01T04:30:00Z");
        assert!(read("%d/%m/%Y", "2025-08-01").is_err());
        assert!(Reader::new(Some(&TimeFormat::Strftime("%!".to_owned()))).is_err());
    }

    #[test]
    fn days() {
        let day = |format: Option<&TimeFormat>, text| {
            Reader::new(format).unwrap().day(text, Kolkata).map(|day| written(Moment::Day(day)))
        };
        assert_eq!(day(None, "2025-08-01").unwrap(), "2025-08-01");
        assert_eq!(day(None, "2025-07-31T20:00:00Z").unwrap(), "2025-08-01");
        assert_eq!(day(Some(&TimeFormat::EpochS), "1753990200").unwrap(), "2025-08-01");
        assert_eq!(day(Some(&TimeFormat::Date), "2025-08-01T00:00:00Z"), Err(TimeFault::Format));
        let pattern = |text: &str| Some(TimeFormat::Strftime(text.to_owned()));
        assert_eq!(
            day(pattern("%FZ").as_ref(), "2025-08-01Z").unwrap(),
            "2025-08-01",
            "the day that is written"
        );
        assert_eq!(day(pattern("%F %T UTC").as_ref(), "2025-07-31 20:00:00 UTC").unwrap(), "2025-08-01");
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let text = DateTime::<Utc>::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(SecondsFormat::Micros, true);
            let mut zone = LocalZone::new(Kolkata, Ambiguous::First);
            prop_assert_eq!(Reader::Iso.instant(&text, &mut zone), Ok(micros));
            prop_assert_eq!(Reader::Iso.instant(&written(Moment::Instant(micros)), &mut zone), Ok(micros));
        }

        #[test]
        fn anything_may_be_asked(text in "[0-9:TZ+. -]{0,30}|.{0,20}") {
            for reader in [Reader::Iso, Reader::Date, Reader::Epoch(SECOND), Reader::Epoch(1_000)] {
                let _ = (reader.instant(&text, &mut LocalZone::new(Berlin, Ambiguous::First)), reader.day(&text, Berlin));
            }
        }
    }
}
