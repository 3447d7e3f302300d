//! What goes wrong with storage, whether it may pass, and what to do about it.

use std::error::Error;

use object_store::Error as StoreError;

use super::answers::{NoCredentials, Refusal};

/// What goes wrong with storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The URL, or what the environment says beside it, is nothing that nstore can use.
    #[error("storage url `{url}` cannot be used: {reason}")]
    Url {
        /// As given, without what may be a secret.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed: disk full, no rights, away.
    #[error("storage at {url} failed at `{key}`: {}", whole(source))]
    Store {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// What the store said.
        source: StoreError,
    },
    /// The object store answers, and says no.
    #[error("storage at {url} refuses `{key}`: {refusal}")]
    Refused {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// What it said.
        refusal: Refusal,
    },
    /// The object store asks who we are, and nothing here says it.
    #[error("storage at {url} cannot be asked: {reason}")]
    NoCredentials {
        /// Where.
        url: String,
        /// Where credentials were looked for.
        reason: String,
    },
    /// The store overwrites where it was told to create only: nothing would tell which outcome of a chunk is the first.
    #[error(
        "storage at {url} overwrites an object that it was told to create only (it ignores If-None-Match)"
    )]
    NotExclusive {
        /// Where.
        url: String,
    },
    /// The local file system failed.
    #[error("storage at {url} failed: {source}")]
    Io {
        /// Where.
        url: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stored document that cannot be read: other hands, damage, or a newer nstore.
    #[error("`{key}` in storage at {url} is not understood: {reason}")]
    Document {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored document in a format that this build does not know.
    #[error("`{key}` in storage at {url} has format version {found}, and this nstore knows version {known}")]
    Version {
        /// Where.
        url: String,
        /// Which object.
        key: String,
        /// Its version.
        found: u32,
        /// That of this build.
        known: u32,
    },
    /// A failure bundle that is not taken.
    #[error("failure bundle `{key}` is not stored at {url}: {reason}")]
    Bundle {
        /// Where.
        url: String,
        /// Its folder.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StorageError {
    /// What the store said about `key`, as the error that it means.
    pub(super) fn of(url: &str, key: &str, source: StoreError) -> Self {
        let (url, key) = (url.to_owned(), key.to_owned());
        if let Some(refusal) = below::<Refusal>(&source) {
            return Self::Refused { url, key, refusal: refusal.clone() };
        }
        match below::<NoCredentials>(&source) {
            Some(reason) => Self::NoCredentials { url, reason: whole(reason) },
            None => Self::Store { url, key, source },
        }
    }

    /// Whether another try can end otherwise: not when the store says no, nor when it cannot do it at all.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Refused { .. }
            | Self::NotExclusive { .. }
            | Self::Document { .. }
            | Self::Version { .. }
            | Self::Bundle { .. } => false,
            Self::NoCredentials { .. } => true,
            Self::Io { source, .. } => io_may_pass(source),
            Self::Store { source, .. } => may_pass(source),
        }
    }

    /// Whether it is about one stored document, which is damaged, forged or of another version: others can be read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Document { .. } | Self::Version { .. })
    }

    /// There is no room left on the disk.
    pub fn is_full(&self) -> bool {
        let full = |e: &std::io::Error| e.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Io { source, .. } => full(source),
            Self::Store { source, .. } => below(source).is_some_and(full),
            _ => false,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url { .. } => {
                "set NSTORE_STORAGE_URL or storage.url in pipeline.yaml, such as file:./storage or s3://bucket/prefix; \
                 docs/storage.md lists what else is read from the environment"
            }
            Self::Refused { refusal, .. } => of_refusal(refusal),
            Self::NoCredentials { .. } => {
                "set the credentials of the store, on S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; see docs/storage.md"
            }
            Self::NotExclusive { .. } => {
                "nstore cannot be safe on it: use a store whose conditional writes work, see docs/storage.md"
            }
            Self::Store { url, .. } | Self::Io { url, .. } if !url.starts_with("file:") => {
                "check that the store answers from here, on S3 at AWS_ENDPOINT_URL or in AWS_REGION"
            }
            Self::Store { .. } | Self::Io { .. } => {
                "check that the folder is there, writable, and that the disk is not full"
            }
            Self::Version { found, known, .. } if found > known => {
                "a newer nstore wrote it: update nstore and nstore-worker here, or leave it to those that are"
            }
            Self::Version { .. } => {
                "an older nstore wrote it: finish that run with it, or extract its days anew with this one"
            }
            Self::Document { .. } => {
                "nstore did not write it so: restore it from a backup, or remove it; a chunk without its marker is \
                 extracted again"
            }
            Self::Bundle { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn of_refusal(refusal: &Refusal) -> &'static str {
    match refusal.code.as_str() {
        _ if refusal.is_no_bucket() => {
            "there is no such bucket: make it, or correct its name in NSTORE_STORAGE_URL or storage.url"
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "ExpiredToken"
        | "AuthenticationFailed"
        | "InvalidAuthenticationInfo" => {
            "check the credentials in the environment, on S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        "RequestTimeTooSkewed" => {
            "set this machine's clock: the store takes requests of the last minutes only"
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => {
            "the bucket is in another region or at another address: set AWS_REGION, and AWS_ENDPOINT_URL where it is not Amazon's"
        }
        _ if matches!(refusal.status, 401 | 403) => {
            "these credentials lack a right on the bucket: docs/storage.md lists those that nstore needs"
        }
        _ => "look at the store's answer; docs/storage.md lists what nstore asks of a store",
    }
}

/// Whether the same request may do better later.
pub(super) fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::PermissionDenied { .. }
        | StoreError::Unauthenticated { .. }
        | StoreError::InvalidPath { .. }
        | StoreError::NotSupported { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::UnknownConfigurationKey { .. } => false,
        other if below::<Refusal>(other).is_some() => false,
        // a local store has no kinds for these: the system's own error lies below
        other => below(other).is_none_or(io_may_pass),
    }
}

fn io_may_pass(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    !matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory | IsADirectory)
}

fn chain<'a>(e: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(e), |e| <dyn Error>::source(*e))
}

/// The first error of that type in a chain.
fn below<T: Error + 'static>(e: &StoreError) -> Option<&T> {
    chain(e).find_map(|e| e.downcast_ref())
}

/// An error and what lies deepest below it, which its own text often leaves out: `connection refused`.
fn whole(e: &(dyn Error + 'static)) -> String {
    let text = e.to_string();
    match chain(e).last().map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        _ => text,
    }
}
