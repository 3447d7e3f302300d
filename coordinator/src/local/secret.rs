//! Random secrets, kept in files that nobody else reads.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
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

/// The secret of so many bytes that the file holds, as hex digits; made once. One that was cut off or tampered with is
/// replaced.
pub(super) fn kept<const BYTES: usize>(path: &Path) -> Result<String, ServerError> {
    if let Ok(text) = fs::read_to_string(path)
        && hex::decode(text.trim()).is_ok_and(|secret| secret.len() == BYTES)
    {
        return Ok(text.trim().to_owned());
    }
    let secret = random_hex::<BYTES>()?;
    write_private(path, &secret, None)?;
    Ok(secret)
}

/// Makes a folder that only its owner can enter, and closes one that is there already.
pub(super) fn private_dir(dir: &Path) -> Result<(), ServerError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.and_then(|()| fs::set_permissions(dir, Permissions::from_mode(0o700)))
        .map_err(ServerError::io("create", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let secret = kept::<32>(&one).unwrap();
        assert_eq!((secret.len(), hex::decode(&secret).is_ok()), (64, true));
        assert_eq!(kept::<32>(&one).unwrap(), secret, "it stays");
        assert_ne!(kept::<32>(&other).unwrap(), secret);
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&one, &secret[..20]).unwrap();
        assert_eq!(kept::<32>(&one).unwrap().len(), 64, "a part of one is replaced");
    }

    #[test]
    fn a_folder_that_others_could_enter_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        private_dir(&open).unwrap();
        assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
