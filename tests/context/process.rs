//! Processes of this workspace's binaries: started, watched, ended.

use std::{
    ffi::{OsStr, OsString},
    io::{BufReader, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(10);

/// The path of a binary of this workspace. It stands beside the directory of the running test.
pub fn binary(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this test");
    let found = exe.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no binary `{name}` near {}; run: cargo build --workspace", exe.display()))
}

/// A process to be started. Of the variables around it, none that starts with `NSTORE_` or `AWS_` reaches it.
#[derive(Debug)]
pub struct Process {
    command: Command,
}

impl Process {
    /// A binary of this workspace by its name, or anything else by its path.
    pub fn new(program: &str) -> Self {
        let path = if program.contains('/') { PathBuf::from(program) } else { binary(program) };
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let name_is = |start: &[u8]| name.as_encoded_bytes().starts_with(start);
            if name_is(b"NSTORE_") || name_is(b"AWS_") {
                command.env_remove(name);
            }
        }
        Self { command }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of its environment; the last one of a name counts.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Its working directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// The same process, started by another program that takes it for its last arguments, as `ip netns exec` does.
    pub fn under(&self, wrapper: &[&str]) -> Self {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        Self { command }
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        let stdout = Capture::of(child.stdout.take().expect("a pipe"));
        let stderr = Capture::of(child.stderr.take().expect("a pipe"));
        Running { child, stdout, stderr }
    }

    /// Starts it and waits for its end.
    pub async fn run(self, limit: Duration) -> Exit {
        self.start().wait_exit(limit).await
    }
}

/// A process that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Capture,
    stderr: Capture,
}

/// How a process ended, and all that it wrote.
#[derive(Debug, Clone)]
pub struct Exit {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its whole standard output.
    pub stdout: String,
    /// Its whole standard error.
    pub stderr: String,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until its output or its errors hold that text, and returns the one that does; panics with both when it
    /// takes longer or the process ends without.
    pub async fn wait_for(&mut self, text: &str, limit: Duration) -> String {
        let start = Instant::now();
        loop {
            // asked before the texts are read: what it wrote before its end is in them
            let over = !self.is_running() || start.elapsed() > limit;
            if over {
                thread::sleep(POLL);
            }
            if let Some(found) =
                [self.stdout(), self.stderr()].into_iter().find(|output| output.contains(text))
            {
                return found;
            }
            assert!(!over, "no `{text}` within {limit:?}\n{}\n{}", self.stdout(), self.stderr());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it the hard way.
    pub fn kill9(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to end.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// What Ctrl-C sends.
    pub fn sigint(&self) {
        self.signal(Signal::INT);
    }

    /// Any other signal, such as `STOP` and `CONT`.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        // that it has ended already is for wait_exit to tell
        let _ = kill_process(pid, signal);
    }

    /// Waits for its end; panics with its output when that takes longer.
    pub async fn wait_exit(mut self, limit: Duration) -> Exit {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return self.exit(status);
            }
            let late = start.elapsed() > limit;
            assert!(!late, "still running after {limit:?}\n{}\n{}", self.stdout(), self.stderr());
            tokio::time::sleep(POLL).await;
        }
    }

    fn exit(&mut self, status: ExitStatus) -> Exit {
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        Exit { code: status.code(), signal: status.signal(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // both fail only when it has ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe that a thread reads, so that the process never waits for us.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                sink.lock().expect("no reader panics").extend_from_slice(&buffer[..read]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// All of it. A grandchild may hold the pipe open, so its end is waited for only a moment.
    fn finish(&mut self) -> String {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            if self.reader.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            thread::sleep(POLL);
        }
        self.text()
    }
}
