//! `nstore export RUN`: one CSV per source, from the chunks that stand, in the order of their dates.

use anyhow::Context as _;
use bytes::Bytes;
use futures::StreamExt as _;
use nstore_shared::storage::{
    Storage,
    artifact::ArtifactWriter,
    manifest::{Manifest, SourcePlan},
    marker::{Committed, Marker, VoidReason},
    outcomes::leaves,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    access,
    exit::{Exit, Refusal},
    follow, view,
};
use crate::cli::{Global, RunArgs};

/// What became of one source.
#[derive(Debug, Serialize)]
struct Exported {
    source: String,
    /// `None` when nothing is stored.
    file: Option<String>,
    rows: u64,
    bytes: u64,
    chunks: u64,
    /// Chunks without rows: open, or failed for good.
    missing: u64,
}

pub(super) async fn export(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifest = access::manifest(&storage, &args.run).await?;
    let mut exported = Vec::new();
    for plan in &manifest.sources {
        let one = source(global, &storage, &manifest, plan).await;
        exported.push(one.with_context(|| format!("cannot export {}", plan.source))?);
    }
    if args.json {
        view::print_json(&exported);
    } else {
        exported.iter().for_each(|one| view::print(&one.line()));
    }
    let missing: u64 = exported.iter().map(|one| one.missing).sum();
    Ok(if missing == 0 { Exit::Good } else { Exit::Partial })
}

impl Exported {
    fn line(&self) -> String {
        let chunks = view::quantity::count(self.chunks, "chunk");
        let missing = match self.missing {
            0 => String::new(),
            missing => format!("; {missing} more chunks have no rows, see nstore status"),
        };
        match &self.file {
            None => format!("{}: nothing is stored{missing}", self.source),
            Some(file) => {
                let rows = view::quantity::count(self.rows, "row");
                let size = view::quantity::bytes(self.bytes);
                format!("{}: {rows} of {chunks}, {size}, in {file}{missing}", self.source)
            }
        }
    }
}

async fn source(
    global: &Global,
    storage: &Storage,
    manifest: &Manifest,
    plan: &SourcePlan,
) -> anyhow::Result<Exported> {
    let standing = storage.standing(&plan.source, &manifest.run).await?;
    let leaves = leaves(&plan.chunks, &standing);
    let committed: Vec<(&Marker, &Committed)> = leaves
        .iter()
        .filter_map(|(_, marker)| marker.and_then(|marker| Some((marker, marker.committed()?))))
        .collect();
    let mut exported = Exported {
        source: plan.source.to_string(),
        file: None,
        rows: committed.iter().map(|(_, chunk)| chunk.rows).sum(),
        bytes: 0,
        chunks: committed.len() as u64,
        missing: (leaves.len() - committed.len()) as u64,
    };
    if committed.is_empty() {
        return Ok(exported);
    }
    let mut writer = storage.processed_writer(&plan.source, &manifest.run);
    match copy_all(storage, &mut writer, &committed).await {
        Ok(()) => {
            let stands = writer.finish().await?;
            exported.bytes = stands.bytes;
            let root = storage.url().strip_prefix("file://").unwrap_or(storage.url());
            exported.file = Some(format!("{root}/{}", stands.name));
            Ok(exported)
        }
        Err(error) => {
            writer.abort().await?;
            Err(match error {
                CopyError::Damaged(marker, detail) => {
                    damaged(global, storage, &marker, &detail).await?.into()
                }
                CopyError::Other(error) => error,
            })
        }
    }
}

/// A damaged outcome counts no more, so that a resume extracts the chunk again.
async fn damaged(
    global: &Global,
    storage: &Storage,
    marker: &Marker,
    detail: &str,
) -> anyhow::Result<Refusal> {
    let run = &marker.chunk.run;
    if storage.cancelled(run).await?.is_some() {
        let hint = "the run is cancelled and stays so: extract these days anew";
        return Ok(Refusal::new(Exit::Failed, detail, hint));
    }
    storage.void(&marker.chunk, marker.generation, VoidReason::Damaged, detail).await?;
    let hint = format!("extract this chunk again: {} resume {run}", follow::commands(global));
    Ok(Refusal::new(Exit::Failed, detail, hint))
}

enum CopyError {
    /// The artifact is not what its marker says.
    Damaged(Box<Marker>, String),
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for CopyError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

async fn copy_all(
    storage: &Storage,
    writer: &mut ArtifactWriter,
    committed: &[(&Marker, &Committed)],
) -> Result<(), CopyError> {
    for (at, (marker, chunk)) in committed.iter().enumerate() {
        if chunk.columns != committed[0].1.columns {
            let text = format!("chunk {} has other columns than the first one", marker.chunk);
            let hint = "one file cannot hold both: extract these days in a run of their own";
            return Err(Refusal::new(Exit::Failed, text, hint).into());
        }
        copy(storage, writer, marker, chunk, at == 0).await?;
    }
    Ok(())
}

/// Adds one chunk; its header only when it is the first. The file stands for nobody before all sums agree.
async fn copy(
    storage: &Storage,
    writer: &mut ArtifactWriter,
    marker: &Marker,
    committed: &Committed,
    with_header: bool,
) -> Result<(), CopyError> {
    let (chunk, name) = (&marker.chunk, &committed.artifact.name);
    let damaged = |text| CopyError::Damaged(Box::new(marker.clone()), text);
    let Some(mut pieces) = storage.read_artifact(chunk, name).await? else {
        return Err(damaged(format!("the file {name} of chunk {chunk} is gone")));
    };
    let mut sum = Sha256::new();
    let mut header = if with_header { Header::Passed } else { Header::Ahead };
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        sum.update(&piece);
        let rest = header.strip(piece);
        if !rest.is_empty() {
            writer.write(rest).await?;
        }
    }
    if hex::encode(sum.finalize()) != committed.artifact.sha256 {
        return Err(damaged(format!("the file {name} of chunk {chunk} is damaged: its sha256 differs")));
    }
    Ok(())
}

/// Names of columns hold no line break, so the header ends with the first one.
enum Header {
    Ahead,
    Passed,
}

impl Header {
    fn strip(&mut self, piece: Bytes) -> Bytes {
        if matches!(self, Self::Passed) {
            return piece;
        }
        match piece.iter().position(|byte| *byte == b'\n') {
            None => Bytes::new(),
            Some(end) => {
                *self = Self::Passed;
                piece.slice(end + 1..)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_stripped_however_the_pieces_fall() {
        for pieces in
            [vec!["a,b\n1,2\n3,4\n"], vec!["a,", "b", "\n1,2\n", "3,4\n"], vec!["a,b\n", "1,2\n3,4\n"]]
        {
            let mut header = Header::Ahead;
            let rest: Vec<Bytes> =
                pieces.iter().map(|p| header.strip(Bytes::from_static(p.as_bytes()))).collect();
            assert_eq!(rest.concat(), b"1,2\n3,4\n", "{pieces:?}");
        }
    }
}
