//! Values for secret names: `NSTORE_SECRET_RAZORPAY_KEY_ID` first, then the credentials file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

pub use super::redact::{is_plain_word, redact};
use super::{
    Fault, Faults,
    check::value,
    files, nearest,
    spec::SecretRef,
    tree::{self, Node, Position, Value},
};

/// A secret's value. It has no `Debug` and no `Display`, so no log line holds it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Looks a variable up for as long as the process lives.
type Env = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A value that texts must not show.
pub(super) struct Hidden {
    pub(super) value: String,
    /// It is a user name, and nothing else.
    pub(super) user_name: bool,
}

/// How the last part of a user name's name reads, where no source has told.
const USER_NAMES: [&str; 6] = ["user", "username", "user_name", "login", "account", "email"];

/// Where values are looked up.
pub struct Secrets {
    file: BTreeMap<String, String>,
    env: Env,
    /// What the environment gave so far: it cannot be listed, and `values` must know it.
    given: Mutex<BTreeMap<String, String>>,
    /// The names of secrets that sources take for user names.
    user_names: Mutex<BTreeSet<String>>,
}

/// Names only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Secrets {
    /// Where the credentials file lies: `NSTORE_CREDENTIALS`, else `credentials.yaml` beside the config.
    pub fn file(config_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
        let named = env("NSTORE_CREDENTIALS").filter(|path| !path.is_empty());
        named.map_or_else(|| config_dir.join("credentials.yaml"), PathBuf::from)
    }

    /// Reads the credentials file if it is there; a file that others can read is refused.
    ///
    /// # Errors
    /// All faults of the file.
    pub fn load(
        file: &Path,
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, Faults> {
        let found = private(file).and_then(|()| files::text(file)).map_err(|fault| Faults(vec![fault]))?;
        let values = found.map_or_else(|| Ok(BTreeMap::new()), |text| credentials(file, &text))?;
        Ok(Self { file: values, env: Box::new(env), given: Mutex::default(), user_names: Mutex::default() })
    }

    /// Secrets with these names and values and no others.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            file: values.into_iter().collect(),
            env: Box::new(|_| None),
            given: Mutex::default(),
            user_names: Mutex::default(),
        }
    }

    /// The value of a secret, if this host has it.
    pub fn get(&self, name: &SecretRef) -> Option<Secret> {
        if let Some(value) = (self.env)(&Self::variable(name)).filter(|value| !value.is_empty()) {
            self.given().insert(name.0.clone(), value.clone());
            return Some(Secret(value));
        }
        self.file.get(&name.0).cloned().map(Secret)
    }

    /// The environment variable that holds a secret: `NSTORE_SECRET_RAZORPAY_KEY_ID`.
    pub fn variable(name: &SecretRef) -> String {
        format!("NSTORE_SECRET_{}", name.0.to_uppercase().replace('.', "_"))
    }

    /// All values of the file, and those of the environment that were asked for: what no text may show.
    pub fn values(&self) -> Vec<String> {
        let given = self.given();
        self.file.values().chain(given.values()).cloned().collect()
    }

    /// Notes that a source takes these secrets for user names: names and paths may hold them by chance.
    pub fn note_user_names<'a>(&self, names: impl IntoIterator<Item = &'a SecretRef>) {
        let mut known = self.user_names.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(names.into_iter().map(|name| name.0.clone()));
    }

    /// All values that no text may show, and which of them are user names.
    pub(super) fn hidden(&self) -> Vec<Hidden> {
        let (given, noted) = (self.given(), self.user_names.lock().unwrap_or_else(PoisonError::into_inner));
        let called = |name: &str| USER_NAMES.contains(&name.rsplit('.').next().unwrap_or(name));
        let all = || self.file.iter().chain(given.iter());
        let is_user_name = |name: &String| noted.contains(name) || called(name);
        let others: BTreeSet<&String> =
            all().filter(|(name, _)| !is_user_name(name)).map(|(_, value)| value).collect();
        all().map(|(_, value)| Hidden { value: value.clone(), user_name: !others.contains(value) }).collect()
    }

    /// The name of this host's that was most likely meant.
    pub(super) fn nearest(&self, name: &SecretRef) -> Option<String> {
        let names = self.names();
        nearest::nearest(&name.0, names.iter().map(String::as_str)).map(str::to_owned)
    }

    fn names(&self) -> BTreeSet<String> {
        let given = self.given();
        self.file.keys().chain(given.keys()).cloned().collect()
    }

    fn given(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        // a map of strings is whole after every step, so a panic elsewhere spoils nothing
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where container engines mount a container's secrets, with an owner and a mode of their own choice. Who is in the
/// container may read them, and nobody else sees them there.
const OF_CONTAINER: &str = "/run/secrets";

/// Refuses a file that its group or others can read.
pub(super) fn private(file: &Path) -> Result<(), Fault> {
    let Ok(found) = fs::metadata(file) else { return Ok(()) };
    let mode = found.mode() & 0o777;
    if mode & 0o077 == 0 || fs::canonicalize(file).is_ok_and(|real| real.starts_with(OF_CONTAINER)) {
        return Ok(());
    }
    let message = format!("holds secrets, and others can get at it (mode {mode:03o})");
    Err(files::fault(file, message, Some(format!("chmod 600 {}", file.display()))))
}

/// Names and values of a credentials file; no message shows what the file holds, but for its keys.
fn credentials(file: &Path, text: &str) -> Result<BTreeMap<String, String>, Faults> {
    let fault = |at: Position, message: String, hint: &str| Fault {
        file: file.to_owned(),
        at: Some(at),
        message,
        hint: Some(hint.to_owned()),
    };
    let quotes = "put values with special characters in single quotes: key: '*a&b!c'";
    let (root, mistakes) = match tree::parse(text) {
        Ok(found) => found,
        Err(mistake) => {
            return Err(Faults(vec![fault(mistake.at, "not valid YAML here".to_owned(), quotes)]));
        }
    };
    let mut faults: Vec<Fault> = mistakes
        .into_iter()
        .map(|mistake| fault(mistake.at, mistake.message, mistake.hint.as_deref().unwrap_or(quotes)))
        .collect();
    let mut values = BTreeMap::new();
    let mut found = Vec::new();
    match &root.value {
        Value::Scalar(scalar) if scalar.text.is_empty() => {}
        Value::Map(_) => flatten("", &root, &mut found),
        _ => faults.push(fault(
            root.at,
            "must be a map of names and values".to_owned(),
            "razorpay: { key_id: … }",
        )),
    }
    for (name, at, value) in found {
        match value {
            _ if value::secret(&name).is_err() => {
                let hint = "lower-case words of a-z, 0-9 and `_`, with dots between them";
                faults.push(fault(at, format!("`{name}` is no name of a secret"), hint));
            }
            None => faults.push(fault(
                at,
                format!("secret `{name}` has no value"),
                "key: 'value', in quotes if it holds # or :",
            )),
            Some(_) if values.contains_key(&name) => {
                faults.push(fault(at, format!("secret `{name}` stands here twice"), "keep one of the two"));
            }
            Some(value) => {
                values.insert(name, value);
            }
        }
    }
    super::all_or(faults, || values)
}

fn flatten(prefix: &str, node: &Node, found: &mut Vec<(String, Position, Option<String>)>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, inner) in entries {
                let name =
                    if prefix.is_empty() { key.name.clone() } else { format!("{prefix}.{}", key.name) };
                flatten(&name, inner, found);
            }
        }
        Value::Scalar(scalar) if scalar.meaning() != tree::Meaning::Nothing && !scalar.text.is_empty() => {
            found.push((prefix.to_owned(), node.at, Some(scalar.text.clone())));
        }
        Value::Scalar(_) | Value::List(_) | Value::Broken => found.push((prefix.to_owned(), node.at, None)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file_of(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials.yaml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        (dir, file)
    }

    fn faults(text: &str) -> String {
        credentials(Path::new("credentials.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let (_dir, file) = file_of("pay: { key_id: from-file, key_secret: 00123 }\nflat.name: x y\n", 0o600);
        let env = |name: &str| (name == "NSTORE_SECRET_PAY_KEY_ID").then(|| "from-env".to_owned());
        let secrets = Secrets::load(&file, env).unwrap();
        let get = |name: &str| secrets.get(&SecretRef(name.into())).map(|secret| secret.expose().to_owned());
        assert_eq!(get("pay.key_id").as_deref(), Some("from-env"));
        assert_eq!(get("pay.key_secret").as_deref(), Some("00123"));
        assert_eq!(get("flat.name").as_deref(), Some("x y"));
        assert_eq!(get("pay"), None);
        assert!(secrets.values().contains(&"from-env".to_owned()));
        let shown = format!("{secrets:?}");
        assert!(
            shown.contains("pay.key_secret") && !shown.contains("00123") && !shown.contains("from-"),
            "{shown}"
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o644, 0o620] {
            let (_dir, file) = file_of("a: b\n", mode);
            let report = Secrets::load(&file, |_| None).unwrap_err().to_string();
            assert!(
                report.contains(&format!("(mode {mode:03o})\n  chmod 600 {}", file.display())),
                "{report}"
            );
        }
    }

    #[test]
    fn no_file_is_no_fault() {
        assert!(Secrets::load(Path::new("no/such/file"), |_| None).unwrap().values().is_empty());
        let named = |name: &str| (name == "NSTORE_CREDENTIALS").then(|| "/etc/x.yaml".to_owned());
        assert_eq!(Secrets::file(Path::new("config"), &named), PathBuf::from("/etc/x.yaml"));
        assert_eq!(Secrets::file(Path::new("config"), &|_| None), PathBuf::from("config/credentials.yaml"));
    }

    #[test]
    fn faults_of_the_file_show_no_value() {
        let text = "pay:\n  Key: hunter2\n  none:\n  list: [hunter2]\npay.none: x\nx.y: hunter2\nx: { y: hunter3 }\n\
                    t: !hunter2\n";
        insta::assert_snapshot!(faults(text), @r"
        config: 6 problems

        credentials.yaml:2:8: `pay.Key` is no name of a secret
          lower-case words of a-z, 0-9 and `_`, with dots between them
        credentials.yaml:3:7: secret `pay.none` has no value
          key: 'value', in quotes if it holds # or :
        credentials.yaml:4:9: secret `pay.list` has no value
          key: 'value', in quotes if it holds # or :
        credentials.yaml:7:9: secret `x.y` stands here twice
          keep one of the two
        credentials.yaml:8:12: YAML tags (`!…`) have no meaning here
          remove it, or put the value in quotes
        credentials.yaml:8:12: secret `t` has no value
          key: 'value', in quotes if it holds # or :
        ");
        for text in ["a: *hunter2", "a: 'hunter2", "hunter2", "[hunter2]", "a: @hunter2"] {
            let report = faults(text);
            assert!(!report.contains("hunter2"), "{report}");
        }
    }
}
