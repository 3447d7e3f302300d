//! The key under which private workers keep the sessions and tokens that they share.

use std::{fs, path::Path};

use super::{
    ServerError,
    secret::{random_hex, write_private},
};

/// The variable by which workers get it.
pub(super) const VARIABLE: &str = "NSTORE_VAULT_KEY";
const FILE: &str = "vault.key";
/// Of the key itself; its text has two hex digits for each.
const BYTES: usize = 32;

/// The directory's key, made once. One that was cut off or tampered with is made anew: what it locked is fetched again.
pub(super) fn of_dir(dir: &Path) -> Result<String, ServerError> {
    let path = dir.join(FILE);
    if let Ok(text) = fs::read_to_string(&path)
        && hex::decode(text.trim()).is_ok_and(|key| key.len() == BYTES)
    {
        return Ok(text.trim().to_owned());
    }
    let key = random_hex::<BYTES>()?;
    write_private(&path, &key, None)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_keeps_its_key_to_itself() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = of_dir(one.path()).unwrap();
        assert_eq!((key.len(), hex::decode(&key).is_ok()), (64, true));
        assert_eq!(of_dir(one.path()).unwrap(), key, "it stays");
        assert_ne!(of_dir(other.path()).unwrap(), key);
        let mode = fs::metadata(one.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(one.path().join(FILE), &key[..20]).unwrap();
        assert_eq!(of_dir(one.path()).unwrap().len(), 64, "half a key is none");
    }
}
