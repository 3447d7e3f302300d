//! Finds the rows that a table refuses: a range that is refused is halved until the row is alone.

use std::{fmt, ops::RangeInclusive};

use nstore_shared::{contract::RejectLimit, storage::marker::Committed};
use tokio_postgres::Transaction;

use super::{
    stage::{LINE, refuses_rows},
    stop::Stop,
};
use crate::db::{
    error::{Failure, text_of},
    ledger::Entry,
};

/// A row that the table refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedRow {
    /// Its number in the artifact, from 1.
    pub(super) line: u64,
    /// What the server said.
    pub(super) reason: String,
}

/// How many rows a table may refuse.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    limit: RejectLimit,
    /// Rows of the chunk that the worker rejected.
    rejected: u64,
    /// All rows of the chunk.
    all: u64,
}

impl Limit {
    /// The mapping's limit, of which the worker's rejected rows are a part.
    pub(super) fn of(entry: &Entry<'_>, committed: &Committed) -> Self {
        let rejected = committed.quality.rejected;
        Self { limit: entry.plan.contract.rejects, rejected, all: committed.rows + rejected }
    }

    /// Whether so many refused rows are too many.
    pub(super) fn exceeded(&self, refused: usize) -> bool {
        refused > 0 && self.limit.exceeded(self.rejected + refused as u64, self.all)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            RejectLimit::Rows(rows) => write!(f, "the mapping allows {rows} rejected rows per chunk"),
            RejectLimit::Share(share) => {
                write!(f, "the mapping allows {}% rejected rows per chunk", share * 100.0)
            }
        }
    }
}

/// An `INSERT ... SELECT` from a table with numbered rows, in two parts: a range of rows goes between them.
pub(super) struct Insert {
    pub(super) insert: String,
    pub(super) after: String,
}

/// Inserts the rows of a range but those that are refused; answers how many went in.
///
/// Each refused row costs as many statements as the range can be halved. Once more rows are refused than the mapping
/// allows, no further rows are looked at: the load is to fail, see [`Limit::exceeded`].
pub(super) async fn insert(
    tx: &Transaction<'_>,
    statement: &Insert,
    lines: RangeInclusive<u64>,
    limit: &Limit,
    refused: &mut Vec<RefusedRow>,
) -> Result<u64, Stop> {
    let (mut open, mut inserted) = (vec![lines], 0);
    // from the end of the list: the first rows come first
    while let Some(lines) = open.pop() {
        let (first, last) = (*lines.start(), *lines.end());
        if first > last {
            continue;
        }
        let sql = format!(
            "{} WHERE {LINE} BETWEEN {first} AND {last} ORDER BY {LINE} {}",
            statement.insert, statement.after
        );
        tx.batch_execute("SAVEPOINT nstore_sift").await?;
        match tx.execute_typed(&sql, &[]).await {
            Ok(rows) => {
                tx.batch_execute("RELEASE SAVEPOINT nstore_sift").await?;
                inserted += rows;
            }
            Err(e) if refuses_rows(Failure::of(&e)) => {
                tx.batch_execute("ROLLBACK TO SAVEPOINT nstore_sift; RELEASE SAVEPOINT nstore_sift").await?;
                if first == last {
                    refused.push(RefusedRow { line: first, reason: text_of(&e) });
                    if limit.exceeded(refused.len()) {
                        return Ok(inserted);
                    }
                    continue;
                }
                let middle = first + (last - first) / 2;
                open.push(middle + 1..=last);
                open.push(first..=middle);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(inserted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(limit: RejectLimit, rejected: u64, all: u64) -> Limit {
        Limit { limit, rejected, all }
    }

    #[test]
    fn rows_that_the_worker_rejected_count_towards_the_limit() {
        assert!(!limit(RejectLimit::Rows(0), 0, 10).exceeded(0));
        assert!(limit(RejectLimit::Rows(0), 0, 10).exceeded(1));
        assert!(!limit(RejectLimit::Rows(3), 2, 10).exceeded(1));
        assert!(limit(RejectLimit::Rows(3), 2, 10).exceeded(2));
        assert!(!limit(RejectLimit::Share(0.2), 1, 10).exceeded(1));
        assert!(limit(RejectLimit::Share(0.2), 1, 10).exceeded(2));
        // what the worker let pass is its own matter
        assert!(!limit(RejectLimit::Rows(0), 5, 10).exceeded(0));
    }

    #[test]
    fn the_limit_is_told_as_the_mapping_says_it() {
        let text = limit(RejectLimit::Share(0.005), 0, 10).to_string();
        assert_eq!(text, "the mapping allows 0.5% rejected rows per chunk");
    }
}
