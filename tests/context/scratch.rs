//! A temporary directory that is cleaned up even when its test is killed.
//!
//! A shell stands by with a pipe whose other end only this process has. When that closes, by drop or by death, the
//! shell ends whatever still works in the directory (servers, workers) and removes it.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const KEEPER: &str = r#"
read -r _
for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd")" in
        "$1" | "$1"/*) kill -9 "${process#/proc/}" ;;
    esac
done
rm -rf "$1"
"#;

/// A directory under the system's temporary one, gone with its owner.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keeper: Child,
}

impl Scratch {
    /// An empty directory with the word in its name, open to the user that PostgreSQL runs as.
    pub fn new(word: &str) -> Self {
        let base = fs::canonicalize(std::env::temp_dir()).expect("a temporary directory");
        let path = base.join(super::unique(&format!("nstore-{word}")));
        fs::create_dir(&path).expect("a fresh folder");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a folder of our own");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&path)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Self { path, keeper }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // ends by itself; waited for so that no zombie stays
        let _ = self.keeper.wait();
    }
}
