//! What an installation of a test's own is made of beside its servers: config, and what browsers leave.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The shipped config, in a folder of its own.
pub fn copy_config(to: &Path) {
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../config"), to);
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of ours");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file to copy");
        }
    }
}

/// Replaces a text in a file, which must hold it.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file of ours");
    assert!(text.contains(from), "{} does not hold `{from}`", path.display());
    fs::write(path, text.replace(from, to)).expect("a file of ours");
}

/// The processes of browsers whose profiles lie in a folder, and those profiles.
pub fn browsers(folder: &Path) -> (Vec<u32>, Vec<PathBuf>) {
    let name = folder.to_str().expect("a path of ours");
    let own = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    };
    let pids = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(own).collect();
    let roots = fs::read_dir(folder).into_iter().flatten().flatten();
    let profiles = roots.flat_map(|root| fs::read_dir(root.path()).into_iter().flatten().flatten());
    (pids, profiles.map(|entry| entry.path()).collect())
}
