//! A server process: signals, waiting, the tail of its log, a port for it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{ServerError, proc};

/// How long a server gets to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// A running child of this process.
#[derive(Debug)]
pub(super) struct ServerChild {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl ServerChild {
    /// Starts the command with its output appended to `log`.
    pub(super) fn spawn(
        program: &'static str,
        command: &mut Command,
        log: PathBuf,
    ) -> Result<Self, ServerError> {
        let open = || fs::OpenOptions::new().create(true).append(true).open(&log);
        let stdout = open().map_err(ServerError::io("open", &log))?;
        let stderr = open().map_err(ServerError::io("open", &log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(ServerError::io("start", command.get_program()))?;
        Ok(Self { program, child, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits until `ready` says so; an error when the process ends first or takes longer than `limit`.
    pub(super) fn wait_ready(
        &mut self,
        limit: Duration,
        ready: impl Fn(u32) -> bool,
    ) -> Result<(), ServerError> {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(format!("ended with {status} instead of starting")));
            }
            if ready(self.pid()) {
                return Ok(());
            }
            if start.elapsed() > limit {
                self.kill();
                return Err(self.failed(format!("was not ready after {limit:?}")));
            }
            thread::sleep(POLL);
        }
    }

    fn failed(&self, what: String) -> ServerError {
        let log = self.log.clone();
        ServerError::Failed { program: self.program, what, tail: tail(&log), log }
    }

    /// Asks the process to end by `signal`, kills it when it does not within the grace time.
    pub(super) fn stop(&mut self, signal: Signal) {
        // a paused process would never see the signal
        self.signal(Signal::CONT);
        self.signal(signal);
        if self.wait(GRACE).is_none() {
            self.kill();
        }
    }

    pub(super) fn kill(&mut self) {
        // both fail only when it has ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(POLL);
        }
        None
    }
}

/// Sends a signal; that the process has ended already is no fault.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Ends a server that an earlier, crashed process left behind.
pub(super) fn end_orphan(program: &'static str, pid: u32, signal: Signal) -> Result<(), ServerError> {
    send(pid, Signal::CONT);
    send(pid, signal);
    if !gone(&[pid], GRACE) {
        send(pid, Signal::KILL);
    }
    if gone(&[pid], GRACE) {
        return Ok(());
    }
    Err(ServerError::StillRunning { program, pid, waited: GRACE })
}

/// Waits until none of the processes runs any more.
pub(super) fn gone(pids: &[u32], limit: Duration) -> bool {
    let start = Instant::now();
    loop {
        if !pids.iter().any(|pid| proc::is_alive(*pid)) {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// The last lines of a log, for an error's text.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// A port that is free now. Below 32768, where Linux starts to take the ports of outgoing connections: a client
/// that tries to reach a stopped server could otherwise be given the server's own port.
pub(super) fn free_port() -> Result<u16, ServerError> {
    (0..200)
        .map(|_| fastrand::u16(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or(ServerError::NoFreePort)
}
