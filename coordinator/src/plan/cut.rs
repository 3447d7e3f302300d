//! A date range becomes chunks: touching, disjoint, in order, the last one cut at the end.

use chrono::{Days, NaiveDate};
use nstore_shared::{chunk::ChunkRange, storage::manifest::SourcePlan};

/// Cuts the days from `start` to `end`, both of which belong, into chunks of `days`; none when there is no day.
pub fn cut(start: NaiveDate, end: NaiveDate, days: u32) -> Vec<ChunkRange> {
    let Some(after) = end.checked_add_days(Days::new(1)) else { return Vec::new() };
    let step = Days::new(u64::from(days.max(1)));
    let mut chunks = Vec::new();
    let mut from = start;
    while from < after {
        let to = from.checked_add_days(step).map_or(after, |to| to.min(after));
        chunks.extend(ChunkRange::days(from, to));
        from = to;
    }
    chunks
}

/// What every plan of one source promises for the range asked for.
///
/// # Panics
/// When a promise is broken: a gap, an overlap, a day too many or too few, a chunk of another size.
pub fn assert_plan(plan: &SourcePlan, start: NaiveDate, end: NaiveDate) {
    let zone = plan.zone();
    let mut next = start;
    for (at, chunk) in plan.chunks.iter().enumerate() {
        let ChunkRange::Days { start: from, end: to } = *chunk else {
            panic!("chunk {chunk} is not of whole days")
        };
        assert_eq!(from, next, "chunk {chunk} leaves a gap or overlaps the one before");
        let days = (to - from).num_days();
        let last = at + 1 == plan.chunks.len();
        let size = i64::from(plan.chunk_days);
        assert!(days == size || (last && (1..=size).contains(&days)), "chunk {chunk} has {days} days");
        let (opens, closes) = chunk.instants(zone);
        // equal for a day that a zone left out, as Pacific/Apia did with 2011-12-30
        assert!(opens <= closes, "chunk {chunk} ends before it starts in {zone}");
        if let Some(following) = plan.chunks.get(at + 1) {
            assert_eq!(closes, following.instants(zone).0, "chunk {chunk} does not touch the next in {zone}");
        }
        next = to;
    }
    assert_eq!(Some(next), end.checked_add_days(Days::new(1)), "the chunks do not end with {end}");
}
