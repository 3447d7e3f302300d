//! One Chromium process: its arguments, its profile, its end. Everything that it writes lies in its profile.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, PipeReader, Write as _, pipe},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::sleep,
    time::{Duration, Instant},
};

use nstore_shared::config::spec::browser::BrowserClock;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{ChromeError, bridge, leftovers};

/// How long it may take until it can be talked to.
const UP: Duration = Duration::from_secs(45);
/// Between two looks at what it is to do.
const LOOK: Duration = Duration::from_millis(10);
/// What the scripts of a page may hold. Without a limit a page that holds ever more looks for room, by its own account,
/// for a quarter of a minute before it crashes; with Chromium itself and what it shares this fits into 2 GiB.
pub(super) const HEAP_MIB: u32 = 1280;
/// Lines of its own that are kept for error texts.
const LAST_LINES: usize = 20;
/// Starts a program (`$0`) with its arguments. Chromium is spoken to over its files 3 and 4; Rust hands on those of
/// standard input and output.
const WITH_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
/// What is asked first: the answer tells that the browser is up.
const FIRST_CALL: &[u8] = b"{\"id\":0,\"method\":\"Browser.getVersion\"}\0";

/// How browsers are started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) binary: PathBuf,
    /// Whether Chromium's own sandbox is on.
    pub(crate) sandbox: bool,
    /// The folder of all profiles of this worker.
    pub(crate) profiles: PathBuf,
    /// Its clock and language, whatever this host has.
    pub(crate) clock: BrowserClock,
}

impl Launch {
    /// The arguments, for a profile.
    pub(super) fn args(&self, profile: &Path) -> Vec<String> {
        let mut args: Vec<String> = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-startup-window",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-breakpad",
            "--disable-client-side-phishing-detection",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-dev-shm-usage",
            "--disable-domain-reliability",
            "--disable-extensions",
            "--disable-gpu",
            "--disable-renderer-backgrounding",
            "--disable-sync",
            // reports embedded from elsewhere are read through the same connection
            "--disable-site-isolation-trials",
            "--disable-features=IsolateOrigins,site-per-process,Translate",
            "--hide-scrollbars",
            "--metrics-recording-only",
            "--mute-audio",
            "--password-store=basic",
            "--window-size=1920,1080",
        ]
        .map(str::to_owned)
        .into();
        args.push(format!("--js-flags=--max-old-space-size={HEAP_MIB}"));
        args.push(format!("--user-data-dir={}", profile.display()));
        args.push(format!("--lang={}", self.clock.locale));
        args.push(format!("--accept-lang={}", accepted_languages(&self.clock.locale)));
        if !self.sandbox {
            args.push("--no-sandbox".to_owned());
        }
        args
    }
}

/// A process, with all its children in a group of its own.
pub(crate) struct Process {
    /// Where it can be talked to, once, by those who are told.
    pub(super) address: String,
    group: Pid,
    profile: PathBuf,
    child: Mutex<Child>,
    /// It was waited for: its number may be somebody else's by now.
    ended: AtomicBool,
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts it and waits until it can be talked to.
    pub(super) fn launch(launch: &Launch) -> Result<Self, ChromeError> {
        let name: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(4).collect();
        let profile = launch.profiles.join(name);
        let failed = |e: &std::io::Error| {
            ChromeError::Start(format!(
                "no profile at {}: {e}; is there room, and may it be written?",
                profile.display()
            ))
        };
        folders(&profile).map_err(|e| failed(&e))?;
        let pipes = || Ok::<_, std::io::Error>((pipe()?, pipe()?));
        let ((commands, mut to_browser), (from_browser, answers)) = pipes().map_err(|e| failed(&e))?;
        let mut command = command(launch, &profile);
        command.stdin(commands).stdout(answers).stderr(Stdio::piped());
        let started = command.spawn();
        // it holds the browser's ends of the pipes, which would seem to live on
        drop(command);
        let mut child = started.map_err(|e| {
            leftovers::remove(&profile);
            ChromeError::Start(format!("{}: {e}", launch.binary.display()))
        })?;
        let lines = Arc::default();
        read_lines(&mut child, &lines);
        let mut process = Self {
            address: String::new(),
            group: Pid::from_child(&child),
            profile,
            child: Mutex::new(child),
            ended: AtomicBool::new(false),
            lines,
        };
        // fails when it has ended already
        let asked = to_browser.write_all(FIRST_CALL);
        let up = first_answer(from_browser);
        let answer = process.wait_for(|| up.try_recv().ok());
        let (Ok(()), Some(from_browser)) = (asked, answer) else {
            process.end();
            return Err(ChromeError::Start(process.last_words()));
        };
        process.address = bridge::open(to_browser, from_browser)
            .map_err(|e| ChromeError::Start(format!("no connection to it: {e}")))?;
        Ok(process)
    }

    /// Waits for what it does as it starts; not for what a dead one will never do.
    pub(super) fn wait_for<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let end = Instant::now() + UP;
        loop {
            let may_come = self.lives() && Instant::now() < end;
            let found = look();
            if found.is_some() || !may_come {
                return found;
            }
            sleep(LOOK);
        }
    }

    /// Whether it runs. Its children may do so without it, and hold its pipes open.
    pub(super) fn lives(&self) -> bool {
        // it is still to be waited for: its number stays its own
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !self.ended.load(Ordering::SeqCst) && matches!(waitid(WaitId::Pid(self.group), look), Ok(None))
    }

    /// Kills it and its children.
    pub(super) fn kill(&self) {
        if !self.ended.load(Ordering::SeqCst) {
            // ESRCH: all of them are gone already
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    /// Kills it, waits for its end, and removes what it wrote.
    pub(super) fn end(&self) {
        self.kill();
        let mut child = locked(&self.child);
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        // it was killed: there is nothing else to learn from its status
        let _ = child.wait();
        leftovers::kill_all_of(&self.profile);
        leftovers::remove(&self.profile);
    }

    /// Where downloads land.
    pub(super) fn downloads(&self) -> PathBuf {
        self.profile.join("downloads")
    }

    /// What it said last.
    pub(super) fn last_words(&self) -> String {
        let lines = locked(&self.lines);
        let said: Vec<&str> = lines.iter().rev().take(3).rev().map(String::as_str).collect();
        if said.is_empty() { "it said nothing".to_owned() } else { said.join(" | ") }
    }

    /// Bytes that its processes hold, shared pages counted by their share.
    pub(super) fn memory(&self) -> u64 {
        let group = self.group.as_raw_nonzero().get();
        leftovers::processes()
            .filter(|process| leftovers::stat(process).is_some_and(|stat| stat.group == group))
            .filter_map(|process| leftovers::proportional_bytes(&process))
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The command that starts it. The process dies when the thread ends that launched it, however that happens.
fn command(launch: &Launch, profile: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "sh", "-c", WITH_PIPES]);
    command.arg(&launch.binary).args(launch.args(profile));
    command.env_clear().envs(surroundings(profile, &launch.clock)).process_group(0);
    command
}

/// Makes a profile with the folders that a browser writes into.
pub(super) fn folders(profile: &Path) -> std::io::Result<()> {
    ["home", "tmp", "downloads"]
        .iter()
        .try_for_each(|folder| leftovers::private_folder(&profile.join(folder)))
}

/// The variables that a browser is given. What is set for this worker, secrets included, is none of its business.
/// Neither are this host's clock and language: the source has its own.
pub(super) fn surroundings(profile: &Path, clock: &BrowserClock) -> Vec<(OsString, OsString)> {
    const PASSED_ON: [&str; 7] =
        ["PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    let given = |name: &str| Some((name.into(), std::env::var_os(name)?));
    let mut variables: Vec<(OsString, OsString)> = PASSED_ON.into_iter().filter_map(given).collect();
    variables.push(("HOME".into(), profile.join("home").into()));
    variables.push(("TMPDIR".into(), profile.join("tmp").into()));
    variables.push(("TZ".into(), clock.timezone.name().into()));
    variables.push(("LANG".into(), "C.UTF-8".into()));
    variables.push(("LANGUAGE".into(), clock.locale.replace('-', "_").into()));
    variables
}

/// The languages that pages are asked for: the one of the source, then the same wherever it is spoken.
fn accepted_languages(locale: &str) -> String {
    match locale.split_once('-') {
        Some((language, _)) => format!("{locale},{language}"),
        None => locale.to_owned(),
    }
}

/// Reads what it says for as long as it lives.
fn read_lines(child: &mut Child, lines: &Arc<Mutex<VecDeque<String>>>) {
    let lines = lines.clone();
    if let Some(stderr) = child.stderr.take() {
        // without a thread for it the pipe is closed, and its last words are missing in error texts
        let _ = std::thread::Builder::new().name("browser-log".to_owned()).spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if !line.trim().is_empty() {
                    let mut kept = locked(&lines);
                    kept.push_back(line.trim().chars().take(300).collect());
                    if kept.len() > LAST_LINES {
                        kept.pop_front();
                    }
                }
            }
        });
    }
}

/// Waits for the first answer; then the pipe comes through the channel.
fn first_answer(from_browser: PipeReader) -> mpsc::Receiver<BufReader<PipeReader>> {
    let (sender, up) = mpsc::channel();
    let mut from_browser = BufReader::new(from_browser);
    // without a thread for it the channel is closed, and the launch fails
    let _ = std::thread::Builder::new().name("browser-up".to_owned()).spawn(move || {
        if let Ok(Some(_)) = bridge::next_message(&mut from_browser) {
            // nobody waits any more: it was given up
            let _ = sender.send(from_browser);
        }
    });
    up
}

pub(super) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The size of a file that is there.
pub(crate) fn size_of(file: &Path) -> Option<u64> {
    fs::metadata(file).ok().map(|found| found.len())
}
