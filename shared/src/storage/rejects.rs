//! Rows that did not fit their mapping, as they are kept beside a chunk's artifact: one JSON document a line.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Storage, StorageError,
    marker::{Marker, Outcome},
};
use crate::chunk::Chunk;

/// One row that did not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// What is wrong with it, for people.
    pub reason: String,
    /// The record as the source sent it: JSON.
    pub record: String,
}

/// The rejected rows of a chunk, one after the other; memory holds one of them, and a piece of the file.
pub struct Rejects {
    pieces: BoxStream<'static, Result<Bytes, StorageError>>,
    held: BytesMut,
    /// Bytes of `held` in which there is no end of a line.
    searched: usize,
    ended: bool,
}

impl Rejects {
    /// The next one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Reject>, StorageError> {
        Ok(self.line().await?.map(|line| read(&line)))
    }

    /// The next one as it is kept, without its end of line.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn line(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            if let Some(end) = self.held[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.held.split_to(self.searched + end).freeze();
                self.held.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.held.len();
            if self.ended {
                self.searched = 0;
                let last = std::mem::take(&mut self.held).freeze();
                return Ok((!last.is_empty()).then_some(last));
            }
            match self.pieces.next().await {
                Some(piece) => self.held.extend_from_slice(&piece?),
                None => self.ended = true,
            }
        }
    }
}

/// A line of other hands is shown as it is.
fn read(line: &[u8]) -> Reject {
    #[derive(Deserialize)]
    struct Line<'a> {
        reason: String,
        #[serde(borrow)]
        record: &'a RawValue,
    }
    match serde_json::from_slice::<Line<'_>>(line) {
        Ok(line) => Reject { reason: line.reason, record: line.record.get().to_owned() },
        Err(odd) => Reject {
            reason: format!("this line is not understood: {odd}"),
            record: String::from_utf8_lossy(line).into_owned(),
        },
    }
}

impl Storage {
    /// Reads the rejected rows of a file beside a chunk's marker; `None` when it is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rejects(&self, chunk: &Chunk, name: &str) -> Result<Option<Rejects>, StorageError> {
        let pieces = self.read_artifact(chunk, name).await?;
        Ok(pieces.map(|pieces| Rejects { pieces, held: BytesMut::new(), searched: 0, ended: false }))
    }
}

impl Marker {
    /// The file that keeps rejected rows, whether the chunk was stored or failed.
    pub fn rejects(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Committed(committed) => {
                committed.quality.rejects.as_ref().map(|file| file.name.as_str())
            }
            Outcome::Discarded { rejects, .. } => rejects.as_deref(),
            Outcome::Split { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn all(pieces: &[&str]) -> Vec<Reject> {
        let pieces: Vec<Result<Bytes, StorageError>> =
            pieces.iter().map(|piece| Ok(Bytes::from((*piece).to_owned()))).collect();
        let pieces = stream::iter(pieces).boxed();
        let mut rejects = Rejects { pieces, held: BytesMut::new(), searched: 0, ended: false };
        let mut found = Vec::new();
        while let Some(reject) = rejects.next().await.unwrap() {
            found.push(reject);
        }
        found
    }

    #[tokio::test]
    async fn rows_are_read_however_the_pieces_fall() {
        let text = "{\"reason\":\"no \\\"id\\\"\",\"record\":{\"a\": 1}}\n{\"reason\":\"ü\",\"record\":[]}\n";
        let reject = |reason: &str, record: &str| Reject { reason: reason.into(), record: record.into() };
        let both = [reject("no \"id\"", "{\"a\": 1}"), reject("ü", "[]")];
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(all(&[&text[..at], &text[at..]]).await, both, "{at}");
            let unended = &text[at..text.len() - 1];
            assert_eq!(all(&[&text[..at], "", unended]).await, both, "{at}");
        }
        assert_eq!(all(&[]).await, []);
        let odd = all(&["nonsense\n"]).await;
        assert!(odd[0].reason.contains("not understood") && odd[0].record == "nonsense", "{odd:?}");
    }
}
