//! A file system of its own in a folder, that can become full.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const PIECE: usize = 1 << 20;

/// A small file system in memory, until it is dropped.
#[derive(Debug)]
pub struct Room {
    dir: PathBuf,
    keeper: Child,
}

impl Room {
    /// Over what is in a folder; none for those who may not mount.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn of(dir: &Path, megabytes: u32) -> std::io::Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            println!("a full disk is left out: it takes root, who may mount one");
            return Ok(None);
        }
        let size = format!("size={megabytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "room"]).arg(dir).status()?;
        if !status.success() {
            return Err(std::io::Error::other(format!("mount ended with {status}")));
        }
        // it goes with us, even when we are killed
        let keeper = Command::new("sh")
            .args(["-c", "read -r _; umount -l \"$1\"", "keeper"])
            .arg(dir)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Some(Self { dir: dir.to_owned(), keeper }))
    }

    /// There is no room for so long.
    ///
    /// # Errors
    /// When the file that takes it all cannot be made or removed.
    pub async fn fill(&self, time: Duration) -> std::io::Result<()> {
        let path = self.dir.join("filler");
        let mut filler = std::fs::File::create(&path)?;
        let piece = vec![0; PIECE];
        while filler.write_all(&piece).is_ok() {}
        tokio::time::sleep(time).await;
        std::fs::remove_file(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
