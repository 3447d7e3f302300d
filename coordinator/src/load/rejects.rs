//! A loaded chunk's rejected rows, in the transaction of its load: the first ones, for people and their queries.

use nstore_shared::storage::{
    Storage,
    marker::{Committed, Marker},
    rejects::Reject,
};
use tokio_postgres::Transaction;

use super::stop::Stop;
use crate::db::{
    ident::Target,
    rejects::{self, RejectRows},
};

/// Rows of one chunk that go into the table. The file in storage keeps all of them.
const ROWS: usize = 1_000;
/// Bytes of one chunk that go into the table, and of one record, which is cut there.
const BYTES: usize = 1 << 20;
const RECORD_BYTES: usize = 10_000;

/// Puts the first rejected rows of a chunk beside the ledger. A file that is gone hinders no load: the chunk's rows
/// are what its marker says.
pub(super) async fn keep(
    storage: &Storage,
    tx: &Transaction<'_>,
    target: &Target,
    marker: &Marker,
    committed: &Committed,
) -> Result<(), Stop> {
    let Some(file) = &committed.quality.rejects else { return Ok(()) };
    let Some(mut found) = storage.rejects(&marker.chunk, &file.name).await? else {
        tracing::warn!(chunk = %marker.chunk, file = file.name, "the file of its rejected rows is gone");
        return Ok(());
    };
    let (mut rows, mut bytes) = (RejectRows::default(), 0);
    while rows.lines.len() < ROWS
        && bytes < BYTES
        && let Some(Reject { reason, record }) = found.next().await?
    {
        let (reason, record) = (storable(&reason), storable(&record));
        bytes += reason.len() + record.len();
        rows.lines.push(i32::try_from(rows.lines.len() + 1).unwrap_or(i32::MAX));
        rows.reasons.push(reason);
        rows.records.push(record);
    }
    Ok(rejects::put(tx, target, &marker.chunk, &rows).await?)
}

/// A text as the server takes it: not too long, and without the one character that it has no place for.
fn storable(text: &str) -> String {
    let mut end = text.len().min(RECORD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_fit_for_the_server() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        let long = storable(&format!("x{}", "ü".repeat(RECORD_BYTES)));
        assert_eq!(long.len(), RECORD_BYTES - 1, "cut between characters");
    }
}
