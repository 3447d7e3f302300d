//! What keeps a private server from running.

use std::{io, path::PathBuf, time::Duration};

use super::binaries::CHROMIUM;

/// Why a private server did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Programs that are not installed.
    #[error("not found on PATH or in /usr/lib/postgresql: {}; install them with: apt-get install {}", .missing.join(", "), packages(.missing).join(" "))]
    MissingPrograms {
        /// The names of all of them.
        missing: Vec<&'static str>,
    },
    /// Another living process holds this directory.
    #[error("{} is in use by another running process; wait until that has ended or choose another directory", dir.display())]
    InUse {
        /// The server's directory.
        dir: PathBuf,
    },
    /// The directory that stands in for an unreachable one belongs to a stranger.
    #[error("{} belongs to user {owner}, so data cannot be kept there safely; remove it and start again", dir.display())]
    ForeignDir {
        /// The directory.
        dir: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },
    /// Started as root, and there is nobody else to run PostgreSQL as.
    #[error(
        "postgres refuses to run as root and /etc/passwd has no user `postgres`; add one with: adduser --system --group postgres"
    )]
    NoPostgresUser,
    /// A program ended, or never got ready.
    #[error("{program} {what}; its log is {}\n{tail}", log.display())]
    Failed {
        /// The program's name.
        program: &'static str,
        /// What it did instead of starting.
        what: String,
        /// Where its whole log is.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// A server that survived every signal.
    #[error("{program} with pid {pid} does not end after {waited:?}; end it by hand")]
    StillRunning {
        /// The program's name.
        program: &'static str,
        /// Its process id.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// No free TCP port.
    #[error("no free port on 127.0.0.1 between 20000 and 32000")]
    NoFreePort,
    /// The operating system refused something.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or program.
        path: PathBuf,
        /// What it answered.
        source: io::Error,
    },
}

/// The packages that bring these programs, as Debian calls them.
fn packages(missing: &[&'static str]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing
        .iter()
        .map(|program| match *program {
            "redis-server" | CHROMIUM => *program,
            _ => "postgresql",
        })
        .collect();
    packages.dedup();
    packages
}

impl ServerError {
    /// For `map_err`: names what was tried with which path.
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
