//! As whom PostgreSQL runs, and where that user can reach its data.
//!
//! PostgreSQL refuses root. Started as root, it runs as the owner of the data when there is some, else as the user
//! `postgres`; where a directory above the wanted one is closed to that user (like /root), the data is kept under
//! /var/tmp instead.

use std::{
    fs::{self, DirBuilder, Metadata},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::ServerError;

/// A user to run a server as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the user's group.
    pub gid: u32,
}

impl Owner {
    /// Lets a command run as this user.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Where a server keeps its data and as whom it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The directory that holds it all.
    pub dir: PathBuf,
    /// Another user than ours; only ever set for root.
    pub owner: Option<Owner>,
}

impl Home {
    /// The wanted directory, or its stand-in; made when absent, closed to others, owned by who runs the server.
    pub(super) fn prepare(wanted: &Path) -> Result<Self, ServerError> {
        if !rustix::process::geteuid().is_root() {
            make_private(wanted)?;
            let dir = fs::canonicalize(wanted).map_err(ServerError::io("find", wanted))?;
            return Ok(Self { dir, owner: None });
        }
        let dir = absolute_parent(wanted)?;
        let owner = owner_of_data(&dir).map_or_else(postgres_user, Ok)?;
        let dir = if reachable(&dir, owner)? { dir } else { stand_in(&dir) };
        // made before it is looked at, so that nobody can slip another one in between
        make_private(&dir)?;
        let meta = fs::symlink_metadata(&dir).map_err(ServerError::io("inspect", &dir))?;
        let ours = meta.is_dir() && (meta.uid() == 0 || meta.uid() == owner.uid);
        if !ours {
            return Err(ServerError::ForeignDir { dir, owner: meta.uid() });
        }
        // data that was already kept there may belong to an earlier owner
        let owner = owner_of_data(&dir).unwrap_or(owner);
        chown(&dir, Some(owner.uid), Some(owner.gid))
            .map_err(ServerError::io("change the owner of", &dir))?;
        Ok(Self { dir, owner: Some(owner) })
    }
}

/// The wanted directory as an absolute path, with everything above it in place.
fn absolute_parent(wanted: &Path) -> Result<PathBuf, ServerError> {
    let absolute = std::path::absolute(wanted).map_err(ServerError::io("find", wanted))?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Ok(absolute);
    };
    fs::create_dir_all(parent).map_err(ServerError::io("create", parent))?;
    let parent = fs::canonicalize(parent).map_err(ServerError::io("find", parent))?;
    Ok(parent.join(name))
}

fn make_private(dir: &Path) -> Result<(), ServerError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(ServerError::io("create", dir))
}

/// Whoever owns data that is there already, as long as that is not root.
fn owner_of_data(dir: &Path) -> Option<Owner> {
    let meta = fs::metadata(dir.join("data")).ok()?;
    (meta.uid() != 0).then_some(Owner { uid: meta.uid(), gid: meta.gid() })
}

fn postgres_user() -> Result<Owner, ServerError> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(ServerError::io("read", "/etc/passwd"))?;
    find_user(&passwd, "postgres").ok_or(ServerError::NoPostgresUser)
}

fn find_user(passwd: &str, name: &str) -> Option<Owner> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Owner { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// True when the user may pass through every directory above `dir`.
fn reachable(dir: &Path, owner: Owner) -> Result<bool, ServerError> {
    for above in dir.ancestors().skip(1) {
        let meta = fs::metadata(above).map_err(ServerError::io("inspect", above))?;
        if !passable(&meta, owner) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn passable(meta: &Metadata, owner: Owner) -> bool {
    let bit = match (meta.uid() == owner.uid, meta.gid() == owner.gid) {
        (true, _) => 0o100,
        (_, true) => 0o010,
        _ => 0o001,
    };
    meta.permissions().mode() & bit != 0
}

/// One directory under /var/tmp per wanted one.
fn stand_in(wanted: &Path) -> PathBuf {
    let hash = hex::encode(Sha256::digest(wanted.as_os_str().as_encoded_bytes()));
    Path::new("/var/tmp").join(format!("nstore-{}", &hash[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgresx:x:7:8::/:/bin/sh\npostgres:x:101:104:P:/var:/bin/sh\n";
        assert_eq!(find_user(passwd, "postgres"), Some(Owner { uid: 101, gid: 104 }));
        assert_eq!(find_user(passwd, "nobody"), None);
    }

    #[test]
    fn a_closed_directory_above_makes_the_data_unreachable() {
        let root = tempfile::tempdir().unwrap();
        let wanted = root.path().join("closed/postgres");
        fs::create_dir_all(&wanted).unwrap();
        let closed = root.path().join("closed");
        let open = |dir: &Path, mode| fs::set_permissions(dir, PermissionsExt::from_mode(mode)).unwrap();
        open(root.path(), 0o755);
        let stranger = Owner { uid: 54321, gid: 54321 };
        open(&closed, 0o700);
        assert!(!reachable(&wanted, stranger).unwrap());
        open(&closed, 0o711);
        assert!(reachable(&wanted, stranger).unwrap());
    }

    #[test]
    fn each_wanted_directory_has_its_own_stand_in() {
        let one = stand_in(Path::new("/root/a"));
        assert_eq!(one, stand_in(Path::new("/root/a")));
        assert_ne!(one, stand_in(Path::new("/root/b")));
    }
}
