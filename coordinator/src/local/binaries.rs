//! Where the servers' programs are.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use nstore_shared::chromium;

use super::ServerError;

/// Debian keeps PostgreSQL's servers off PATH, one directory per version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What a usable PostgreSQL directory holds, all together.
const POSTGRES_PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// The browser by its package's name.
pub(super) const CHROMIUM: &str = "chromium";

/// All programs that private servers need.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `redis-server`.
    pub redis_server: PathBuf,
    /// PostgreSQL's own.
    pub postgres: PostgresBinaries,
}

impl Binaries {
    /// Finds all of them, or names all that are missing at once.
    pub fn find() -> Result<Self, ServerError> {
        match (find_redis_server(), PostgresBinaries::find(None)) {
            (Ok(redis_server), Ok(postgres)) => Ok(Self { redis_server, postgres }),
            (redis, postgres) => {
                Err(ServerError::MissingPrograms { missing: missing([redis.err(), postgres.err()]) })
            }
        }
    }
}

/// Looks for what will be started, and names all that is missing at once.
///
/// # Errors
/// When something is missing.
pub fn demand(postgres: bool, browser: bool) -> Result<(), ServerError> {
    let browser = if browser { find_browser().err() } else { None };
    if let Some(misnamed @ ServerError::Io { .. }) = browser {
        return Err(misnamed);
    }
    let postgres = if postgres { PostgresBinaries::find(None).err() } else { None };
    let missing = missing([find_redis_server().err(), postgres, browser]);
    if missing.is_empty() { Ok(()) } else { Err(ServerError::MissingPrograms { missing }) }
}

fn missing(faults: impl IntoIterator<Item = Option<ServerError>>) -> Vec<&'static str> {
    let named = |fault| match fault {
        ServerError::MissingPrograms { missing } => missing,
        _ => Vec::new(),
    };
    faults.into_iter().flatten().flat_map(named).collect()
}

/// The browser that workers start: the one that the user names, else the one on PATH.
///
/// # Errors
/// When it is not there.
pub fn find_browser() -> Result<PathBuf, ServerError> {
    let named = env::var_os(chromium::VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    chromium::find(named.as_deref()).map_err(|absent| match absent {
        chromium::Absent::Named(path) => {
            ServerError::io("use NSTORE_BROWSER_BINARY", &path)(ErrorKind::NotFound.into())
        }
        chromium::Absent::OnPath => ServerError::MissingPrograms { missing: vec![CHROMIUM] },
    })
}

/// `redis-server`.
pub fn find_redis_server() -> Result<PathBuf, ServerError> {
    find_on_path("redis-server").ok_or_else(|| ServerError::MissingPrograms { missing: vec!["redis-server"] })
}

/// A directory with PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresBinaries {
    dir: PathBuf,
}

impl PostgresBinaries {
    /// The directory for a major version when that is asked for and there; else the one on PATH; else Debian's newest.
    pub fn find(version: Option<u32>) -> Result<Self, ServerError> {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(&path, Path::new(DEBIAN), version)
    }

    fn find_in(path: &OsStr, debian: &Path, version: Option<u32>) -> Result<Self, ServerError> {
        let of_version = version.map(|version| debian.join(version.to_string()).join("bin"));
        let on_path = env::split_paths(path).filter_map(|dir| resolved(&dir));
        let mut candidates = of_version.into_iter().chain(on_path).chain(debian_dirs(debian));
        candidates.find(|dir| holds_all(dir)).map(|dir| Self { dir }).ok_or_else(|| {
            let anywhere = |name: &str| env::split_paths(path).any(|dir| dir.join(name).is_file());
            let missing: Vec<_> = POSTGRES_PROGRAMS.into_iter().filter(|name| !anywhere(name)).collect();
            // all are there, but scattered: none of them is usable without the others beside it
            let missing = if missing.is_empty() { POSTGRES_PROGRAMS.to_vec() } else { missing };
            ServerError::MissingPrograms { missing }
        })
    }

    /// `initdb`.
    pub fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    /// The interactive client, if it is installed.
    pub fn psql(&self) -> Option<PathBuf> {
        Some(self.dir.join("psql")).filter(|psql| psql.is_file()).or_else(|| find_on_path("psql"))
    }
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH").unwrap_or_default(), name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Follows a symbolic link of `postgres` to where its companions are. A script around the server hides its pid
/// and signals: passed over.
fn resolved(dir: &Path) -> Option<PathBuf> {
    let postgres = fs::canonicalize(dir.join("postgres")).ok()?;
    if is_script(&postgres) {
        return None;
    }
    let real = postgres.parent()?;
    Some(if holds_all(real) { real.to_owned() } else { dir.to_owned() })
}

fn is_script(file: &Path) -> bool {
    let mut start = [0; 2];
    File::open(file).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}

fn holds_all(dir: &Path) -> bool {
    POSTGRES_PROGRAMS.iter().all(|name| dir.join(name).is_file())
}

fn debian_dirs(debian: &Path) -> impl Iterator<Item = PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(debian)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(move |version| debian.join(version.to_string()).join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(dir: &Path, names: &[&str], content: &str) {
        fs::create_dir_all(dir).unwrap();
        for name in names {
            fs::write(dir.join(name), content).unwrap();
        }
    }

    #[test]
    fn a_wrapper_script_on_path_yields_to_the_newest_version_of_debian() {
        let root = tempfile::tempdir().unwrap();
        let (path, debian) = (root.path().join("path"), root.path().join("debian"));
        install(&path, &POSTGRES_PROGRAMS, "#!/bin/sh\n");
        for version in ["9", "15", "17"] {
            install(&debian.join(version).join("bin"), &POSTGRES_PROGRAMS, "ELF");
        }
        install(&debian.join("18").join("bin"), &["initdb"], "ELF");
        let find = |version| PostgresBinaries::find_in(path.as_os_str(), &debian, version).unwrap().dir;
        assert_eq!(find(None), debian.join("17/bin"));
        assert_eq!(find(Some(15)), debian.join("15/bin"));
        assert_eq!(find(Some(12)), debian.join("17/bin"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), &["initdb"], "ELF");
        let error =
            PostgresBinaries::find_in(root.path().as_os_str(), Path::new("/nowhere"), None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("postgres, pg_ctl;"), "{text}");
        assert!(text.ends_with("apt-get install postgresql"), "{text}");

        let none = OsStr::new("/nowhere");
        let postgres = PostgresBinaries::find_in(none, Path::new("/nowhere"), None).err();
        let browser = ServerError::MissingPrograms { missing: vec![CHROMIUM] };
        let missing = missing([None, postgres, Some(browser)]);
        let text = ServerError::MissingPrograms { missing }.to_string();
        assert!(text.contains("initdb, postgres, pg_ctl, chromium;"), "{text}");
        assert!(text.ends_with("apt-get install postgresql chromium"), "{text}");
    }
}
