//! A file system of its own in a folder, that can become full.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::ensure;

const PIECE: usize = 1 << 20;

/// A small file system in memory, until it is dropped.
pub(crate) struct Room {
    dir: PathBuf,
    keeper: Child,
}

impl Room {
    /// Over what is in a folder; none for those who may not mount.
    pub(crate) fn of(dir: &Path, megabytes: u32) -> anyhow::Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            println!("chaos: a full disk is left out: it takes root, who may mount one");
            return Ok(None);
        }
        let size = format!("size={megabytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "chaos"]).arg(dir).status()?;
        ensure!(status.success(), "mount ended with {status}");
        // it goes with us, even when we are killed
        let keeper = Command::new("sh")
            .args(["-c", "read -r _; umount -l \"$1\"", "keeper"])
            .arg(dir)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Some(Self { dir: dir.to_owned(), keeper }))
    }

    /// There is no room for so long.
    pub(crate) async fn fill(&self, time: Duration) -> anyhow::Result<()> {
        let path = self.dir.join("filler");
        let mut filler = std::fs::File::create(&path)?;
        let piece = vec![0; PIECE];
        while filler.write_all(&piece).is_ok() {}
        tokio::time::sleep(time).await;
        Ok(std::fs::remove_file(path)?)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
