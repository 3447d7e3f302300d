//! How finely a window's bounds tell times: what a chunk may be cut by below a day. Pure.

use std::time::Duration;

use chrono::{
    DateTime, LocalResult, TimeZone as _, Utc,
    format::{Fixed, Item, Numeric, StrftimeItems},
};
use chrono_tz::Tz;

use super::{Bounds, TimeFormat, Window};
use crate::config::zone_mark::{ZoneMark, of_pattern, tells_offset};

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

impl Window {
    /// The smallest step, in whole seconds, on which both its format and its granularity can tell two instants apart;
    /// `None` when that is no part of a day.
    pub fn step(&self) -> Option<Duration> {
        let granularity = u64::try_from(self.granularity.as_millis().div_ceil(1000)).ok()?;
        let written = self.format.resolution();
        let step = least_common_multiple(written, granularity.max(SECOND));
        (step < DAY).then(|| Duration::from_secs(step))
    }

    /// Whether chunks may meet at an instant: what is written of the two windows beside it means that instant and no
    /// other. Local times without an offset come twice when clocks are set back.
    pub fn can_meet_at(&self, at: DateTime<Utc>, zone: Tz) -> bool {
        if !self.format.is_local() {
            return true;
        }
        let step = chrono::Duration::from_std(self.granularity).unwrap_or_default();
        let written = match self.bounds {
            Bounds::HalfOpen => vec![at],
            Bounds::Closed | Bounds::Open => vec![at - step, at],
            Bounds::Unknown => vec![at - step, at, at + step],
        };
        let zone = self.format.named_zone().unwrap_or(zone);
        let once = |at: DateTime<Utc>| {
            let wall = at.with_timezone(&zone).naive_local();
            matches!(zone.from_local_datetime(&wall), LocalResult::Single(_))
        };
        written.into_iter().all(once)
    }
}

impl TimeFormat {
    /// Whether it says a day and nothing finer.
    pub fn is_whole_day(&self) -> bool {
        self.resolution() == DAY
    }

    /// The seconds of its smallest part.
    pub fn resolution(&self) -> u64 {
        match self {
            Self::EpochS | Self::EpochMs | Self::Iso8601 => SECOND,
            Self::Date => DAY,
            Self::Strftime(pattern) => {
                StrftimeItems::new(pattern).map(|item| seconds_of(&item)).min().unwrap_or(DAY)
            }
        }
    }

    /// The zone that its pattern names by its IANA name.
    fn named_zone(&self) -> Option<Tz> {
        match self {
            Self::Strftime(pattern) => match of_pattern(pattern) {
                Ok(Some(ZoneMark::Zone(zone))) => Some(zone),
                _ => None,
            },
            _ => None,
        }
    }

    /// It says a time of the source's zone, and not how far that is from UTC.
    fn is_local(&self) -> bool {
        match self {
            Self::EpochS | Self::EpochMs | Self::Iso8601 => false,
            Self::Date => true,
            Self::Strftime(pattern) => {
                !StrftimeItems::new(pattern).any(|item| tells_offset(&item))
                    && !matches!(of_pattern(pattern), Ok(Some(ZoneMark::Offset(_))))
            }
        }
    }
}

fn seconds_of(item: &Item<'_>) -> u64 {
    match item {
        Item::Numeric(Numeric::Second | Numeric::Timestamp, _)
        | Item::Fixed(Fixed::RFC2822 | Fixed::RFC3339) => SECOND,
        Item::Numeric(Numeric::Minute, _) => MINUTE,
        Item::Numeric(Numeric::Hour | Numeric::Hour12, _) => HOUR,
        _ => DAY,
    }
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(format: TimeFormat, bounds: Bounds, granularity: u64) -> Window {
        Window {
            params: [].into(),
            format,
            bounds,
            granularity: Duration::from_millis(granularity),
            filtered: false,
        }
    }

    #[test]
    fn the_coarser_of_format_and_granularity_is_the_step() {
        let step = |format, granularity| {
            window(format, Bounds::HalfOpen, granularity).step().map(|step| step.as_secs())
        };
        let pattern = |text: &str| TimeFormat::Strftime(text.to_owned());
        assert_eq!(step(TimeFormat::EpochMs, 1), Some(1), "no part of a second is a chunk");
        assert_eq!(step(TimeFormat::EpochS, 0), Some(1));
        assert_eq!(step(TimeFormat::Iso8601, 900_000), Some(900));
        assert_eq!(step(TimeFormat::Iso8601, 86_400_000), None);
        assert_eq!(step(TimeFormat::Date, 0), None);
        assert_eq!(step(pattern("%d/%m/%Y"), 0), None);
        assert_eq!(step(pattern("%d/%m/%Y %H:%M"), 1_000), Some(60));
        assert_eq!(step(pattern("%d/%m/%Y %H:%M"), 90_000), Some(180), "a whole number of both");
        assert_eq!(step(pattern("%Y%m%d%H"), 1_000), Some(3600));
        assert_eq!(step(pattern("%Y-%m-%dT%TZ"), 1_000), Some(1));
        assert_eq!(step(pattern("%s"), 1_000), Some(1));
    }

    #[test]
    fn no_cut_is_written_as_a_time_that_comes_twice() {
        let zone = chrono_tz::Europe::Berlin;
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let meets = |pattern: &str, bounds, time: &str| {
            window(TimeFormat::Strftime(pattern.to_owned()), bounds, 1_000).can_meet_at(at(time), zone)
        };
        let (local, offset, utc) = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ");
        for twice in ["2025-10-26T00:00:00Z", "2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"] {
            assert!(!meets(local, Bounds::HalfOpen, twice), "{twice}");
            assert!(meets(offset, Bounds::HalfOpen, twice) && meets(utc, Bounds::HalfOpen, twice), "{twice}");
        }
        let after = "2025-10-26T02:00:00Z";
        assert!(meets(local, Bounds::HalfOpen, after));
        assert!(!meets(local, Bounds::Closed, after), "its last second before comes twice");
        assert!(!meets(local, Bounds::Unknown, "2025-10-25T23:59:59Z"));
        assert!(window(TimeFormat::EpochS, Bounds::Closed, 1_000).can_meet_at(at(after), zone));
        assert!(meets(local, Bounds::Unknown, "2025-10-26T12:00:00Z"));
    }
}
