//! Worker processes of this machine: started, started again when they die, ended in good order.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    LocalError, ServerError,
    child::{end_orphan, send, tail},
    proc,
};

const PROGRAM: &str = "nstore-worker";
/// Chunks that one process works on at once over HTTP.
const SLOTS_PER_PROCESS: u32 = 4;
/// A browser that takes too much memory takes its worker's other chunks with it.
const BROWSERS_PER_PROCESS: u32 = 1;
/// A worker that keeps dying has a reason that another start does not mend.
const RESTARTS: u32 = 5;
const RESTART_AFTER: Duration = Duration::from_millis(200);
/// A draining worker finishes or gives back its chunks within its own, shorter grace time.
const DRAIN: Duration = Duration::from_secs(60);

/// Chunks in flight, over all processes, by kind of worker; no worker is started for 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots {
    /// Over HTTP.
    pub api: u32,
    /// Each in a browser of its own.
    pub browser: u32,
}

impl Slots {
    /// No worker at all.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What workers are told.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The program.
    pub program: PathBuf,
    /// Chunks in flight.
    pub slots: Slots,
    /// Where logs go: `worker-1.log`, `browser-1.log`.
    pub logs: PathBuf,
    /// Where the ids of processes are kept, for the next start after a crash.
    pub state: PathBuf,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
}

/// Running worker processes.
#[derive(Debug)]
pub struct Workers {
    order: watch::Sender<Order>,
    lives: JoinSet<Result<(), LocalError>>,
    state: PathBuf,
}

/// What all workers are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Work,
    Drain,
    Die,
}

/// The worker program: beside the running executable.
///
/// # Errors
/// When it is not there.
pub fn find_program() -> Result<PathBuf, LocalError> {
    let own = std::env::current_exe().map_err(ServerError::io("find", "/proc/self/exe"))?;
    let beside = own.with_file_name(PROGRAM);
    if beside.is_file() { Ok(beside) } else { Err(LocalError::NoWorker { expected: beside }) }
}

impl Workers {
    /// Starts enough processes for the slots.
    ///
    /// # Errors
    /// When a process cannot be started at all.
    pub fn start(options: &WorkerOptions) -> Result<Self, LocalError> {
        fs::create_dir_all(&options.logs).map_err(ServerError::io("create", &options.logs))?;
        let (order, orders) = watch::channel(Order::Work);
        let state = options.state.clone();
        let mut workers = Self { order, lives: JoinSet::new(), state: state.clone() };
        for (kind, name, number, slots) in processes(options.slots) {
            let log = options.logs.join(format!("{name}-{number}.log"));
            let life = Life { options: options.clone(), kind, slots, log, orders: orders.clone() };
            let child = life.spawn()?;
            workers.lives.spawn(life.live(child));
        }
        Ok(workers)
    }

    /// Waits until a worker has died too often to be started again; never ends while all work.
    pub async fn given_up(&mut self) -> LocalError {
        while let Some(ended) = self.lives.join_next().await {
            match ended {
                Ok(Err(error)) => return error,
                Ok(Ok(())) => {}
                Err(broken) => warn!(error = %broken, "watching a worker broke off"),
            }
        }
        std::future::pending().await
    }

    /// Lets the workers finish or give back their chunks, and ends them; at once when `hurry` comes first.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) {
        self.order.send_replace(Order::Drain);
        tokio::pin!(hurry);
        let mut hurried = false;
        loop {
            tokio::select! {
                ended = self.lives.join_next() => match ended {
                    Some(Ok(Err(error))) => debug!(%error, "a worker was gone already"),
                    Some(_) => {}
                    None => break,
                },
                () = &mut hurry, if !hurried => {
                    hurried = true;
                    self.order.send_replace(Order::Die);
                }
            }
        }
        // a file that is left names processes that are gone: the next start finds none of them
        let _ = fs::remove_file(&self.state);
    }
}

/// Ends workers that a killed nstore left behind in this directory.
///
/// # Errors
/// When one survives every signal.
pub(super) fn end_earlier(state: &Path) -> Result<usize, ServerError> {
    let left = earlier(state);
    for pid in &left {
        // nothing is lost: what it had not stored is extracted again
        end_orphan(PROGRAM, *pid, Signal::KILL)?;
    }
    match fs::remove_file(state) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ServerError::io("remove", state)(e)),
        _ => Ok(left.len()),
    }
}

/// Living workers that the file names, which were started in this working directory.
pub(super) fn earlier(state: &Path) -> Vec<u32> {
    let cwd = std::env::current_dir().unwrap_or_default();
    let named = fs::read_to_string(state).unwrap_or_default();
    let pids = named.lines().filter_map(|line| line.parse().ok());
    pids.filter(|pid| proc::is_server_of(*pid, PROGRAM, &cwd)).collect()
}

/// Kind, name and number of each process, and its slots.
fn processes(slots: Slots) -> impl Iterator<Item = (&'static str, &'static str, u32, u32)> {
    let api = (1..).zip(share(slots.api, SLOTS_PER_PROCESS));
    let browser = (1..).zip(share(slots.browser, BROWSERS_PER_PROCESS));
    api.map(|(number, slots)| ("api", "worker", number, slots))
        .chain(browser.map(|(number, slots)| ("browser", "browser", number, slots)))
}

/// Slots of each process.
fn share(slots: u32, per_process: u32) -> impl Iterator<Item = u32> {
    let processes = slots.div_ceil(per_process);
    (0..processes).map(move |at| slots / processes + u32::from(at < slots % processes))
}

/// One worker, over all its starts.
struct Life {
    options: WorkerOptions,
    kind: &'static str,
    slots: u32,
    log: PathBuf,
    orders: watch::Receiver<Order>,
}

impl Life {
    fn spawn(&self) -> Result<Child, LocalError> {
        let open = || fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let stdout = open().map_err(ServerError::io("open", &self.log))?;
        let stderr = open().map_err(ServerError::io("open", &self.log))?;
        let child = Command::new(&self.options.program)
            .args(["--kind", self.kind, "--concurrency", &self.slots.to_string()])
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            // a Ctrl-C on the terminal is for nstore alone: it drains its workers
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(ServerError::io("start", &self.options.program))?;
        if let Some(pid) = child.id() {
            remember(&self.options.state, pid).map_err(ServerError::io("write", &self.options.state))?;
        }
        Ok(child)
    }

    async fn live(mut self, mut child: Child) -> Result<(), LocalError> {
        let mut restarts = 0;
        loop {
            let status = tokio::select! {
                status = child.wait() => Some(status),
                // the sender lives as long as the workers do
                _ = self.orders.wait_for(|order| *order != Order::Work) => None,
            };
            let Some(status) = status else {
                self.end(&mut child).await;
                return Ok(());
            };
            let ended = status.map_or_else(|e| e.to_string(), |status: ExitStatus| status.to_string());
            if restarts == RESTARTS {
                let (log, tail) = (self.log.clone(), tail(&self.log));
                return Err(LocalError::WorkerDies { ended, log, tail });
            }
            restarts += 1;
            warn!(log = %self.log.display(), ended, "a worker ended by itself; starting it again");
            sleep(RESTART_AFTER * restarts).await;
            child = self.spawn()?;
        }
    }

    /// Asks once, and kills when the time is over or the order says so.
    async fn end(&mut self, child: &mut Child) {
        if let Some(pid) = child.id() {
            send(pid, Signal::TERM);
        }
        let drained = async {
            tokio::select! {
                _ = child.wait() => true,
                _ = self.orders.wait_for(|order| *order == Order::Die) => false,
            }
        };
        if !timeout(DRAIN, drained).await.unwrap_or(false) {
            // fails only when it has ended already
            let _ = child.kill().await;
        }
    }
}

fn remember(state: &Path, pid: u32) -> io::Result<()> {
    use io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(state)?;
    writeln!(file, "{pid}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn options(dir: &Path, script: &str) -> WorkerOptions {
        let program = dir.join(PROGRAM);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        WorkerOptions {
            program,
            slots: Slots { api: 6, browser: 1 },
            logs: dir.join("logs"),
            state: dir.join("workers.pids"),
            env: vec![("GREETING".into(), "hello".into())],
        }
    }

    #[test]
    fn slots_are_shared_among_processes() {
        let shares = |slots| share(slots, 4).collect::<Vec<_>>();
        assert!(shares(0).is_empty());
        assert_eq!(shares(1), [1]);
        assert_eq!(shares(4), [4]);
        assert_eq!(shares(6), [3, 3]);
        assert_eq!(shares(16), [4, 4, 4, 4]);
        let both: Vec<_> = processes(Slots { api: 2, browser: 2 }).collect();
        let each = [("api", "worker", 1, 2), ("browser", "browser", 1, 1), ("browser", "browser", 2, 1)];
        assert_eq!(both, each, "each browser has a process of its own");
        assert_eq!(processes(Slots { api: 0, browser: 1 }).count(), 1, "nothing is to be done over HTTP");
    }

    #[tokio::test]
    async fn workers_get_their_flags_and_environment_and_end_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo drained; exit 0' TERM\necho $GREETING $*\nwhile true; do sleep 0.05; done";
        let options = options(dir.path(), script);
        let workers = Workers::start(&options).unwrap();
        let said = |log: &str| fs::read_to_string(options.logs.join(log)).unwrap_or_default();
        let logs = [("worker-2.log", "api --concurrency 3"), ("browser-1.log", "browser --concurrency 1")];
        for (log, flags) in logs {
            while said(log).is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(said(log), format!("hello --kind {flags}\n"));
        }
        assert_eq!(fs::read_to_string(&options.state).unwrap().lines().count(), 3);
        workers.stop(std::future::pending()).await;
        for (log, _) in logs {
            assert!(said(log).ends_with("drained\n"), "{}", said(log));
        }
        assert!(!options.state.exists());
    }

    #[tokio::test]
    async fn a_worker_that_does_not_drain_is_killed_when_it_is_urgent() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), "trap '' TERM\necho up\nwhile true; do sleep 0.05; done");
        let workers = Workers::start(&options).unwrap();
        while fs::read_to_string(options.logs.join("worker-1.log")).unwrap_or_default().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        timeout(Duration::from_secs(10), workers.stop(async {})).await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_that_keeps_dying_is_given_up_with_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), "echo redis is not there\nexit 7");
        let mut workers = Workers::start(&options).unwrap();
        let error = workers.given_up().await.to_string();
        assert!(error.contains("exit status: 7") && error.contains("redis is not there"), "{error}");
    }
}
