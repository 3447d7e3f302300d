//! Signs of life: a file that a process renews each time Redis has answered it, and the check that looks at its age.
//! So the check tells of that very process, and costs no service anything.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Names the file. Without it no sign is given.
pub const VARIABLE: &str = "NSTORE_HEALTH_FILE";

/// Where a process gives signs of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    file: PathBuf,
    /// How long one sign is good for.
    good_for: Duration,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The last sign is so old, and good.
    Well(Duration),
    /// The last sign is older than it is good for: the process hangs, or Redis does not answer it.
    Silent(Duration),
    /// There is no sign: nothing has begun to work here yet, or it has ended.
    Absent(PathBuf),
    /// The file is none that a process leaves.
    Odd(PathBuf, String),
    /// No file is named.
    Unset,
}

impl Sign {
    /// The file that [`VARIABLE`] names, cleared of an earlier process's sign.
    ///
    /// # Errors
    /// When signs cannot be given there.
    pub fn from_env(
        env: &dyn Fn(&str) -> Option<String>,
        good_for: Duration,
    ) -> Result<Option<Self>, String> {
        let Some(file) = named(env) else { return Ok(None) };
        let sign = Self { file, good_for };
        // written and removed: a folder that is not there or not ours is found out now
        let tried = sign.write().and_then(|()| fs::remove_file(&sign.file));
        let failed = |e: io::Error| {
            format!(
                "{VARIABLE} names {}, which cannot be written: {e}; name a file in a folder of this process",
                sign.file.display()
            )
        };
        tried.map_err(failed)?;
        Ok(Some(sign))
    }

    /// Gives a sign. A failed one is logged, and a check notices that it is missing.
    pub fn give(&self) {
        if let Err(error) = self.write() {
            tracing::warn!(file = %self.file.display(), %error, "no sign of life can be given");
        }
    }

    /// Takes the sign away at a clean end.
    pub fn end(&self) {
        // one that stays is too old soon
        let _ = fs::remove_file(&self.file);
    }

    /// Whoever looks meanwhile finds the old sign or the new one, and never half of it.
    fn write(&self) -> io::Result<()> {
        let draft = self.file.with_extension("draft");
        fs::write(&draft, self.good_for.as_millis().to_string())?;
        fs::rename(draft, &self.file)
    }
}

/// Looks at the sign that [`VARIABLE`] names.
pub fn check(env: &dyn Fn(&str) -> Option<String>) -> Health {
    named(env).map_or(Health::Unset, |file| look(&file, SystemTime::now()))
}

fn look(file: &Path, now: SystemTime) -> Health {
    let odd = |why: String| Health::Odd(file.to_owned(), why);
    let found = fs::read_to_string(file).and_then(|text| Ok((text, fs::metadata(file)?.modified()?)));
    let (text, given) = match found {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Health::Absent(file.to_owned()),
        Err(e) => return odd(e.to_string()),
    };
    let Ok(good_for) = text.trim().parse().map(Duration::from_millis) else {
        return odd("it holds no number of milliseconds".to_owned());
    };
    match now.duration_since(given) {
        Ok(age) if age <= good_for => Health::Well(age),
        Ok(age) => Health::Silent(age),
        // the clock was set back since; the next sign is right again
        Err(_) => Health::Silent(Duration::ZERO),
    }
}

fn named(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    env(VARIABLE).filter(|file| !file.is_empty()).map(PathBuf::from)
}

impl Health {
    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Well(_))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well(age) => write!(f, "redis answered {} s ago", age.as_secs()),
            Self::Silent(age) => write!(
                f,
                "redis has not answered for {} s, or the process hangs; its log says more",
                age.as_secs()
            ),
            Self::Absent(file) => {
                write!(f, "no sign of life at {}: it is still starting, or has ended", file.display())
            }
            Self::Odd(file, why) => write!(f, "{} is no sign of life: {why}", file.display()),
            Self::Unset => write!(f, "{VARIABLE} is not set, for this check or for the process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_good_for_its_time_and_gone_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("health");
        let env = |name: &str| (name == VARIABLE).then(|| file.display().to_string());
        let sign = Sign::from_env(&env, Duration::from_secs(30)).unwrap().unwrap();
        assert_eq!(check(&env), Health::Absent(file.clone()), "nothing has answered yet");
        sign.give();
        assert!(check(&env).is_well(), "{}", check(&env));
        let later = |seconds| look(&file, SystemTime::now() + Duration::from_secs(seconds));
        assert!(later(29).is_well());
        assert!(matches!(later(31), Health::Silent(age) if age.as_secs() == 31), "{}", later(31));
        assert!(!look(&file, SystemTime::now() - Duration::from_secs(60)).is_well(), "of the future");
        sign.end();
        assert_eq!(check(&env), Health::Absent(file.clone()));
        fs::write(&file, "soon").unwrap();
        assert!(matches!(check(&env), Health::Odd(..)));
    }

    #[test]
    fn a_process_starts_without_its_predecessors_sign_and_not_where_it_can_give_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("health");
        fs::write(&file, "30000").unwrap();
        let env = |name: &str| (name == VARIABLE).then(|| file.display().to_string());
        assert!(Sign::from_env(&env, Duration::from_secs(1)).unwrap().is_some());
        assert!(!file.exists());
        let nowhere = |_: &str| Some("/no/such/folder/health".to_owned());
        let refused = Sign::from_env(&nowhere, Duration::from_secs(1)).unwrap_err();
        assert!(refused.contains("NSTORE_HEALTH_FILE names /no/such/folder/health"), "{refused}");
        assert_eq!(Sign::from_env(&|_| None, Duration::from_secs(1)), Ok(None));
        assert_eq!(check(&|_| None), Health::Unset);
    }
}
