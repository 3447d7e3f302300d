//! Reads times by a strftime pattern, with the zone that a literal word of it or a name in the text says. Pure.

use std::fmt::Write as _;

use chrono::{
    DateTime, FixedOffset, NaiveDate, NaiveDateTime,
    format::{Fixed, Item, ParseError, Parsed, StrftimeItems, parse, parse_and_remainder},
};

use super::zone_mark::{self, TwoZones, ZoneMark};

/// A strftime pattern, compiled.
#[derive(Debug, Clone)]
pub struct TimePattern {
    items: Vec<Item<'static>>,
    /// What follows the name of a zone (`%Z`).
    behind_zone: Option<Vec<Item<'static>>>,
    mark: Option<ZoneMark>,
}

/// What a text says by a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeRead {
    /// A time with its offset.
    Instant(DateTime<FixedOffset>),
    /// A local time: of the marked zone, or else of the source's.
    Local(NaiveDateTime, Option<ZoneMark>),
    /// A day: of the marked zone, or else of the source's.
    Day(NaiveDate, Option<ZoneMark>),
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimePatternError {
    /// It does not follow the rules of strftime.
    #[error("`{0}` is not a valid strftime pattern")]
    Syntax(String),
    /// It does not say which day.
    #[error("`{0}` does not say year, month and day")]
    NoDay(String),
    /// Its words contradict each other.
    #[error(transparent)]
    TwoZones(#[from] TwoZones),
}

impl TimePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it is not one, when it does not say a day, or when it names two zones.
    pub fn new(pattern: &str) -> Result<Self, TimePatternError> {
        let syntax = |_: ParseError| TimePatternError::Syntax(pattern.to_owned());
        let mut items = StrftimeItems::new(pattern).parse_to_owned().map_err(syntax)?;
        let mark = zone_mark::of_pattern(pattern)?;
        // written, and read back
        let mut sample = String::new();
        let written = write!(sample, "{}", DateTime::UNIX_EPOCH.format_with_items(items.iter()));
        let at = items.iter().position(|item| *item == Item::Fixed(Fixed::TimezoneName));
        let behind_zone = at.map(|at| items.split_off(at)).map(|mut behind| behind.split_off(1));
        let compiled = Self { items, behind_zone, mark };
        let says_a_day = written.is_ok() && compiled.read(&sample).is_some();
        says_a_day.then_some(compiled).ok_or_else(|| TimePatternError::NoDay(pattern.to_owned()))
    }

    /// What a text says; `None` when it does not fit.
    pub fn read(&self, text: &str) -> Option<TimeRead> {
        let mut parsed = Parsed::new();
        let mut mark = self.mark.clone();
        match &self.behind_zone {
            None => parse(&mut parsed, text, self.items.iter()).ok()?,
            Some(behind) => {
                let rest = parse_and_remainder(&mut parsed, text, self.items.iter()).ok()?.trim_start();
                let is_part = |sign: char| sign.is_alphanumeric() || "+-:/_".contains(sign);
                let end = rest.find(|sign| !is_part(sign)).unwrap_or(rest.len());
                mark = Some(ZoneMark::from_word(&rest[..end])?);
                parse(&mut parsed, &rest[end..], behind.iter()).ok()?;
            }
        }
        resolve(&mut parsed, mark)
    }
}

fn resolve(parsed: &mut Parsed, mark: Option<ZoneMark>) -> Option<TimeRead> {
    let has_hour = parsed.hour_mod_12().is_some() || parsed.hour_div_12().is_some();
    if has_hour && parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    if parsed.offset().is_some() {
        return parsed.to_datetime().ok().map(TimeRead::Instant);
    }
    match parsed.to_naive_datetime_with_offset(0) {
        Ok(time) if parsed.timestamp().is_some() => Some(TimeRead::Instant(time.and_utc().fixed_offset())),
        Ok(time) => Some(TimeRead::Local(time, mark)),
        Err(_) if has_hour => None,
        Err(_) => parsed.to_naive_date().ok().map(|day| TimeRead::Day(day, mark)),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Asia::Kolkata;

    use super::*;

    /// The instant that a text says in Kolkata.
    fn read(pattern: &str, text: &str) -> Option<String> {
        let instant = match TimePattern::new(pattern).unwrap().read(text)? {
            TimeRead::Instant(time) => time.to_utc(),
            TimeRead::Local(time, mark) => mark.unwrap_or(ZoneMark::Zone(Kolkata)).instant(time, Kolkata)?,
            TimeRead::Day(day, mark) => {
                mark.unwrap_or(ZoneMark::Zone(Kolkata)).instant(day.and_hms_opt(0, 0, 0)?, Kolkata)?
            }
        };
        Some(instant.format("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    #[test]
    fn the_zone_of_a_text_counts() {
        for (pattern, text, expected) in [
            ("%F %T", "2025-08-01 10:00:00", "2025-08-01T04:30:00Z"),
            ("%F %T UTC", "2025-08-01 04:30:00 UTC", "2025-08-01T04:30:00Z"),
            ("%a, %d %b %Y %T GMT", "Fri, 01 Aug 2025 04:30:00 GMT", "2025-08-01T04:30:00Z"),
            ("%FT%TZ", "2025-08-01T04:30:00Z", "2025-08-01T04:30:00Z"),
            ("%F %T+02:00", "2025-08-01 06:30:00+02:00", "2025-08-01T04:30:00Z"),
            ("%F %T %z", "2025-08-01 06:30:00 +0200", "2025-08-01T04:30:00Z"),
            ("%F %T %Z", "2025-08-01 04:30:00 UTC", "2025-08-01T04:30:00Z"),
            ("%F %T %Z", "2025-08-01 06:30:00 Europe/Berlin", "2025-08-01T04:30:00Z"),
            ("%F %T %Z", "2025-08-01 10:00:00 IST", "2025-08-01T04:30:00Z"),
            ("%F %T (%Z)", "2025-08-01 04:30:00 (GMT)", "2025-08-01T04:30:00Z"),
            ("%a %b %d %T %Z %Y", "Fri Aug 01 04:30:00 UTC 2025", "2025-08-01T04:30:00Z"),
            ("%a %b %d %Y %T GMT%z", "Fri Aug 01 2025 10:00:00 GMT+0530", "2025-08-01T04:30:00Z"),
            ("%s", "1754022600", "2025-08-01T04:30:00Z"),
            ("%F", "2025-08-01", "2025-07-31T18:30:00Z"),
            ("%FZ", "2025-08-01Z", "2025-08-01T00:00:00Z"),
            ("%F %H", "2025-08-01 10", "2025-08-01T04:30:00Z"),
            ("%F %I %p", "2025-08-01 10 PM", "2025-08-01T16:30:00Z"),
        ] {
            assert_eq!(read(pattern, text).as_deref(), Some(expected), "{text} by {pattern}");
        }
        for (pattern, text) in [
            ("%F %T UTC", "2025-08-01 04:30:00 GMT"),
            ("%F %T UTC", "2025-08-01 04:30:00"),
            ("%F %T %Z", "2025-08-01 04:30:00 EST"),
            ("%F %T %Z", "2025-08-01 04:30:00 Mars/Olympus"),
            ("%F %T %Z", "2025-08-01 04:30:00"),
            ("%F %T %Z", "2025-08-01 04:30:00 UTC x"),
        ] {
            assert_eq!(read(pattern, text), None, "{text} by {pattern}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_used_say_why() {
        for (pattern, words) in [
            ("%Q", "not a valid strftime pattern"),
            ("%H:%M", "does not say year, month and day"),
            ("%F %T UTC +05:30 Asia/Tokyo", "names two zones"),
        ] {
            let error = TimePattern::new(pattern).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(pattern), "{error}");
        }
    }
}
