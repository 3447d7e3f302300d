//! Reads the config directory: which files there are, and their text.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::Fault;

/// More than any honest file of ours holds.
const LARGEST: u64 = 1 << 20;

/// A fault of a file as a whole.
pub(super) fn fault(file: &Path, message: impl Into<String>, hint: Option<String>) -> Fault {
    Fault { file: file.to_owned(), at: None, message: message.into(), hint }
}

/// The text of a file; `None` when it is not there.
pub(super) fn text(file: &Path) -> Result<Option<String>, Fault> {
    let unreadable = |error: std::io::Error| fault(file, format!("cannot be read: {error}"), None);
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(found) if !found.is_file() => return Err(fault(file, "is no file", None)),
        Ok(found) if found.len() > LARGEST => {
            return Err(fault(
                file,
                format!("has {} bytes", found.len()),
                Some("1 MiB is the most".to_owned()),
            ));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(file).map_err(unreadable)?;
    let hint = || Some("save it as UTF-8".to_owned());
    String::from_utf8(bytes).map(Some).map_err(|_| fault(file, "is not UTF-8", hint()))
}

/// The YAML files of a folder by their stem; none when there is no such folder. What is wrong with the folder goes
/// to `shared`, what is wrong with a file to `own`, by its stem.
pub(super) fn yaml_files(
    folder: &Path,
    shared: &mut Vec<Fault>,
    own: &mut Vec<(String, Fault)>,
) -> BTreeMap<String, PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            shared.push(fault(folder, format!("cannot be read: {error}"), None));
            return BTreeMap::new();
        }
    };
    let mut found = BTreeMap::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if stem.starts_with('.') => {}
            Some("yaml") => {
                found.insert(stem, path);
            }
            // left unread it would be missed by nobody until its rows are
            Some("yml") => {
                let hint = Some(format!("call it {stem}.yaml"));
                own.push((stem, fault(&path, "is not read", hint)));
            }
            _ => {}
        }
    }
    found
}
