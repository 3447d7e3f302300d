//! Bytes from storage to the server: counted and hashed on the way, never held as a whole.

use std::{collections::BTreeMap, pin::pin};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _, stream::BoxStream};
use nstore_shared::{
    guard::Guard,
    storage::{
        Storage, StorageError,
        marker::{Committed, Marker},
    },
};
use sha2::{Digest, Sha256};
use tokio_postgres::{CopyInSink, Error as PgError, Transaction};

use super::{
    LoadError,
    csv::{self, RecordCounter, RecordFinder, RecordPicker},
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
    all_taken(taken, committed.rows)
}

fn all_taken(taken: u64, rows: u64) -> Result<u64, Stop> {
    if taken == rows {
        return Ok(taken);
    }
    let error = format!("the table took {taken} of {rows} rows; a trigger of it may drop rows");
    Err(Stop::Refused { error, row: None })
}

/// Copies the rows of several artifacts, as [`body`] returns them, into a table; answers how many rows went in: all.
pub(super) async fn bodies_into(
    tx: &Transaction<'_>,
    table: &str,
    columns: &[String],
    bodies: Vec<Bytes>,
    rows: u64,
) -> Result<u64, Stop> {
    if rows == 0 {
        return Ok(0);
    }
    let columns = ident::columns(columns)?;
    let statement = format!("COPY {table} ({columns}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')");
    let sink = tx.copy_in(&statement).await?;
    let mut sink = pin!(sink);
    let mut pieces = futures::stream::iter(bodies.into_iter().filter(|body| !body.is_empty()).map(Ok));
    sink.send_all(&mut pieces).await.map_err(|e: PgError| Stop::Pg(e))?;
    all_taken(sink.finish().await?, rows)
}

/// The rows of an artifact, without its header; it is compared with what its marker says. What has no rows is not read.
pub(super) async fn body(storage: &Storage, marker: &Marker, committed: &Committed) -> Result<Bytes, Stop> {
    if committed.rows == 0 {
        return Ok(Bytes::new());
    }
    let mut whole = BytesMut::new();
    let mut check = Check::default();
    let mut stream = open(storage, marker, committed).await?;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        check.feed(&bytes);
        whole.extend_from_slice(&bytes);
    }
    check.compare(committed)?;
    if whole.last() != Some(&b'\n') {
        whole.extend_from_slice(b"\n");
    }
    let header = csv::header_len(&whole);
    Ok(whole.freeze().slice(header..))
}

/// Streams the artifact into the sink; stops before its end is acknowledged when it is damaged.
async fn send(
    storage: &Storage,
    mut sink: std::pin::Pin<&mut CopyInSink<Bytes>>,
    marker: &Marker,
    committed: &Committed,
) -> Result<(), Stop> {
    let mut check = Check::default();
    let mut stream = open(storage, marker, committed).await?;
    let mut piece = BytesMut::with_capacity(PIECE);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        check.feed(&bytes);
        piece.extend_from_slice(&bytes);
        if piece.len() >= PIECE {
            sink.send(piece.split().freeze()).await?;
            piece.reserve(PIECE);
        }
    }
    check.compare(committed)?;
    if !piece.is_empty() {
        sink.send(piece.freeze()).await?;
    }
    Ok(())
}

async fn open(
    storage: &Storage,
    marker: &Marker,
    committed: &Committed,
) -> Result<BoxStream<'static, Result<Bytes, StorageError>>, Stop> {
    let name = &committed.artifact.name;
    let stream = storage.read_artifact(&marker.chunk, name).await?;
    stream.ok_or_else(|| Stop::Damaged(format!("artifact {name} is missing")))
}

/// Follows an artifact while it is read, for a comparison with its marker.
#[derive(Default)]
struct Check {
    sha256: Sha256,
    counter: RecordCounter,
}

impl Check {
    fn feed(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.counter.feed(bytes);
    }

    fn compare(self, committed: &Committed) -> Result<(), Stop> {
        let (name, wanted) = (&committed.artifact.name, &committed.artifact.sha256);
        let found = hex::encode(self.sha256.finalize());
        if found != *wanted && Guard::Checksum.stands() {
            return Err(Stop::Damaged(format!(
                "artifact {name} has sha256 {found}, its marker says {wanted}"
            )));
        }
        let (rows, wanted) = (self.counter.rows(), committed.rows);
        if rows != wanted {
            return Err(Stop::Damaged(format!(
                "artifact {name} holds {rows} rows, its marker says {wanted}"
            )));
        }
        Ok(())
    }
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
