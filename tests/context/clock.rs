//! A clock of its own for a process, which a test sets while it runs. The time that passes is the real one.

use std::path::PathBuf;

use super::Scratch;

/// A clock that is as far from the real one as it was set last.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
    _scratch: Scratch,
}

impl Clock {
    /// A clock that is so many seconds ahead, or behind.
    ///
    /// # Panics
    /// When Debian's package `faketime` is not installed.
    pub fn new(seconds: i64) -> Self {
        let scratch = Scratch::new("clock");
        let folders = std::fs::read_dir("/usr/lib").expect("a folder").flatten();
        let library = folders
            .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.exists())
            .expect("libfaketimeMT.so.1 below /usr/lib: run .ci/setup");
        let clock = Self { file: scratch.path().join("clock"), library, _scratch: scratch };
        clock.set(seconds);
        clock
    }

    /// Sets it so many seconds ahead of the real one, or behind.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn set(&self, seconds: i64) {
        // as a whole: it is read all the time
        let fresh = self.file.with_extension("fresh");
        std::fs::write(&fresh, format!("{seconds:+}")).expect("a file of ours");
        std::fs::rename(fresh, &self.file).expect("a file of ours");
    }

    /// How many seconds it is ahead of the real one.
    ///
    /// # Panics
    /// When its file cannot be read.
    pub fn seconds(&self) -> i64 {
        let text = std::fs::read_to_string(&self.file).expect("a file of ours");
        text.trim_start_matches('+').parse().expect("a number of ours")
    }

    /// The variables of a process that goes by it.
    pub fn env(&self) -> [(String, String); 4] {
        // libc's own malloc: jemalloc asks for the time while the library that gives it starts
        [
            ("LD_PRELOAD", format!("{}:libc.so.6", self.library.display())),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}
