//! Random secrets, kept in files that nobody else reads.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, chown},
    path::Path,
};

use super::{ServerError, owner::Owner};

/// So many random bytes, as hex digits.
pub(super) fn random_hex<const BYTES: usize>() -> Result<String, ServerError> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(ServerError::io("read", "/dev/urandom"))?;
    Ok(hex::encode(bytes))
}

/// Writes a file that only its owner reads: this process's user, or the one named.
pub(super) fn write_private(path: &Path, text: &str, owner: Option<Owner>) -> Result<(), ServerError> {
    // an older one may be readable by others
    let _ = fs::remove_file(path);
    let write = || {
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        owner.map_or(Ok(()), |owner| chown(path, Some(owner.uid), Some(owner.gid)))
    };
    write().map_err(ServerError::io("write", path))
}
