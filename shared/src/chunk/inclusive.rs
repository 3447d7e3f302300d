//! Ranges as people read and name them: both ends included. Pure.

use chrono::{Days, Duration, NaiveDate, NaiveDateTime};

use super::{Chunk, ChunkRange, DAY_FORMAT, IdError};

/// How people read an instant.
const INCLUSIVE_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

impl ChunkRange {
    /// The range as people read it, both ends included: `2025-08-01..2025-08-03`; below a day by instants of UTC.
    pub fn inclusive(&self) -> String {
        match *self {
            Self::Days { start, end } => {
                format!("{}..{}", start.format(DAY_FORMAT), (end - Days::new(1)).format(DAY_FORMAT))
            }
            Self::Instants { start, end } => {
                let (start, last) = (start, end - Duration::seconds(1));
                format!("{}..{}", start.format(INCLUSIVE_FORMAT), last.format(INCLUSIVE_FORMAT))
            }
        }
    }

    /// Reads a range as [`Self::inclusive`] writes it, or one day alone; `None` for any other text.
    pub fn from_inclusive(text: &str) -> Option<Self> {
        let (start, last) = text.split_once("..").unwrap_or((text, text));
        let day = |text| NaiveDate::parse_from_str(text, DAY_FORMAT).ok();
        if let (Some(start), Some(last)) = (day(start), day(last)) {
            return Self::days(start, last.checked_add_days(Days::new(1))?);
        }
        let instant = |text| Some(NaiveDateTime::parse_from_str(text, INCLUSIVE_FORMAT).ok()?.and_utc());
        let (start, end) = (instant(start)?, instant(last)?.checked_add_signed(Duration::seconds(1))?);
        (start < end).then_some(Self::Instants { start, end })
    }

    /// The range of two that touch, this one first.
    pub fn joined(&self, next: &Self) -> Option<Self> {
        match (*self, *next) {
            (Self::Days { start, end }, Self::Days { start: next, end: last }) if end == next => {
                Some(Self::Days { start, end: last })
            }
            (Self::Instants { start, end }, Self::Instants { start: next, end: last }) if end == next => {
                Some(Self::Instants { start, end: last })
            }
            _ => None,
        }
    }
}

impl Chunk {
    /// The chunk as people read it, its range with both ends included: `source/run/2025-08-01..2025-08-03`.
    pub fn inclusive(&self) -> String {
        format!("{}/{}/{}", self.source, self.run, self.range.inclusive())
    }

    /// Reads a chunk as people name it: by its id, or with both ends of its range included.
    ///
    /// # Errors
    /// When it is neither.
    pub fn named(text: &str) -> Result<Self, IdError> {
        let inclusive = || {
            let (rest, range) = text.rsplit_once('/')?;
            let (source, run) = rest.split_once('/')?;
            let range = ChunkRange::from_inclusive(range)?;
            Some(Self { source: source.parse().ok()?, run: run.parse().ok()?, range })
        };
        text.parse().or_else(|error| inclusive().ok_or(error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ends_are_included() {
        for (id, read) in [
            ("2025-08-01_2025-08-04", "2025-08-01..2025-08-03"),
            ("2025-12-31_2026-01-01", "2025-12-31..2025-12-31"),
            ("20250801t000000z_20250801t120000z", "2025-08-01T00:00:00Z..2025-08-01T11:59:59Z"),
        ] {
            let range: ChunkRange = id.parse().unwrap();
            assert_eq!(range.inclusive(), read);
            assert_eq!(ChunkRange::from_inclusive(read), Some(range));
        }
        let day = ChunkRange::from_inclusive("2025-08-01").unwrap();
        assert_eq!(day.to_string(), "2025-08-01_2025-08-02");
        for wrong in
            ["", "..", "2025-08-03..2025-08-01", "2025-08-01..", "2025-02-30", "2025-08-01...2025-08-02"]
        {
            assert_eq!(ChunkRange::from_inclusive(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_chunk_is_named_by_its_id_or_by_both_ends() {
        let chunk: Chunk = "a/r1/2025-08-01_2025-08-04".parse().unwrap();
        assert_eq!(Chunk::named("a/r1/2025-08-01_2025-08-04").unwrap(), chunk);
        assert_eq!(Chunk::named(&chunk.inclusive()).unwrap(), chunk);
        assert_eq!(chunk.inclusive(), "a/r1/2025-08-01..2025-08-03");
        for wrong in ["a/r1", "a/r1/x", "a/2025-08-01", "A/r1/2025-08-01..2025-08-03"] {
            assert!(Chunk::named(wrong).is_err(), "{wrong}");
        }
        assert!("a/r1/2025-08-01..2025-08-03".parse::<Chunk>().is_err(), "ids have one text");
    }

    proptest! {
        #[test]
        fn what_people_read_names_the_same_range(from in 0_u64..40_000, days in 1_u64..400, seconds in 1_i64..90_000) {
            let start = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + Days::new(from);
            let whole = ChunkRange::days(start, start + Days::new(days)).unwrap();
            prop_assert_eq!(ChunkRange::from_inclusive(&whole.inclusive()), Some(whole));
            let at = start.and_hms_opt(3, 4, 5).unwrap().and_utc();
            let part = ChunkRange::Instants { start: at, end: at + Duration::seconds(seconds) };
            prop_assert_eq!(ChunkRange::from_inclusive(&part.inclusive()), Some(part));
            let [first, second] = ChunkRange::days(start, start + Days::new(days + 1)).unwrap().halves().unwrap();
            prop_assert_eq!(first.joined(&second), ChunkRange::days(start, start + Days::new(days + 1)));
            prop_assert_eq!(second.joined(&first), None);
        }
    }
}
