//! Whether this host's Chromium starts.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::{ChromeError, Launch, launch, leftovers};

/// What to do when a part of it is missing.
const INSTALL: &str = "install it: apt-get install chromium";
/// How long the trial may take.
const TRIAL: Duration = Duration::from_secs(60);

/// Starts it once on an empty page: what is missing is said now, and not with the first chunk.
pub(crate) async fn try_out(how: &Launch) -> Result<String, ChromeError> {
    let version = run(Command::new(&how.binary).arg("--version")).await?;
    run(Command::new("setpriv").arg("--version")).await.map_err(|error| {
        ChromeError::Start(format!(
            "setpriv, which ends it with its worker: {error}; apt-get install util-linux"
        ))
    })?;
    let profile = how.profiles.join("trial");
    let mut command = Command::new(&how.binary);
    let mut args = how.args(&profile);
    args.retain(|arg| !arg.starts_with("--remote-debugging-port") && arg != "--no-startup-window");
    command.args(args).args(["--dump-dom", "about:blank"]);
    command.env_clear().envs(launch::surroundings(&profile));
    launch::folders(&profile).map_err(|e| ChromeError::Start(e.to_string()))?;
    let tried = run(&mut command).await;
    leftovers::kill_all_of(&profile);
    leftovers::remove(&profile);
    tried.map(|_| version)
}

async fn run(command: &mut Command) -> Result<String, ChromeError> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(TRIAL, command.output()).await;
    let output = ended
        .map_err(|_| ChromeError::Start(format!("no answer within {} s", TRIAL.as_secs())))?
        .map_err(|e| ChromeError::Start(e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(ChromeError::Start(why(&said, &output.status.to_string())))
}

/// What its own words mean, and what to do.
fn why(said: &str, status: &str) -> String {
    if said.contains("Running as root without --no-sandbox") {
        return "its sandbox refuses root: run the worker as another user, or say that it may go without: \
                NSTORE_BROWSER_SANDBOX=off"
            .to_owned();
    }
    if said.contains("No usable sandbox") || said.contains("sandbox_host_linux") {
        return "this host gives it no sandbox: allow user namespaces (in a container: the shipped seccomp profile), or \
                say that it may go without: NSTORE_BROWSER_SANDBOX=off"
            .to_owned();
    }
    if let Some(library) = said.split("error while loading shared libraries: ").nth(1) {
        let library = library.split(':').next().unwrap_or_default();
        return format!("the library {library} is missing; {INSTALL}");
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    format!("{status}: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_last_words_are_understood() {
        let root = "[1:1:ERROR] Running as root without --no-sandbox is not supported.";
        assert!(why(root, "").contains("NSTORE_BROWSER_SANDBOX=off"));
        let library =
            "chromium: error while loading shared libraries: libnss3.so: cannot open shared object file";
        assert_eq!(
            why(library, ""),
            "the library libnss3.so is missing; install it: apt-get install chromium"
        );
        assert_eq!(why("a\n\nboom\n", "exit status: 7"), "exit status: 7: boom");
    }
}
