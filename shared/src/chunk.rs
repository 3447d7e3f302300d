//! Ids, ranges and states of chunks. Pure: no clock, no I/O.
//!
//! A chunk is one source x one half-open range. Its identity is that range: whole days in the source's
//! time zone (`2025-08-01_2025-08-04`), or below a day UTC instants (`20250801t063000z_20250801t123000z`).

use std::{fmt, str::FromStr};

use chrono::{DateTime, Days, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

mod inclusive;
mod partition;

/// What is wrong with a text that should be an id or a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// An id of a run, source or worker with a character that no object key may hold.
    #[error("`{0}` is not a valid id: 1 to 100 characters of a-z, 0-9, `_` and `-`")]
    Name(String),
    /// A chunk id that is no half-open range.
    #[error("`{0}` is not a chunk range such as 2025-08-01_2025-08-04")]
    Range(String),
    /// A text that names no source, run and range.
    #[error("`{0}` is not a chunk such as buyer_orders/20251123-040312-k3f9/2025-08-01_2025-08-04")]
    Chunk(String),
}

/// True for what may be a part of an object key: 1 to 100 characters of `[a-z0-9_-]`.
fn valid_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if valid_name(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Name(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                if valid_name(&text) { Ok(Self(text)) } else { Err(IdError::Name(text)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type!(
    /// A source's name, as its YAML file is called: `buyer_orders`.
    SourceId
);
name_type!(
    /// A run's name: `20251123-040312-k3f9`.
    RunId
);
name_type!(
    /// One claim loop of one worker process; unique per process start.
    WorkerId
);

impl WorkerId {
    /// The name under which the coordinator writes outcomes of its own; no claim loop has it.
    pub fn coordinator() -> Self {
        Self("coordinator".to_owned())
    }
}

/// Which of a chunk's outcomes is meant: 1 for the first, one more for each voided one.
pub type Generation = u32;

/// A half-open range of time, as a chunk's identity holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChunkRange {
    /// Whole calendar days of the source's zone: the first, and the first one after the last.
    Days {
        /// First day.
        start: NaiveDate,
        /// First day that does not belong.
        end: NaiveDate,
    },
    /// Below a day: UTC instants in whole seconds.
    Instants {
        /// First instant.
        start: DateTime<Utc>,
        /// First instant that does not belong.
        end: DateTime<Utc>,
    },
}

const DAY_FORMAT: &str = "%Y-%m-%d";
const INSTANT_FORMAT: &str = "%Y%m%dt%H%M%Sz";
/// When a day starts for the order of ranges: 10:30 UTC, in seconds.
const DAY_FROM: i64 = 37_800;

impl ChunkRange {
    /// The whole days from `start` to the one before `end`; `None` when that is no day at all.
    pub fn days(start: NaiveDate, end: NaiveDate) -> Option<Self> {
        (start < end).then_some(Self::Days { start, end })
    }

    /// The resolved instants `[start, end)` in the source's zone.
    pub fn instants(&self, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        match *self {
            Self::Days { start, end } => (start_of_day(start, zone), start_of_day(end, zone)),
            Self::Instants { start, end } => (start, end),
        }
    }

    /// The calendar days of `zone` that the range touches: first, and first after the last.
    pub fn touched_days(&self, zone: Tz) -> (NaiveDate, NaiveDate) {
        match *self {
            Self::Days { start, end } => (start, end),
            Self::Instants { start, end } => {
                let last = (end - Duration::seconds(1)).with_timezone(&zone).date_naive();
                (start.with_timezone(&zone).date_naive(), last + Days::new(1))
            }
        }
    }

    /// Two ranges of whole days that touch and cover it; `None` for what has no two days, see [`Self::cut`].
    pub fn halves(&self) -> Option<[Self; 2]> {
        let Self::Days { start, end } = *self else { return None };
        let days = u64::try_from((end - start).num_days()).ok().filter(|days| *days > 1)?;
        let middle = start + Days::new(days.div_ceil(2));
        Some([Self::Days { start, end: middle }, Self::Days { start: middle, end }])
    }

    /// Two ranges of instants that touch and cover a day, or a part of one. They meet a whole number of `step`s (of
    /// whole seconds) after its start, as near to its middle as an instant `fits`; `None` when none does.
    pub fn cut(&self, zone: Tz, step: Duration, fits: impl Fn(DateTime<Utc>) -> bool) -> Option<[Self; 2]> {
        let (start, end) = self.instants(zone);
        let step = step.num_seconds().max(1);
        // a cut behind the last step leaves a second half that is shorter than one
        let cuts = ((end - start).num_seconds() - 1).div_euclid(step);
        let at = |steps: i64| start + Duration::seconds(steps * step);
        let middle = (cuts + 1) / 2;
        let outwards = (0..cuts).flat_map(|away| [middle - away, middle + 1 + away]);
        let cut = outwards.filter(|steps| (1..=cuts).contains(steps)).map(at).find(|at| fits(*at))?;
        Some([Self::Instants { start, end: cut }, Self::Instants { start: cut, end }])
    }

    /// Where the range stands among others of its source, by its start. Days are counted from an hour at which their
    /// parts stand between the days beside them in all zones from UTC-10:30 to UTC+13:30.
    pub fn order(&self) -> i64 {
        match *self {
            Self::Days { start, .. } => start.and_time(NaiveTime::MIN).and_utc().timestamp() + DAY_FROM,
            Self::Instants { start, .. } => start.timestamp(),
        }
    }
}

impl fmt::Display for ChunkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days { start, end } => write!(f, "{}_{}", start.format(DAY_FORMAT), end.format(DAY_FORMAT)),
            Self::Instants { start, end } => {
                write!(f, "{}_{}", start.format(INSTANT_FORMAT), end.format(INSTANT_FORMAT))
            }
        }
    }
}

impl FromStr for ChunkRange {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let (start, end) = text.split_once('_')?;
            let range = if start.contains('-') {
                let day = |t| NaiveDate::parse_from_str(t, DAY_FORMAT).ok();
                Self::Days { start: day(start)?, end: day(end)? }
            } else {
                let instant = |t| NaiveDateTime::parse_from_str(t, INSTANT_FORMAT).ok().map(|t| t.and_utc());
                Self::Instants { start: instant(start)?, end: instant(end)? }
            };
            let forward = match range {
                Self::Days { start, end } => start < end,
                Self::Instants { start, end } => start < end,
            };
            // one text per range: what is not written as we write it is another chunk, or none
            (forward && range.to_string() == text).then_some(range)
        };
        parse().ok_or_else(|| IdError::Range(text.to_owned()))
    }
}

impl TryFrom<String> for ChunkRange {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ChunkRange> for String {
    fn from(range: ChunkRange) -> Self {
        range.to_string()
    }
}

/// The first instant of a calendar day in a zone: midnight, or the end of the gap where a clock change skips it.
pub fn start_of_day(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let mut wall = day.and_time(NaiveTime::MIN);
    loop {
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(t) => return t.to_utc(),
            LocalResult::Ambiguous(earlier, _) => return earlier.to_utc(),
            // no clock change is finer than a minute in any zone that counts days today
            LocalResult::None => wall += Duration::minutes(1),
        }
    }
}

/// One chunk of one run: what a queue entry, an artifact and a marker are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// The source it is extracted from.
    pub source: SourceId,
    /// The run that asked for it.
    pub run: RunId,
    /// Its identity.
    pub range: ChunkRange,
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.source, self.run, self.range)
    }
}

impl FromStr for Chunk {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.splitn(3, '/');
        let (Some(source), Some(run), Some(range)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(IdError::Chunk(text.to_owned()));
        };
        Ok(Self { source: source.parse()?, run: run.parse()?, range: range.parse()? })
    }
}

/// Where a chunk stands in the queue. "Loaded" is none of these: it lives in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkState {
    /// May be claimed.
    Available,
    /// Leased to a worker.
    Running,
    /// Failed; waits out its back-off.
    Retryable,
    /// A `committed` marker stands.
    Completed,
    /// A `split` marker stands.
    Split,
    /// A `discarded` marker stands (dead letter).
    Discarded,
    /// Its run was cancelled before it ended.
    Cancelled,
}

/// How many chunks of one source are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionMode {
    /// Up to the parallel workers of the run and the width of the source.
    Parallel,
    /// One, in the order of the dates.
    Sequential,
}

impl fmt::Display for ExecutionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
        })
    }
}

/// What a load does to the rows that its target holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadMode {
    /// Adds rows; with a key, rows that are there already are skipped.
    Append,
    /// Replaces the whole table once all chunks are in.
    Replace,
    /// Replaces the rows of each chunk's own range.
    ReplaceRange,
}

impl fmt::Display for UploadMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::ReplaceRange => "replace_range",
        })
    }
}

/// Which kind of worker extracts a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Over HTTP.
    Api,
    /// Through a headless browser.
    Browser,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Api => "api",
            Self::Browser => "browser",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        NaiveDate::parse_from_str(text, DAY_FORMAT).unwrap()
    }

    #[test]
    fn a_range_has_one_text() {
        for text in ["2025-08-01_2025-08-04", "20250801t063000z_20250801t123000z"] {
            assert_eq!(text.parse::<ChunkRange>().unwrap().to_string(), text);
        }
        for text in
            ["2025-8-1_2025-08-04", "2025-08-04_2025-08-04", "2025-08-04_2025-08-01", "x", "", "2025-08-01"]
        {
            assert!(text.parse::<ChunkRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn halves_touch_and_cover_down_to_a_day() {
        let halves = |text: &str| {
            text.parse::<ChunkRange>().unwrap().halves().map(|halves| halves.map(|half| half.to_string()))
        };
        assert_eq!(
            halves("2025-08-01_2025-08-04").unwrap(),
            ["2025-08-01_2025-08-03", "2025-08-03_2025-08-04"]
        );
        assert_eq!(
            halves("2025-08-01_2025-08-03").unwrap(),
            ["2025-08-01_2025-08-02", "2025-08-02_2025-08-03"]
        );
        assert_eq!(halves("2025-08-01_2025-08-02"), None);
        assert_eq!(halves("20250801t063000z_20250801t123000z"), None);
    }

    #[test]
    fn parts_of_a_day_touch_and_cover_it_and_meet_on_whole_steps() {
        let cut = |text: &str, zone, minutes| {
            let step = Duration::minutes(minutes);
            text.parse::<ChunkRange>()
                .unwrap()
                .cut(zone, step, |_| true)
                .map(|cut| cut.map(|half| half.to_string()))
        };
        let (kolkata, berlin) = (chrono_tz::Asia::Kolkata, chrono_tz::Europe::Berlin);
        assert_eq!(
            cut("2025-08-01_2025-08-02", kolkata, 1).unwrap(),
            ["20250731t183000z_20250801t063000z", "20250801t063000z_20250801t183000z"]
        );
        // 23 hours have no middle on a whole hour
        assert_eq!(
            cut("2025-03-30_2025-03-31", berlin, 60).unwrap(),
            ["20250329t230000z_20250330t100000z", "20250330t100000z_20250330t220000z"]
        );
        assert_eq!(cut("20250801t063000z_20250801t073000z", kolkata, 60), None);
        assert_eq!(cut("20250801t063000z_20250801t063001z", kolkata, 0), None, "a second is the least");
        assert_eq!(
            cut("20250801t063000z_20250801t073001z", kolkata, 60).unwrap()[1],
            "20250801t073000z_20250801t073001z",
            "what is no whole step is a half as well"
        );
    }

    #[test]
    fn parts_of_a_day_stand_between_the_days_beside_it() {
        for zone in [chrono_tz::Pacific::Honolulu, chrono_tz::America::New_York, chrono_tz::Pacific::Auckland]
        {
            let [before, of, after] =
                ["2025-08-01_2025-08-02", "2025-08-02_2025-08-03", "2025-08-03_2025-08-04"]
                    .map(|text| text.parse::<ChunkRange>().unwrap());
            let mut part = of;
            for last in [false, true] {
                while let Some([first, second]) = part.cut(zone, Duration::hours(1), |_| true) {
                    part = if last { second } else { first };
                    assert!((before.order()..after.order()).contains(&part.order()), "{part} {zone}");
                }
                part = of;
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_day_is_cut_into_parts_that_are_the_day(
            offset in 0i32..800, zone in 0usize..5, step in 1i64..5_000, seed: u64,
        ) {
            use chrono_tz::{America::Sao_Paulo, Asia::Kolkata, Australia::Lord_Howe, Europe::Berlin, UTC};
            let zone = [Berlin, Kolkata, Lord_Howe, Sao_Paulo, UTC][zone];
            let first = day("2017-01-01") + Days::new(offset.unsigned_abs().into());
            let whole = ChunkRange::days(first, first + Days::new(1)).unwrap();
            let (mut open, mut parts) = (vec![whole], Vec::new());
            while let Some(range) = open.pop() {
                // an arbitrary half of all instants
                let fits = |at: DateTime<Utc>| (at.timestamp().unsigned_abs() ^ seed) % 7 < 4;
                match range.cut(zone, Duration::seconds(step), fits) {
                    Some([first, second]) if parts.len() + open.len() < 200 => open.extend([second, first]),
                    _ => parts.push(range),
                }
            }
            let mut next = whole.instants(zone).0;
            for part in &parts {
                let (start, end) = part.instants(zone);
                proptest::prop_assert_eq!(start, next);
                proptest::prop_assert!(end > start);
                proptest::prop_assert_eq!(part.to_string().parse::<ChunkRange>().unwrap(), *part);
                next = end;
            }
            proptest::prop_assert_eq!(next, whole.instants(zone).1);
        }
    }

    #[test]
    fn a_day_is_a_calendar_day_of_its_zone() {
        let hours = |text: &str, zone: Tz| {
            let (start, end) = ChunkRange::days(day(text), day(text) + Days::new(1)).unwrap().instants(zone);
            (end - start).num_hours()
        };
        assert_eq!(hours("2025-08-01", chrono_tz::Asia::Kolkata), 24);
        assert_eq!(hours("2025-03-30", chrono_tz::Europe::Berlin), 23);
        assert_eq!(hours("2025-10-26", chrono_tz::Europe::Berlin), 25);
        // midnight itself is skipped: the day starts at 01:00
        let start = start_of_day(day("2018-11-04"), chrono_tz::America::Sao_Paulo);
        assert_eq!(start.to_rfc3339(), "2018-11-04T03:00:00+00:00");
    }

    #[test]
    fn names_stay_inside_their_folder() {
        for bad in ["", "..", "a/b", "A", "ä", "a b", &"x".repeat(101)] {
            assert!(bad.parse::<SourceId>().is_err(), "{bad}");
        }
        assert!("buyer_orders-2".parse::<SourceId>().is_ok());
    }
}
