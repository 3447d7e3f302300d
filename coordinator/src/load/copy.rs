//! Bytes from storage to the server: counted and hashed on the way, never held as a whole.

use std::{collections::BTreeMap, pin::pin};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use nstore_shared::{
    guard::Guard,
    storage::{
        Storage,
        marker::{Committed, Marker},
    },
};
use sha2::{Digest, Sha256};
use tokio_postgres::{CopyInSink, Error as PgError, Transaction};

use super::{
    LoadError,
    csv::{RecordCounter, RecordFinder, RecordPicker},
    stop::Stop,
};
use crate::db::ident;

/// Bytes that go to the server at once.
const PIECE: usize = 256 * 1024;

/// Copies a chunk's artifact into a table, quoted for statements; answers how many rows went in: all of them.
pub(super) async fn into(
    storage: &Storage,
    tx: &Transaction<'_>,
    table: &str,
    marker: &Marker,
    committed: &Committed,
) -> Result<u64, Stop> {
    let columns = ident::columns(&committed.columns)?;
    let statement = format!("COPY {table} ({columns}) FROM STDIN (FORMAT csv, HEADER true, ENCODING 'UTF8')");
    let sink = tx.copy_in(&statement).await?;
    let mut sink = pin!(sink);
    send(storage, sink.as_mut(), marker, committed).await?;
    // the artifact is what the marker says: only now may the server keep it
    let taken = sink.finish().await?;
    if taken != committed.rows {
        let rows = committed.rows;
        let error = format!("the table took {taken} of {rows} rows; a trigger of it may drop rows");
        return Err(Stop::Refused { error, row: None });
    }
    Ok(taken)
}

/// Streams the artifact into the sink; stops before its end is acknowledged when it is damaged.
async fn send(
    storage: &Storage,
    mut sink: std::pin::Pin<&mut CopyInSink<Bytes>>,
    marker: &Marker,
    committed: &Committed,
) -> Result<(), Stop> {
    let name = &committed.artifact.name;
    let Some(mut stream) = storage.read_artifact(&marker.chunk, name).await? else {
        return Err(Stop::Damaged(format!("artifact {name} is missing")));
    };
    let (mut sha256, mut counter) = (Sha256::new(), RecordCounter::default());
    let mut piece = BytesMut::with_capacity(PIECE);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        sha256.update(&bytes);
        counter.feed(&bytes);
        piece.extend_from_slice(&bytes);
        if piece.len() >= PIECE {
            sink.send(piece.split().freeze()).await?;
            piece.reserve(PIECE);
        }
    }
    let found = hex::encode(sha256.finalize());
    if found != committed.artifact.sha256 && Guard::Checksum.stands() {
        let wanted = &committed.artifact.sha256;
        return Err(Stop::Damaged(format!("artifact {name} has sha256 {found}, its marker says {wanted}")));
    }
    if counter.rows() != committed.rows {
        let (rows, wanted) = (counter.rows(), committed.rows);
        return Err(Stop::Damaged(format!("artifact {name} holds {rows} rows, its marker says {wanted}")));
    }
    if !piece.is_empty() {
        sink.send(piece.freeze()).await?;
    }
    Ok(())
}

/// The artifact's line that the server's refusal names, if it names one.
pub(super) async fn offending_line(
    storage: &Storage,
    marker: &Marker,
    committed: &Committed,
    e: &PgError,
) -> Result<Option<String>, LoadError> {
    let Some(line) = e.as_db_error().and_then(|said| said.where_()).and_then(line_of) else {
        return Ok(None);
    };
    let Some(mut stream) = storage.read_artifact(&marker.chunk, &committed.artifact.name).await? else {
        return Ok(None);
    };
    let mut finder = RecordFinder::new(line);
    while let Some(bytes) = stream.next().await {
        if finder.feed(&bytes?) {
            break;
        }
    }
    Ok(finder.record())
}

/// Data rows of the artifact by their number, from 1; numbers that it does not have are left out.
pub(super) async fn records(
    storage: &Storage,
    marker: &Marker,
    committed: &Committed,
    wanted: &[u64],
) -> Result<BTreeMap<u64, String>, LoadError> {
    let mut picker = RecordPicker::new(wanted.iter().copied());
    if let Some(mut stream) = storage.read_artifact(&marker.chunk, &committed.artifact.name).await? {
        while !picker.done()
            && let Some(bytes) = stream.next().await
        {
            picker.feed(&bytes?);
        }
    }
    Ok(picker.found())
}

/// The line in `COPY buyer_orders, line 12, column amount: "x"`, in whatever language the server speaks.
fn line_of(context: &str) -> Option<u64> {
    let copy = context.lines().find(|line| line.starts_with("COPY "))?;
    // the table's name is given without its schema and may hold digits and commas itself: after the last
    // comma before a number that stands alone
    copy.split(", ").skip(1).find_map(|part| {
        let part = part.split(':').next()?;
        let number = part.split_whitespace().last()?;
        number.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_from_the_servers_context() {
        for (context, line) in [
            ("COPY buyer_orders, line 12, column amount: \"x, line 7\"", Some(12)),
            ("COPY t2, line 3: \"1,2\"", Some(3)),
            ("COPY t, Zeile 4", Some(4)),
            ("SQL function f\nCOPY t, line 9: \"a\"", Some(9)),
            ("COPY nstore_stage, line 2", Some(2)),
            ("PL/pgSQL function f() line 3 at RAISE", None),
        ] {
            assert_eq!(line_of(context), line, "{context}");
        }
    }
}
