//! What /proc says about a process.

use std::{fs, path::Path};

/// True while the process runs; a zombie, which nobody may reap inside a container, does not.
pub(super) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// True when a living process of that id is the named program, working in that directory.
pub(super) fn is_server_of(pid: u32, program: &str, dir: &Path) -> bool {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let works_there = match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(dir)) {
        (Ok(cwd), Ok(dir)) => cwd == dir,
        _ => false,
    };
    is_alive(pid) && comm.trim_end() == program && works_there
}

/// The children of a process, as far as they are visible.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, ppid)| ppid == parent))
        .collect()
}

/// State and parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name in parentheses may hold anything, further parentheses too
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
