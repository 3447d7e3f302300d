//! Whether this host's Chromium starts.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::{ChromeError, Launch, launch, leftovers};

/// What to do when a part of it is missing.
const INSTALL: &str = "install it: apt-get install chromium";
/// How long the trial may take.
const TRIAL: Duration = Duration::from_secs(60);

/// Starts it once on an empty page: what is missing is said now, and not with the first chunk.
pub(crate) async fn try_out(how: &Launch) -> Result<String, ChromeError> {
    let version =
        run(Command::new(&how.binary).arg("--version")).await.map_err(|failed| failed.of(&how.binary))?;
    run(Command::new("setpriv").arg("--version")).await.map_err(|failed| {
        let (Failed::Known(what) | Failed::Odd(what)) = failed;
        ChromeError::Start(format!(
            "setpriv, which ends it with its worker, does not run: {what}; apt-get install util-linux"
        ))
    })?;
    let profile = how.profiles.join("trial");
    let mut command = Command::new(&how.binary);
    let mut args = how.args(&profile);
    args.retain(|arg| arg != "--remote-debugging-pipe" && arg != "--no-startup-window");
    command.args(args).args(["--dump-dom", "about:blank"]);
    command.env_clear().envs(launch::surroundings(&profile, &how.clock));
    launch::folders(&profile).map_err(|e| ChromeError::Start(e.to_string()))?;
    let tried = run(&mut command).await.map_err(|failed| failed.of(&how.binary));
    leftovers::kill_all_of(&profile);
    leftovers::remove(&profile);
    tried.map(|_| version)
}

/// A program that does not run.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    /// What is missing, and what to do.
    Known(String),
    /// What it looked like.
    Odd(String),
}

impl Failed {
    fn of(self, program: &Path) -> ChromeError {
        let program = program.display();
        ChromeError::Start(match self {
            Self::Known(what) => what,
            Self::Odd(what) => format!(
                "{program}: {what}; try `{program} --version`, or install it anew: apt-get install --reinstall chromium"
            ),
        })
    }
}

async fn run(command: &mut Command) -> Result<String, Failed> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(TRIAL, command.output()).await;
    let output = ended
        .map_err(|_| Failed::Odd(format!("no answer within {} s", TRIAL.as_secs())))?
        .map_err(|e| Failed::Odd(e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let (said, status) = (String::from_utf8_lossy(&output.stderr), output.status.to_string());
    let odd = || {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Failed::Odd(format!("{status}: {last}"))
    };
    Err(known(&said).map_or_else(odd, Failed::Known))
}

/// What its own words mean, and what to do.
fn known(said: &str) -> Option<String> {
    if said.contains("Running as root without --no-sandbox") {
        let what = "its sandbox refuses root: run the worker as another user, or say that it may go without: \
                    NSTORE_BROWSER_SANDBOX=off";
        return Some(what.to_owned());
    }
    if said.contains("No usable sandbox") || said.contains("sandbox_host_linux") {
        let what = "this host gives it no sandbox: allow user namespaces (in a container: the shipped seccomp \
                    profile), or say that it may go without: NSTORE_BROWSER_SANDBOX=off";
        return Some(what.to_owned());
    }
    let library = said.split("error while loading shared libraries: ").nth(1)?.split(':').next()?;
    Some(format!("the library {library} is missing; {INSTALL}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_is_there_and_does_not_run_is_named_with_its_package() {
        let program = Path::new("/bin/false");
        let error = run(&mut Command::new(program)).await.unwrap_err().of(program).to_string();
        for said in
            ["/bin/false: exit status: 1: it said nothing", "`/bin/false --version`", "--reinstall chromium"]
        {
            assert!(error.contains(said), "{error}");
        }
        let program = Path::new("/etc/hostname");
        let error = run(&mut Command::new(program)).await.unwrap_err().of(program).to_string();
        assert!(error.contains("/etc/hostname: ") && error.contains("apt-get install"), "{error}");
    }

    #[test]
    fn its_last_words_are_understood() {
        let root = "[1:1:ERROR] Running as root without --no-sandbox is not supported.";
        assert!(known(root).unwrap().contains("NSTORE_BROWSER_SANDBOX=off"));
        let library =
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file";
        assert_eq!(
            known(library).unwrap(),
            "the library libnss3.so is missing; install it: apt-get install chromium"
        );
        assert_eq!(known("a\n\nboom\n"), None);
    }
}
