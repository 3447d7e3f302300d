//! Whether two ranges are the halves of one, for documents that say so. Pure.

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};

use super::ChunkRange;

/// The clocks of all zones are between twelve hours behind UTC and fourteen ahead; some were a little further off.
const MAX_OFFSET_HOURS: i64 = 16;
/// The clock of a zone changes by less within a day.
const MAX_SHIFT_HOURS: i64 = 3;

impl ChunkRange {
    /// Whether the ranges touch and cover this one, each of them being shorter. The zone is not known here: parts of a
    /// day are its halves if there can be a zone in which they are.
    pub fn is_halved_by(&self, [first, second]: &[Self; 2]) -> bool {
        let Some(both) = first.joined(second) else { return false };
        match (*self, both) {
            (Self::Days { start, end }, Self::Instants { start: from, end: to }) => {
                let (offset, other) = (from - midnight(start), to - midnight(end));
                (end - start).num_days() == 1
                    && offset.abs() <= Duration::hours(MAX_OFFSET_HOURS)
                    && (offset - other).abs() <= Duration::hours(MAX_SHIFT_HOURS)
            }
            (whole, both) => whole == both,
        }
    }
}

/// The start of a day in UTC.
fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> ChunkRange {
        text.parse().unwrap()
    }

    #[test]
    fn halves_are_a_proper_partition_or_none() {
        let (two, first, second) =
            ("2025-08-01_2025-08-03", "2025-08-01_2025-08-02", "2025-08-02_2025-08-03");
        let is = |whole: &str, one: &str, other: &str| range(whole).is_halved_by(&[range(one), range(other)]);
        assert!(is(two, first, second));
        for (one, other) in [(two, two), (first, first), (second, first), (first, two), (two, second)] {
            assert!(!is(two, one, other), "{one} {other}");
        }
        assert!(!is(first, first, first));
        assert!(!is("2025-08-01_2025-08-04", first, second), "a day is missing");
        let (night, day) = ("20250731t183000z_20250801t063000z", "20250801t063000z_20250801t183000z");
        assert!(is(first, night, day), "a day of India");
        assert!(!is(two, night, day) && !is(second, night, day), "of another day, or of two");
        assert!(!is(first, night, night));
        assert!(!is(first, night, "20250801t063000z_20250801t123000z"), "hours are missing");
    }

    proptest! {
        #[test]
        fn what_is_cut_is_halved(day in 0_u64..20_000, zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())) {
            let start = NaiveDate::from_ymd_opt(1980, 1, 1).unwrap() + chrono::Days::new(day);
            let whole = ChunkRange::days(start, start + chrono::Days::new(1)).unwrap();
            let mut open = vec![whole];
            for _ in 0..4 {
                let next = open.pop().unwrap();
                let Some(halves) = next.cut(zone, Duration::seconds(1), |_| true) else { break };
                prop_assert!(next.is_halved_by(&halves), "{} {} in {}", halves[0], halves[1], zone);
                open.extend(halves);
            }
        }
    }
}
