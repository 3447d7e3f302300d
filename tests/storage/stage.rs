//! An open store, and what is put into it.

use bytes::Bytes;
use futures::TryStreamExt as _;
use nstore_shared::{
    chunk::{Chunk, RunId},
    retry::FailureClass,
    storage::{
        ArtifactKind, Storage, StorageError,
        artifact::ArtifactWriter,
        marker::{ArtifactRef, GrantRef, MARKER_VERSION, Marker, Outcome},
    },
};
use nstore_tests::context::{self, Proxy, S3, own_s3, s3};

/// A store, and the server that it needs.
pub(crate) struct Stage {
    pub(crate) storage: Storage,
    pub(crate) s3: Option<S3>,
    _folder: Option<context::Storage>,
}

impl Stage {
    pub(crate) fn local() -> Self {
        let folder = context::storage();
        Self { storage: Storage::open(&folder.url).unwrap(), s3: None, _folder: Some(folder) }
    }

    pub(crate) async fn s3() -> Self {
        let s3 = own_s3().await;
        let storage = Storage::open_with(&s3.url("team/nstore"), s3.env()).unwrap();
        Self { storage, s3: Some(s3), _folder: None }
    }
}

/// A store on S3 behind a proxy; what stands in it is seen past the proxy too.
pub(crate) struct Harmed {
    pub(crate) storage: Storage,
    pub(crate) proxy: Proxy,
    pub(crate) behind: Storage,
    pub(crate) s3: S3,
}

impl Harmed {
    pub(crate) async fn new() -> Self {
        Self::patient_for("10s").await
    }

    /// A store that does not answer is given up after so long: less than a part of an upload may take for real.
    pub(crate) async fn patient_for(silence: &str) -> Self {
        let s3 = own_s3().await;
        let proxy = Proxy::start(s3.address).await;
        let mut env = s3::env(proxy.address, &s3.writer);
        env.push(("AWS_READ_TIMEOUT".into(), silence.into()));
        let url = s3.url("nstore");
        let behind = Storage::open_with(&url, s3.env()).unwrap();
        Self { storage: Storage::open_with(&url, env).unwrap(), proxy, behind, s3 }
    }
}

pub(crate) fn run(name: &str) -> RunId {
    name.parse().unwrap()
}

/// One day of a source of run `r`.
pub(crate) fn chunk(day: u32) -> Chunk {
    let range = format!("2025-08-{day:02}_2025-08-{:02}", day + 1).parse().unwrap();
    Chunk { source: "orders".parse().unwrap(), run: run("r"), range }
}

/// An outcome that the grant's number tells from others.
pub(crate) fn outcome(chunk: Chunk, nonce: u64) -> Marker {
    let at = "2025-09-01T00:00:00Z".parse().unwrap();
    Marker {
        version: MARKER_VERSION,
        chunk,
        generation: 1,
        grant: GrantRef { worker: "w".parse().unwrap(), nonce, attempt: 1 },
        started_at: at,
        finished_at: at,
        outcome: Outcome::Discarded {
            class: FailureClass::Data,
            error: "e".into(),
            attempts: 1,
            rejects: None,
            bundle: None,
        },
    }
}

pub(crate) fn writer(storage: &Storage, chunk: &Chunk) -> ArtifactWriter {
    storage.artifact_writer(chunk, 1, &"w".parse().unwrap(), 7, ArtifactKind::Rows)
}

/// So many bytes that do not repeat in any part of an upload.
pub(crate) fn content(bytes: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect::<Vec<u8>>().into()
}

/// Writes a file in pieces of no particular size.
pub(crate) async fn store(
    storage: &Storage,
    chunk: &Chunk,
    content: &Bytes,
) -> Result<ArtifactRef, StorageError> {
    let mut writer = writer(storage, chunk);
    for piece in content.chunks(300_007) {
        writer.write(content.slice_ref(piece)).await?;
    }
    writer.finish().await
}

/// What stands under a file's name.
pub(crate) async fn read(storage: &Storage, chunk: &Chunk, file: &ArtifactRef) -> Option<Bytes> {
    let pieces: Vec<Bytes> =
        storage.read_artifact(chunk, &file.name).await.unwrap()?.try_collect().await.unwrap();
    Some(pieces.concat().into())
}

pub(crate) fn sum(content: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(content))
}
