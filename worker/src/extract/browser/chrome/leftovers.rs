//! Profiles and processes that outlived their worker, and what `/proc` tells of processes.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tracing::{info, warn};

/// A socket's path has at most 107 bytes (unix(7)); Chromium puts its own some 55 below this folder.
const LONGEST: usize = 50;
/// How long killed processes may take to go.
const GONE: Duration = Duration::from_secs(3);

/// The folder for the profiles of this process; what ended workers left of theirs goes.
pub(crate) fn own_folder() -> io::Result<PathBuf> {
    let root = std::env::temp_dir().join(format!("nstore-{}", getuid().as_raw()));
    private_folder(&root)?;
    let found = fs::symlink_metadata(&root)?;
    if !found.is_dir() || found.uid() != getuid().as_raw() {
        let message = format!("{} belongs to somebody else: remove it, or set TMPDIR", root.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    for entry in fs::read_dir(&root)? {
        let folder = entry?.path();
        if !owner_lives(&folder) {
            let killed = kill_all_of(&folder);
            remove(&folder);
            info!(folder = %folder.display(), processes = killed, "removed what a killed worker left of its browsers");
        }
    }
    let own = root.join(owner_name(std::process::id()).unwrap_or_else(|| std::process::id().to_string()));
    if own.as_os_str().len() > LONGEST {
        let message = format!("{} is too long for a browser's sockets: set a shorter TMPDIR", own.display());
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, message));
    }
    private_folder(&own)?;
    Ok(own)
}

/// A folder that nobody else may look into.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes a folder with all that is in it.
pub(crate) fn remove(folder: &Path) {
    // a process that was just killed may still be writing
    for _ in 0..20 {
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => std::thread::sleep(Duration::from_millis(50)),
            _ => return,
        }
    }
    warn!(folder = %folder.display(), "a browser's folder stays: it is removed when a worker starts");
}

/// Kills every process whose command line names a folder; says how many there were.
pub(crate) fn kill_all_of(folder: &Path) -> usize {
    let name = folder.as_os_str().as_encoded_bytes();
    let named = |process: &PathBuf| {
        fs::read(process.join("cmdline")).is_ok_and(|line| line.windows(name.len()).any(|part| part == name))
    };
    let own = std::process::id();
    let found: Vec<Pid> = processes()
        .filter(named)
        .filter_map(|p| pid(&p))
        .filter(|p| p.as_raw_nonzero().get().unsigned_abs() != own)
        .collect();
    for process in &found {
        // it may have ended meanwhile
        let _ = kill_process(*process, Signal::KILL);
    }
    let end = Instant::now() + GONE;
    while !found.is_empty()
        && Instant::now() < end
        && processes().any(|process| named(&process) && !is_zombie(&process))
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    found.len()
}

/// `<pid>-<when it started>` of a living process: a pid alone may be somebody else's by now.
fn owner_name(pid: u32) -> Option<String> {
    let found = stat(&PathBuf::from(format!("/proc/{pid}"))).filter(|stat| stat.state != 'Z');
    found.map(|stat| format!("{pid}-{}", stat.started))
}

fn owner_lives(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let pid = name.split('-').next().and_then(|pid| pid.parse().ok());
    pid.and_then(owner_name).is_some_and(|found| found == name)
}

/// The folders of all processes under `/proc`.
pub(super) fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .map(|entry| entry.path())
}

fn pid(process: &Path) -> Option<Pid> {
    Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)
}

/// What is needed of `/proc/<pid>/stat` (proc(5)).
pub(super) struct Stat {
    state: char,
    pub(super) group: i32,
    started: u64,
}

/// Reads a process's state; `None` when it is gone.
pub(super) fn stat(process: &Path) -> Option<Stat> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    // the name in parentheses may hold blanks and parentheses
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn is_zombie(process: &Path) -> bool {
    stat(process).is_none_or(|stat| stat.state == 'Z')
}

/// Bytes that a process holds, shared pages counted by their share.
pub(super) fn proportional_bytes(process: &Path) -> Option<u64> {
    let text = fs::read_to_string(process.join("smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn processes_that_name_a_folder_are_killed() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("sleep 60; # {}", dir.path().display());
        let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let end = Instant::now() + GONE;
        while kill_all_of(dir.path()) == 0 {
            assert!(Instant::now() < end, "the process was never seen");
        }
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn this_process_is_alive_and_an_older_one_of_its_number_is_not() {
        let name = owner_name(std::process::id()).unwrap();
        assert!(owner_lives(Path::new(&name)));
        assert!(!owner_lives(Path::new(&format!("{}-1", std::process::id()))));
        assert!(!owner_lives(Path::new("nonsense")));
    }
}
