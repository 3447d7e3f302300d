//! One living owner per server directory.
//!
//! The kernel frees the lock when its process dies in whatever way, so whoever holds it knows that a server
//! still found running there is an orphan.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::ServerError;

/// Held for as long as this process may run a server in the directory.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    pub(super) fn take(dir: &Path) -> Result<Self, ServerError> {
        let path = dir.join("lock");
        // close-on-exec, so the servers do not keep it
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(ServerError::io("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(ServerError::InUse { dir: dir.to_owned() }),
            Err(errno) => Err(ServerError::io("lock", path)(errno.into())),
        }
    }
}
