//! Days and ranges of a plan: what they cover, what they lack, and how that is told. Pure.

use std::ops::Range;

use chrono::{DateTime, Days, NaiveDate, Utc};
use nstore_shared::{chunk::ChunkRange, storage::manifest::SourcePlan};

/// How many spans of days a message names.
const NAMED: usize = 5;

/// The days that a plan touches; `None` when it has no chunk.
pub(super) fn days_of(plan: &SourcePlan) -> Option<Range<NaiveDate>> {
    let touched = || plan.chunks.iter().map(|range| range.touched_days(plan.zone()));
    Some(touched().map(|days| days.0).min()?..touched().map(|days| days.1).max()?)
}

/// Days in order, joined where they touch.
pub(super) fn joined(days: impl IntoIterator<Item = NaiveDate>) -> Vec<Range<NaiveDate>> {
    let mut spans: Vec<Range<NaiveDate>> = Vec::new();
    for day in days {
        let after = day + Days::new(1);
        match spans.last_mut() {
            Some(span) if span.end == day => span.end = after,
            _ => spans.push(day..after),
        }
    }
    spans
}

/// Days in order as people read them: `2025-08-01 to 2025-08-04, 2025-08-09 and 3 more spans`.
pub(super) fn text_of(days: impl IntoIterator<Item = NaiveDate>) -> String {
    let spans = joined(days);
    let shown = spans.iter().take(NAMED).map(|span| match span.end - Days::new(1) {
        last if last == span.start => last.to_string(),
        last => format!("{} to {last}", span.start),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = spans.len().saturating_sub(NAMED);
    if more == 0 { shown } else { format!("{shown} and {more} more spans") }
}

/// How much of a range others cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// Nothing of it.
    None,
    /// Some of it.
    Part,
    /// All of it.
    Whole,
}

/// How much of `range` is covered by `others`, which overlap it and come by start.
pub(super) fn cover(range: &Range<DateTime<Utc>>, others: &[Range<DateTime<Utc>>]) -> Cover {
    if others.is_empty() {
        return Cover::None;
    }
    let mut reached = range.start;
    for other in others {
        if other.start > reached {
            return Cover::Part;
        }
        reached = reached.max(other.end);
    }
    if reached >= range.end { Cover::Whole } else { Cover::Part }
}

/// Why committed ranges are not exactly the plan; `None` when they are.
pub(super) fn mismatch(plan: &SourcePlan, committed: &[ChunkRange]) -> Option<String> {
    let zone = plan.zone();
    let covered = |ranges: &[ChunkRange]| {
        let mut instants: Vec<_> = ranges.iter().map(|range| range.instants(zone)).collect();
        instants.sort_unstable();
        let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (start, end) in instants {
            match spans.last_mut() {
                Some(span) if span.1 == start => span.1 = end,
                Some(span) if span.1 > start => return Err(start),
                _ => spans.push((start, end)),
            }
        }
        Ok(spans)
    };
    let (planned, committed) = match (covered(&plan.chunks), covered(committed)) {
        (Ok(planned), Ok(committed)) => (planned, committed),
        (Err(at), _) | (_, Err(at)) => return Some(format!("two chunks overlap at {at}")),
    };
    if planned == committed {
        return None;
    }
    let show = |spans: &[(DateTime<Utc>, DateTime<Utc>)]| match spans {
        [] => "nothing".to_owned(),
        spans => {
            let text = spans.iter().take(NAMED).map(|(start, end)| {
                format!("{} to {}", start.with_timezone(&zone), end.with_timezone(&zone))
            });
            text.collect::<Vec<_>>().join(", ")
        }
    };
    Some(format!("its chunks cover {}, the plan {}", show(&committed), show(&planned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 8, n).unwrap()
    }

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(hour * 3600, 0).unwrap()
    }

    #[test]
    fn days_are_told_as_spans() {
        assert_eq!(text_of([1, 2, 3, 9].map(day)), "2025-08-01 to 2025-08-03, 2025-08-09");
        let many = text_of([1, 3, 5, 7, 9, 11, 13].map(day));
        assert!(many.ends_with("2025-08-09 and 2 more spans"), "{many}");
    }

    #[test]
    fn a_range_is_covered_whole_in_part_or_not_at_all() {
        let range = at(10)..at(20);
        for (others, expected) in [
            (vec![], Cover::None),
            (vec![at(0)..at(30)], Cover::Whole),
            (vec![at(10)..at(15), at(15)..at(20)], Cover::Whole),
            (vec![at(9)..at(16), at(12)..at(21)], Cover::Whole),
            (vec![at(10)..at(14), at(15)..at(20)], Cover::Part),
            (vec![at(11)..at(20)], Cover::Part),
            (vec![at(10)..at(19)], Cover::Part),
        ] {
            assert_eq!(cover(&range, &others), expected, "{others:?}");
        }
    }
}
