//! Local times of the source's zone -> instants. Pure.
//!
//! Asking the zone costs more than all the rest of a row, so the offset of each plain day is remembered.

use chrono::{
    DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use nstore_shared::{contract::Ambiguous, storage::marker::ChunkWarning};

use super::time::{DAY, EPOCH_DAY, SECOND, TimeFault};

/// Days remembered: a chunk rarely has more.
const REMEMBERED: i32 = 64;

/// A zone with a memory.
pub(super) struct LocalZone {
    /// The zone itself.
    pub(super) zone: Tz,
    /// Which instant a time means that a clock change repeats.
    ambiguous: Ambiguous,
    /// Times so far that a clock change repeats, and one of them.
    repeated: Option<(u64, NaiveDateTime)>,
    /// Day, counted from the year 1, and the offset that holds all day long, in seconds east.
    days: Vec<(i32, i32)>,
}

impl LocalZone {
    /// Remembers nothing yet.
    pub(super) fn new(zone: Tz, ambiguous: Ambiguous) -> Self {
        Self { zone, ambiguous, repeated: None, days: vec![(i32::MIN, 0); REMEMBERED as usize] }
    }

    /// The instant that a local time means, both in microseconds since 1970.
    ///
    /// # Errors
    /// When a clock change skips it, or repeats it and none is to be taken.
    pub(super) fn instant(&mut self, local: i64) -> Result<i64, TimeFault> {
        let day = i32::try_from(local.div_euclid(DAY) + EPOCH_DAY).map_err(|_| TimeFault::Reach)?;
        let place = usize::try_from(day.rem_euclid(REMEMBERED)).map_err(|_| TimeFault::Reach)?;
        if self.days[place].0 != day {
            match self.steady(day) {
                Some(offset) => self.days[place] = (day, offset),
                None => return self.asked(local),
            }
        }
        Ok(local - i64::from(self.days[place].1) * SECOND)
    }

    /// Times so far that a clock change repeats, as a warning.
    pub(super) fn warning(&self) -> Option<ChunkWarning> {
        let (times, example) = self.repeated?;
        let taken = match self.ambiguous {
            Ambiguous::First => "first",
            Ambiguous::Last => "last",
            // the rows are rejected, and say so
            Ambiguous::Reject => return None,
        };
        let example = format!("{example} in {}", self.zone);
        Some(ChunkWarning::RepeatedTimes { times, taken: taken.to_owned(), example })
    }

    /// The offset of a day without a clock change: both its ends have the same one, and each only one.
    fn steady(&self, day: i32) -> Option<i32> {
        let day = NaiveDate::from_num_days_from_ce_opt(day)?;
        let offset = |day: NaiveDate| {
            let midnight = self.zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).single()?;
            Some(midnight.offset().fix().local_minus_utc())
        };
        let first = offset(day)?;
        (offset(day.checked_add_days(Days::new(1))?)? == first).then_some(first)
    }

    fn asked(&mut self, local: i64) -> Result<i64, TimeFault> {
        let wall = DateTime::<Utc>::from_timestamp_micros(local).ok_or(TimeFault::Reach)?.naive_utc();
        let (first, last) = match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(time) => return Ok(time.timestamp_micros()),
            LocalResult::Ambiguous(first, last) => (first, last),
            LocalResult::None => return Err(TimeFault::Gap),
        };
        self.repeated.get_or_insert((0, wall)).0 += 1;
        match self.ambiguous {
            Ambiguous::First => Ok(first.timestamp_micros()),
            Ambiguous::Last => Ok(last.timestamp_micros()),
            Ambiguous::Reject => Err(TimeFault::Repeated),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_remembered_day_is_as_good_as_an_asked_one() {
        for zone in
            [chrono_tz::Europe::Berlin, chrono_tz::America::Sao_Paulo, chrono_tz::Australia::Lord_Howe]
        {
            let mut memory = LocalZone::new(zone, Ambiguous::First);
            // two and a half years in steps of 17 minutes, over every clock change
            for step in 0..80_000 {
                let local = (1_514_764_800 + step * 1_020) * SECOND;
                assert_eq!(memory.instant(local), memory.asked(local), "{zone} {local}");
            }
        }
    }

    #[test]
    fn of_a_repeated_hour_the_pass_is_taken_that_is_asked_for() {
        // 2025-10-26 02:30 is 00:30 UTC and 01:30 UTC
        let local = 1_761_445_800 * SECOND;
        for (ambiguous, instant, taken) in [
            (Ambiguous::First, Ok(local - 7_200 * SECOND), Some("first")),
            (Ambiguous::Last, Ok(local - 3_600 * SECOND), Some("last")),
            (Ambiguous::Reject, Err(TimeFault::Repeated), None),
        ] {
            let mut zone = LocalZone::new(chrono_tz::Europe::Berlin, ambiguous);
            assert_eq!(zone.instant(local - DAY), Ok(local - DAY - 7_200 * SECOND));
            assert_eq!(zone.warning(), None);
            assert_eq!((zone.instant(local), zone.instant(local)), (instant, instant));
            let warning = taken.map(|taken| ChunkWarning::RepeatedTimes {
                times: 2,
                taken: taken.to_owned(),
                example: "2025-10-26 02:30:00 in Europe/Berlin".to_owned(),
            });
            assert_eq!(zone.warning(), warning);
        }
    }

    proptest! {
        #[test]
        fn at_any_time(seconds in -62_135_596_800_i64..253_402_300_800) {
            let mut memory = LocalZone::new(chrono_tz::Asia::Kolkata, Ambiguous::First);
            let local = seconds * SECOND;
            prop_assert_eq!(memory.instant(local), memory.asked(local));
        }
    }
}
