//! Which Chromium a host has: what it may be called, and where it is looked for.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The variable that names one off PATH.
pub const VARIABLE: &str = "NSTORE_BROWSER_BINARY";
/// What it may be called; the first one that is found is taken.
pub const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// It is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// Nothing is where the variable points.
    #[error("there is no {}; install it: apt-get install chromium, or correct {VARIABLE}", .0.display())]
    Named(PathBuf),
    /// PATH has none.
    #[error("there is no {} on PATH; install it: apt-get install chromium", NAMES.join(" or "))]
    OnPath,
}

/// The program: the one that is named, else the first one on PATH.
///
/// # Errors
/// When it is not there.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Absent> {
    find_in(named, &env::var_os("PATH").unwrap_or_default())
}

fn find_in(named: Option<&Path>, path: &OsStr) -> Result<PathBuf, Absent> {
    match named {
        Some(named) if named.is_file() => Ok(named.to_owned()),
        Some(named) => Err(Absent::Named(named.to_owned())),
        None => {
            let places = NAMES.iter().flat_map(|name| env::split_paths(path).map(move |dir| dir.join(name)));
            places.into_iter().find(|file| file.is_file()).ok_or(Absent::OnPath)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_found_by_any_of_its_names_and_chromium_first() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("first"), root.path().join("second"));
        for file in ["first/google-chrome", "first/chromium-browser", "second/chromium"] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "#!/bin/sh\n").unwrap();
        }
        let path = |dirs: &[&Path]| env::join_paths(dirs).unwrap();
        assert_eq!(find_in(None, &path(&[&first])).unwrap(), first.join("chromium-browser"));
        assert_eq!(find_in(None, &path(&[&first, &second])).unwrap(), second.join("chromium"));
        let named = second.join("chromium");
        assert_eq!(find_in(Some(&named), OsStr::new("")).unwrap(), named);
        let none = find_in(None, OsStr::new("/nowhere")).unwrap_err().to_string();
        assert!(none.contains("apt-get install chromium"), "{none}");
        let absent =
            find_in(Some(Path::new("/nowhere/chromium")), &path(&[&second])).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/chromium") && absent.contains(VARIABLE), "{absent}");
    }
}
