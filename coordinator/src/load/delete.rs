//! Deletes the rows of chunks' ranges, for the modes that replace them.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use nstore_shared::{chunk::ChunkRange, contract::ColumnType};
use tokio_postgres::{
    Transaction,
    types::{ToSql, Type},
};

use super::{LoadError, stop::Stop};
use crate::db::{
    error::{Failure, text_of},
    ident::{Ident, Target},
    ledger::Entry,
};

/// Deletes the half-open ranges of chunks of one plan; those that touch are deleted by one statement.
pub(super) async fn ranges(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    let Some(first) = entries.first() else { return Ok(()) };
    let (contract, target) = (&first.plan.contract, first.target);
    let unfit = |problem: &str| LoadError::Target { table: target.name(), problems: vec![problem.into()] };
    let column = contract.range_column.as_deref().and_then(|name| contract.column(name));
    let Some(column) = column else { return Err(unfit("replacing a range needs a range_column").into()) };
    match column.kind {
        ColumnType::Date => {
            let days = |entry: &Entry<'_>| match entry.marker.chunk.range {
                ChunkRange::Days { start, end } => Some(start..end),
                ChunkRange::Instants { .. } => None,
            };
            let spans: Option<Vec<Range<NaiveDate>>> = entries.iter().map(days).collect();
            let Some(spans) = spans else { return Err(unfit(NO_PLACE).into()) };
            delete_spans(tx, target, &column.name, &Type::DATE, joined(spans)).await
        }
        ColumnType::Timestamptz => {
            let spans: Vec<Range<DateTime<Utc>>> = entries.iter().map(Entry::instants).collect();
            delete_spans(tx, target, &column.name, &Type::TIMESTAMPTZ, joined(spans)).await
        }
        _ => Err(unfit(NO_PLACE).into()),
    }
}

const NO_PLACE: &str = "its range_column cannot hold the chunk's range";

/// Ranges by their starts; those that touch are one.
fn joined<T: Ord + Copy>(mut spans: Vec<Range<T>>) -> Vec<Range<T>> {
    spans.sort_unstable_by_key(|span| span.start);
    let mut joined: Vec<Range<T>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.end >= span.start => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// Deletes rows whose value lies in one of the ranges.
async fn delete_spans<T: ToSql + Sync>(
    tx: &Transaction<'_>,
    target: &Target,
    column: &str,
    kind: &Type,
    spans: Vec<Range<T>>,
) -> Result<(), Stop> {
    let column = Ident::new(column)?;
    let delete = format!("DELETE FROM {target} WHERE {column} >= $1::{kind} AND {column} < $2::{kind}");
    for span in spans {
        let bounds: [(&(dyn ToSql + Sync), Type); 2] =
            [(&span.start, kind.clone()), (&span.end, kind.clone())];
        tx.execute_typed(&delete, &bounds).await.map_err(|e| undeletable(target, e))?;
    }
    Ok(())
}

/// Old rows that cannot go (a foreign key of others points at them) are no fault of the chunk.
pub(super) fn undeletable(target: &Target, e: tokio_postgres::Error) -> Stop {
    if Failure::of(&e) != Failure::Data {
        return Stop::Pg(e);
    }
    let problem = format!(
        "its old rows cannot be deleted: {}; delete the rows of the other table that refer to them first, or load with \
         upload mode append",
        text_of(&e)
    );
    LoadError::Target { table: target.name(), problems: vec![problem] }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The truth is the set of covered points.
        #[test]
        fn joined_ranges_cover_the_same_points(spans in prop::collection::vec((0..40_u8, 1..5_u8), 0..12)) {
            let spans: Vec<Range<u8>> = spans.into_iter().map(|(start, length)| start..start + length).collect();
            let points = |spans: &[Range<u8>]| spans.iter().cloned().flatten().collect::<std::collections::BTreeSet<u8>>();
            let found = joined(spans.clone());
            prop_assert_eq!(points(&found), points(&spans));
            prop_assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
