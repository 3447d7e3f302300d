//! What a process writes, and what it has in memory, is for its own user alone.

use std::io;

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

/// From here on no other user can read the files and folders that this process and its children create, and a crash
/// of one of them writes no core dump, which would hold its secrets. For the start of `main`.
///
/// # Errors
/// When the operating system refuses the limit.
pub fn keep_to_this_user() -> io::Result<()> {
    umask(Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|errno| {
        let source = io::Error::from(errno);
        io::Error::new(source.kind(), format!("cannot rule out core dumps: {source}"))
    })
}
