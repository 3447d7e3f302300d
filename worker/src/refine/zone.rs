//! Local times of the source's zone -> instants. Pure.
//!
//! Asking the zone costs more than all the rest of a row, so the offset of each plain day is remembered.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::time::{DAY, EPOCH_DAY, SECOND};

/// Days remembered: a chunk rarely has more.
const REMEMBERED: i32 = 64;

/// A zone with a memory.
pub(super) struct LocalZone {
    /// The zone itself.
    pub(super) zone: Tz,
    /// Day, counted from the year 1, and the offset that holds all day long, in seconds east.
    days: Vec<(i32, i32)>,
}

impl LocalZone {
    /// Remembers nothing yet.
    pub(super) fn new(zone: Tz) -> Self {
        Self { zone, days: vec![(i32::MIN, 0); REMEMBERED as usize] }
    }

    /// The instant that a local time means, both in microseconds since 1970: of two the earlier, of none nothing.
    pub(super) fn instant(&mut self, local: i64) -> Option<i64> {
        let day = i32::try_from(local.div_euclid(DAY) + EPOCH_DAY).ok()?;
        let place = usize::try_from(day.rem_euclid(REMEMBERED)).ok()?;
        if self.days[place].0 != day {
            match self.steady(day) {
                Some(offset) => self.days[place] = (day, offset),
                None => return self.asked(local),
            }
        }
        Some(local - i64::from(self.days[place].1) * SECOND)
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

    fn asked(&self, local: i64) -> Option<i64> {
        let wall = DateTime::<Utc>::from_timestamp_micros(local)?.naive_utc();
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.timestamp_micros()),
            LocalResult::None => None,
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
            let mut memory = LocalZone::new(zone);
            // two and a half years in steps of 17 minutes, over every clock change
            for step in 0..80_000 {
                let local = (1_514_764_800 + step * 1_020) * SECOND;
                assert_eq!(memory.instant(local), memory.asked(local), "{zone} {local}");
            }
        }
    }

    proptest! {
        #[test]
        fn at_any_time(seconds in -62_135_596_800_i64..253_402_300_800) {
            let mut memory = LocalZone::new(chrono_tz::Asia::Kolkata);
            let local = seconds * SECOND;
            prop_assert_eq!(memory.instant(local), memory.asked(local));
        }
    }
}
