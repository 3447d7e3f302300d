//! Where each stored thing lies. Keys are built from validated ids only, so none leaves its folder.

use object_store::path::Path;

use super::paused::PauseOf;
use crate::chunk::{Chunk, ChunkRange, Generation, RunId, SourceId, WorkerId};

/// What a file beside a marker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// The rows.
    Rows,
    /// Rows that did not fit the contract.
    Rejects,
}

impl ArtifactKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Rows => "csv",
            Self::Rejects => "rejects.jsonl",
        }
    }
}

/// The file name of an artifact: one per grant.
pub(super) fn artifact_name(
    range: &ChunkRange,
    generation: Generation,
    worker: &WorkerId,
    nonce: u64,
    kind: ArtifactKind,
) -> String {
    format!("{}.{}", of_grant(range, generation, worker, nonce), kind.suffix())
}

/// What is stored under a grant is named after it.
fn of_grant(range: &ChunkRange, generation: Generation, worker: &WorkerId, nonce: u64) -> String {
    format!("{range}.g{generation}.{worker}-{nonce}")
}

/// `create-only`: where a store shows that it refuses to overwrite.
pub(super) fn probe() -> Path {
    Path::from("create-only")
}

/// `runs/<run>/load.json`.
pub(super) fn load(of: &RunId) -> Path {
    run(of).join("load.json")
}

/// `ended/`.
pub(super) fn all_ended() -> Path {
    Path::from("ended")
}

/// `ended/<run>.json`.
pub(super) fn ended(run: &RunId) -> Path {
    all_ended().join(format!("{run}.json"))
}

/// `identity.json`.
pub(super) fn identity() -> Path {
    Path::from("identity.json")
}

/// `runs/`.
pub(super) fn runs() -> Path {
    Path::from("runs")
}

/// `runs/<run>/`.
pub(super) fn run(run: &RunId) -> Path {
    runs().join(run.as_str())
}

/// `runs/<run>/manifest.json`.
pub(super) fn manifest(of: &RunId) -> Path {
    run(of).join("manifest.json")
}

/// `runs/<run>/cancelled.json`.
pub(super) fn cancelled(of: &RunId) -> Path {
    run(of).join("cancelled.json")
}

/// `runs/<run>/paused.json`, `sources/<source>/paused.json`.
pub(super) fn paused(of: PauseOf<'_>) -> Path {
    let folder = match of {
        PauseOf::Run(of) => run(of),
        PauseOf::Source(source) => Path::from("sources").join(source.as_str()),
    };
    folder.join("paused.json")
}

/// `chunks/<source>/<run>/`.
pub(super) fn chunks(source: &SourceId, run: &RunId) -> Path {
    Path::from("chunks").join(source.as_str()).join(run.as_str())
}

/// A file beside a chunk's marker, by its own name.
pub(super) fn beside(chunk: &Chunk, name: &str) -> Path {
    chunks(&chunk.source, &chunk.run).join(name)
}

/// A chunk's marker.
pub(super) fn marker(chunk: &Chunk, generation: Generation) -> Path {
    beside(chunk, &format!("{}.g{generation}.json", chunk.range))
}

/// What voids a chunk's marker.
pub(super) fn void(chunk: &Chunk, generation: Generation) -> Path {
    beside(chunk, &format!("{}.g{generation}.void.json", chunk.range))
}

/// What says that a discarded outcome is let be.
pub(super) fn dropped(chunk: &Chunk, generation: Generation) -> Path {
    beside(chunk, &format!("{}.g{generation}.dropped.json", chunk.range))
}

/// `failures/<source>/<run>/`.
pub(super) fn failures(source: &SourceId, run: &RunId) -> Path {
    Path::from("failures").join(source.as_str()).join(run.as_str())
}

/// The folder of a failure bundle: one per grant.
pub(super) fn bundle(chunk: &Chunk, generation: Generation, worker: &WorkerId, nonce: u64) -> Path {
    failures(&chunk.source, &chunk.run).join(of_grant(&chunk.range, generation, worker, nonce))
}

/// Which outcome of which chunk a bundle is about, by its folder's name.
pub(super) fn bundle_of(folder: &str) -> Option<(ChunkRange, Generation)> {
    let (range, rest) = folder.split_once(".g")?;
    let (generation, _) = rest.split_once('.')?;
    Some((range.parse().ok()?, generation.parse().ok()?))
}

/// `processed/<source>/<run>.csv`.
pub(super) fn processed(source: &SourceId, run: &RunId) -> Path {
    Path::from("processed").join(source.as_str()).join(format!("{run}.csv"))
}

/// What a file in a chunk folder is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Marker(ChunkRange, Generation),
    Void(ChunkRange, Generation),
    Dropped(ChunkRange, Generation),
    Artifact(ChunkRange, Generation),
}

/// Reads a file name in a chunk folder; `None` for what nstore did not write there.
pub(super) fn entry(name: &str) -> Option<Entry> {
    let (range, rest) = name.split_once(".g")?;
    let (generation, rest) = rest.split_once('.')?;
    let (range, generation) = (range.parse().ok()?, generation.parse().ok()?);
    Some(match rest {
        "json" => Entry::Marker(range, generation),
        "void.json" => Entry::Void(range, generation),
        "dropped.json" => Entry::Dropped(range, generation),
        other if other.ends_with(".csv") || other.ends_with(".rejects.jsonl") => {
            Entry::Artifact(range, generation)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let chunk = Chunk {
            source: "buyer_orders".parse().unwrap(),
            run: "r1".parse().unwrap(),
            range: "2025-08-01_2025-08-04".parse().unwrap(),
        };
        let name = |path: Path| entry(path.filename().unwrap()).unwrap();
        assert_eq!(name(marker(&chunk, 2)), Entry::Marker(chunk.range, 2));
        assert_eq!(name(void(&chunk, 2)), Entry::Void(chunk.range, 2));
        assert_eq!(name(dropped(&chunk, 2)), Entry::Dropped(chunk.range, 2));
        let artifact =
            artifact_name(&chunk.range, 3, &"host-1-s0".parse().unwrap(), 7, ArtifactKind::Rejects);
        assert_eq!(artifact, "2025-08-01_2025-08-04.g3.host-1-s0-7.rejects.jsonl");
        assert_eq!(entry(&artifact), Some(Entry::Artifact(chunk.range, 3)));
        let folder = bundle(&chunk, 3, &"host-1-s0".parse().unwrap(), 7);
        assert_eq!(folder.as_ref(), "failures/buyer_orders/r1/2025-08-01_2025-08-04.g3.host-1-s0-7");
        assert_eq!(bundle_of(folder.filename().unwrap()), Some((chunk.range, 3)));
        assert_eq!(entry("notes.txt"), None);
        assert_eq!(marker(&chunk, 1).as_ref(), "chunks/buyer_orders/r1/2025-08-01_2025-08-04.g1.json");
    }
}
