//! How rows lie over days: found in O(log n) of a day, so a page costs what it holds and no more.

use std::ops::Range;

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

/// Milliseconds in a day of the marketplace, whose zone knows no clock changes.
pub(crate) const DAY_MS: i64 = 86_400_000;
const LAST_SECOND_MS: i64 = DAY_MS - 1000;
/// Asia/Kolkata.
const OFFSET_S: i32 = 19_800;

/// Local midnight in milliseconds since 1970.
pub(crate) fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_millis() - i64::from(OFFSET_S) * 1000
}

/// The local day of an instant in milliseconds since 1970.
pub(crate) fn day_of(millis: i64) -> Option<NaiveDate> {
    Some(local(millis)?.date_naive())
}

/// An instant as local time with its offset.
pub(crate) fn local(millis: i64) -> Option<DateTime<FixedOffset>> {
    let zone = FixedOffset::east_opt(OFFSET_S)?;
    zone.timestamp_millis_opt(millis).single()
}

/// A local time without offset in milliseconds since 1970.
pub(crate) fn from_local(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_millis() - i64::from(OFFSET_S) * 1000
}

/// Where row `index` of `count` lies in its day: the first at 00:00:00, the last within 23:59:59, in order.
/// `fine` puts the last one at .999, and the one before it at 23:59:59 sharp.
pub(crate) fn millis_of_day(index: u64, count: u64, fine: bool) -> i64 {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (index, mut last) = (signed(index), signed(count) - 1);
    if fine && count > 2 {
        if index == last {
            return DAY_MS - 1;
        }
        last -= 1;
    }
    let millis = if last < 1 { 0 } else { index.min(last) * LAST_SECOND_MS / last };
    if fine { millis } else { millis / 1000 * 1000 }
}

/// Rows by day, each day's in order of time.
pub(crate) trait Shelf {
    /// Rows of a day.
    fn count(&self, day: NaiveDate) -> u64;
    /// Milliseconds of the day at which a row lies; never falls from one index to the next.
    fn millis(&self, day: NaiveDate, index: u64) -> i64;

    /// The rows in `[start, end)` milliseconds since 1970; `None` for more than 100 years.
    fn slice(&self, range: Range<i64>) -> Option<Slice> {
        let mut parts = vec![];
        let mut total = 0;
        if range.start < range.end {
            let (first, last) = (day_of(range.start)?, day_of(range.end - 1)?);
            if last.signed_duration_since(first).num_days() > 36_525 {
                return None;
            }
            for day in first.iter_days().take_while(|day| *day <= last) {
                let count = self.count(day);
                let below = |bound: i64| self.below(day, count, bound.saturating_sub(midnight(day)));
                let part = below(range.start)..below(range.end);
                total += part.end - part.start;
                if part.start < part.end {
                    parts.push((day, part));
                }
            }
        }
        Some(Slice { parts, total })
    }

    /// How many rows of a day lie before a millisecond of it.
    fn below(&self, day: NaiveDate, count: u64, millis: i64) -> u64 {
        if millis <= 0 {
            return 0;
        }
        if millis >= DAY_MS {
            return count;
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.millis(day, middle) < millis { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The rows of a window: parts of days.
#[derive(Default)]
pub(crate) struct Slice {
    parts: Vec<(NaiveDate, Range<u64>)>,
    /// Rows in all.
    pub(crate) total: u64,
}

impl Slice {
    /// Keeps the first `records` alone.
    pub(crate) fn cut_off(&mut self, records: u64) {
        let mut left = records;
        for (_, part) in &mut self.parts {
            part.end = part.end.min(part.start + left);
            left -= part.end - part.start;
        }
        self.total = self.total.min(records);
    }

    /// Day and index of up to `limit` rows after `offset`.
    pub(crate) fn page(&self, mut offset: u64, limit: u64) -> Vec<(NaiveDate, u64)> {
        let mut left = limit;
        let mut rows = vec![];
        for (day, part) in &self.parts {
            let here = part.end - part.start;
            if offset >= here {
                offset -= here;
                continue;
            }
            let take = left.min(here - offset);
            rows.extend((part.start + offset..part.start + offset + take).map(|index| (*day, index)));
            (offset, left) = (0, left - take);
            if left == 0 {
                break;
            }
        }
        rows
    }
}

/// The days from the first to the last, both included.
pub(crate) fn days(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    std::iter::successors(Some(first), |day| day.checked_add_days(Days::new(1)))
        .take_while(move |day| *day <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Even(u64, bool);
    impl Shelf for Even {
        fn count(&self, _: NaiveDate) -> u64 {
            self.0
        }
        fn millis(&self, _: NaiveDate, index: u64) -> i64 {
            millis_of_day(index, self.0, self.1)
        }
    }

    #[test]
    fn a_day_has_rows_at_both_ends() {
        for (count, fine) in [(1, true), (2, true), (3, true), (5, false), (100_000, true), (200_000, false)]
        {
            let times: Vec<i64> = (0..count).map(|n| millis_of_day(n, count, fine)).collect();
            assert!(times.is_sorted() && times[0] == 0, "{count}");
            if count > 2 {
                assert!(times.contains(&LAST_SECOND_MS), "{count}");
                assert_eq!(*times.last().unwrap() == DAY_MS - 1, fine);
            }
        }
    }

    #[test]
    fn slices_of_a_window_make_the_whole() {
        let day = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        let shelf = Even(1000, true);
        let start = midnight(day);
        let whole = shelf.slice(start..start + 3 * DAY_MS).unwrap();
        assert_eq!(whole.total, 3000);
        let cuts =
            [start, start + 1, start + 43_200_000, start + DAY_MS - 1, start + DAY_MS, start + 3 * DAY_MS];
        let parts: u64 = cuts.windows(2).map(|cut| shelf.slice(cut[0]..cut[1]).unwrap().total).sum();
        assert_eq!(parts, 3000);
        let mut paged = vec![];
        while let page = whole.page(paged.len() as u64, 77)
            && !page.is_empty()
        {
            paged.extend(page);
        }
        assert_eq!(paged, whole.page(0, 5000));
        let mut cut = shelf.slice(start..start + 3 * DAY_MS).unwrap();
        cut.cut_off(1500);
        assert_eq!((cut.total, cut.page(0, 5000)), (1500, whole.page(0, 1500)));
        assert!(shelf.slice(0..i64::MAX).is_none());
        assert_eq!(shelf.slice(5..5).unwrap().total, 0);
    }
}
