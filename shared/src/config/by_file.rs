//! Settings by file: `NSTORE_REDIS_URL_FILE` names a file that holds what `NSTORE_REDIS_URL` would. So an address with
//! a password is seen neither in a process list nor by `docker inspect`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Fault, files, fill::Env, secrets};

/// The settings of [`super::Services`] that may be given so.
const ADDRESSES: [&str; 3] = ["NSTORE_REDIS_URL", "NSTORE_POSTGRES_URL", "NSTORE_STORAGE_URL"];

/// A setting of the environment, or of the file that the variable with `_FILE` at its end names.
///
/// # Errors
/// When both are set, or the file cannot be used: it is not there, not to be read, empty, or others can read it.
pub fn setting(name: &str, env: Env<'_>) -> Result<Option<String>, Fault> {
    let set = |name: &str| env(name).filter(|text| !text.is_empty());
    let by_file = of_file(name);
    let Some(file) = set(&by_file) else { return Ok(set(name)) };
    let fault = |message: String, hint: &str| Fault {
        file: PathBuf::from(&by_file),
        at: None,
        message,
        hint: Some(hint.to_owned()),
    };
    if set(name).is_some() {
        return Err(fault(format!("{name} is set as well"), "set one of the two, and leave the other out"));
    }
    let path = Path::new(&file);
    secrets::private(path)?;
    let missing =
        || fault(format!("names {file}, which is not there"), "correct the path, or mount the secret");
    let text = files::text(path)?.ok_or_else(missing)?;
    match text.trim() {
        "" => Err(fault(format!("names {file}, which is empty"), "write the value into it")),
        text if text.contains('\n') => {
            Err(fault(format!("names {file}, which has several lines"), "leave the value alone in it"))
        }
        text => Ok(Some(text.to_owned())),
    }
}

/// The addresses that are given by file, with the faults of those that cannot be read.
pub(super) fn addresses(env: Env<'_>, faults: &mut Vec<Fault>) -> BTreeMap<&'static str, String> {
    let given = |name: &&'static str| env(&of_file(name)).is_some_and(|file| !file.is_empty());
    let mut found = BTreeMap::new();
    for name in ADDRESSES.iter().filter(|name| given(name)) {
        match setting(name, env) {
            Ok(value) => drop(value.and_then(|value| found.insert(*name, value))),
            Err(fault) => faults.push(fault),
        }
    }
    found
}

/// The variable that names a setting's file.
pub(super) fn of_file(name: &str) -> String {
    format!("{name}_FILE")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn said(text: Option<&str>, mode: u32, beside: Option<&str>) -> Result<Option<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let env = |name: &str| match name {
            "NSTORE_REDIS_URL_FILE" => Some(file.display().to_string()),
            "NSTORE_REDIS_URL" => beside.map(str::to_owned),
            _ => None,
        };
        let place = dir.path().display().to_string();
        setting("NSTORE_REDIS_URL", &env).map_err(|fault| fault.to_string().replace(&place, "DIR"))
    }

    #[test]
    fn a_setting_comes_from_its_file() {
        let url = "redis://:hunter2@queue:6379".to_owned();
        assert_eq!(said(Some(&format!("{url}\n")), 0o600, None), Ok(Some(url.clone())));
        assert_eq!(said(Some(&url), 0o400, Some("")), Ok(Some(url)));
        let plain = |name: &str| (name == "NSTORE_REDIS_URL").then(|| "redis://a".to_owned());
        assert_eq!(setting("NSTORE_REDIS_URL", &plain).unwrap().as_deref(), Some("redis://a"));
        assert_eq!(setting("NSTORE_POSTGRES_URL", &plain).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_and_its_text_is_not() {
        let url = Some("redis://:hunter2@queue");
        for (fault, expected) in [
            (said(None, 0, None), "NSTORE_REDIS_URL_FILE: names DIR/url, which is not there"),
            (said(Some("\n"), 0o600, None), "NSTORE_REDIS_URL_FILE: names DIR/url, which is empty"),
            (said(url, 0o600, Some("redis://b")), "NSTORE_REDIS_URL_FILE: NSTORE_REDIS_URL is set as well"),
            (said(url, 0o644, None), "DIR/url: holds secrets, and others can get at it (mode 644)"),
            (said(Some("redis://:hunter2@queue\nx"), 0o600, None), "which has several lines"),
        ] {
            let fault = fault.unwrap_err();
            assert!(fault.contains(expected) && !fault.contains("hunter2"), "{fault}");
        }
    }
}
