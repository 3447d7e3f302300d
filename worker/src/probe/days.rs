//! On which days a source is asked. Pure.

use chrono::{Days, NaiveDate};
use nstore_shared::chunk::Kind;

/// How far back data is looked for.
const SEARCHED_DAYS: u64 = 30;
/// Ranges that an API is asked for after yesterday, at most.
const API_RANGES: usize = 4;
/// The same of a dashboard: each is a visit.
const BROWSER_RANGES: usize = 1;

/// A range of days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last == self.first { Ok(()) } else { write!(f, "..{}", self.last) }
    }
}

/// The ranges to ask for until one has data: the day named alone, else yesterday, then ranges of a chunk's days
/// before it, the newest first.
pub(super) fn ranges(today: NaiveDate, named: Option<NaiveDate>, chunk_days: u32, kind: Kind) -> Vec<Asked> {
    if let Some(day) = named {
        return vec![Asked { first: day, last: day }];
    }
    let yesterday = today - Days::new(1);
    let oldest = today - Days::new(SEARCHED_DAYS);
    let more = match kind {
        Kind::Api => API_RANGES,
        Kind::Browser => BROWSER_RANGES,
    };
    let mut ranges = vec![Asked { first: yesterday, last: yesterday }];
    let mut last = yesterday - Days::new(1);
    while ranges.len() <= more && last >= oldest {
        let first = (last + Days::new(1) - Days::new(u64::from(chunk_days.max(1)))).max(oldest);
        ranges.push(Asked { first, last });
        last = first - Days::new(1);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn shown(named: Option<&str>, chunk_days: u32, kind: Kind) -> Vec<String> {
        let ranges = ranges(day("2025-09-01"), named.map(day), chunk_days, kind);
        ranges.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn yesterday_comes_first_and_then_ranges_of_a_chunk_back() {
        let weeks = [
            "2025-08-31",
            "2025-08-24..2025-08-30",
            "2025-08-17..2025-08-23",
            "2025-08-10..2025-08-16",
            "2025-08-03..2025-08-09",
        ];
        assert_eq!(shown(None, 7, Kind::Api), weeks);
        assert_eq!(shown(None, 2, Kind::Browser), ["2025-08-31", "2025-08-29..2025-08-30"]);
        assert_eq!(shown(None, 366, Kind::Api), ["2025-08-31", "2025-08-02..2025-08-30"]);
        assert_eq!(shown(Some("2024-01-01"), 7, Kind::Api), ["2024-01-01"]);
    }

    proptest! {
        #[test]
        fn ranges_touch_go_back_and_are_few(chunk_days in 0_u32..400) {
            let all = ranges(day("2025-09-01"), None, chunk_days, Kind::Api);
            prop_assert!(all.len() <= 1 + API_RANGES);
            for pair in all.windows(2) {
                prop_assert_eq!(pair[1].last + Days::new(1), pair[0].first);
            }
            for asked in &all[1..] {
                let days = (asked.last - asked.first).num_days() + 1;
                prop_assert!(days >= 1 && days <= i64::from(chunk_days.max(1)));
                prop_assert!(asked.first >= day("2025-08-02"));
            }
        }
    }
}
