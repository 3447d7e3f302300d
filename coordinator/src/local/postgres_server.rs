//! A private PostgreSQL.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use super::{
    ServerError,
    binaries::PostgresBinaries,
    child::{ServerChild, end_orphan, free_port, gone, send, tail},
    dir_lock::DirLock,
    owner::Home,
    proc,
    secret::{random_hex, write_private},
};

const PROGRAM: &str = "postgres";
const USER: &str = "nstore";
const DATABASE: &str = "nstore";
/// Recovery after a crash takes its time.
const READY: Duration = Duration::from_secs(120);
/// The kernel's limit for a socket's path is 107 bytes; the name of the socket itself takes some of them.
const LONGEST_SOCKET_DIR: usize = 85;

/// How a private PostgreSQL runs.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Its own directory; made when absent.
    pub dir: PathBuf,
    /// Whether a commit waits for the disk. Off is for tests alone.
    pub fsync: bool,
    /// A fixed port of 127.0.0.1 instead of any free one.
    pub port: Option<u16>,
}

impl PostgresOptions {
    /// Durable, on any free port.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), fsync: true, port: None }
    }
}

/// A PostgreSQL on 127.0.0.1 that ends with its owner.
#[derive(Debug)]
pub struct PostgresServer {
    binaries: PostgresBinaries,
    home: Home,
    password: String,
    fsync: bool,
    port: u16,
    child: Option<ServerChild>,
    _lock: DirLock,
}

impl PostgresServer {
    /// Starts it and waits until it takes connections; the first time it makes the data directory. A server that a
    /// crashed owner left in that directory is ended first.
    pub fn start(options: &PostgresOptions) -> Result<Self, ServerError> {
        PostgresBinaries::find(None)?;
        let home = Home::prepare(&options.dir)?;
        let lock = DirLock::take(&home.dir)?;
        end_earlier(&home.dir.join("data"))?;
        let binaries = PostgresBinaries::find(data_version(&home.dir))?;
        let password = initialise(&home, &binaries, options.fsync)?;
        let mut server =
            Self { binaries, home, password, fsync: options.fsync, port: 0, child: None, _lock: lock };
        let tries = if options.port.is_some() { 1 } else { 5 };
        for left in (0..tries).rev() {
            server.port = options.port.map_or_else(free_port, Ok)?;
            match server.launch() {
                // somebody else was faster to take the port
                Err(ServerError::Failed { tail, .. }) if left > 0 && tail.contains("in use") => {}
                result => return result.map(|()| server),
            }
        }
        Err(ServerError::NoFreePort)
    }

    /// The database `nstore`, as its superuser, with the password.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{DATABASE}", self.password, self.port)
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(ServerChild::pid)
    }

    /// Where its data and its log really are: the wanted directory, or the stand-in under /var/tmp.
    pub fn dir(&self) -> &Path {
        &self.home.dir
    }

    /// The programs it runs with, `psql` among them.
    pub fn binaries(&self) -> &PostgresBinaries {
        &self.binaries
    }

    /// Ends it the hard way, with all its processes, as a crash of the machine would.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // stopped first, so that no further process is forked while the present ones are listed; each has a
        // process group of its own, and one that computes would not notice for long that its parent is gone
        child.signal(Signal::STOP);
        let backends = proc::children(child.pid());
        child.kill();
        for pid in &backends {
            send(*pid, Signal::KILL);
        }
        gone(&backends, Duration::from_secs(10));
    }

    /// Ends it in good order: open transactions are rolled back.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.stop(Signal::INT);
        }
    }

    /// Starts it again with the same port and data, after a stop when it still runs.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop();
        end_earlier(&self.home.dir.join("data"))?;
        self.launch()
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let log = self.home.dir.join("postgres.log");
        let mut child = ServerChild::spawn(PROGRAM, &mut self.command(), log)?;
        let pidfile = self.home.dir.join("data/postmaster.pid");
        child.wait_ready(READY, |pid| is_ready(&pidfile, pid))?;
        self.child = Some(child);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = run_as(&self.home, &self.binaries.postgres());
        let dir = self.home.dir.as_os_str();
        // everything else works over TCP too
        let socket_dir = if dir.len() <= LONGEST_SOCKET_DIR { dir } else { "".as_ref() };
        let port = self.port.to_string();
        command.arg("-D").arg(self.home.dir.join("data")).arg("-k").arg(socket_dir).args(["-p", &port]);
        // the role is called like the schema of our own tables, which would come first by default
        let mut settings = vec!["listen_addresses=127.0.0.1", "max_connections=200", "search_path=public"];
        settings.push("unix_socket_permissions=0700");
        if !self.fsync {
            // commits still reach the kernel: a killed server keeps them
            settings.extend(["fsync=off", "full_page_writes=off"]);
        }
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes the data directory if that has not been done, and reads the password.
fn initialise(home: &Home, binaries: &PostgresBinaries, fsync: bool) -> Result<String, ServerError> {
    let (data, password_file) = (home.dir.join("data"), home.dir.join("password"));
    // PG_VERSION alone is no proof: written early, while the password would not be in use yet
    let done = home.dir.join("initialised");
    if done.exists() {
        let password = fs::read_to_string(&password_file).map_err(ServerError::io("read", &password_file))?;
        return Ok(password.trim_end().to_owned());
    }
    if data.exists() {
        fs::remove_dir_all(&data).map_err(ServerError::io("remove the half-made", &data))?;
    }
    let password = random_hex::<16>()?;
    write_private(&password_file, &password, home.owner)?;
    let mut initdb = run_as(home, &binaries.initdb());
    initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password_file);
    initdb.args(["--username", USER, "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]);
    if !fsync {
        initdb.arg("--no-sync");
    }
    run_step("initdb", &mut initdb, "", home)?;
    // without a client at hand the single-user mode is the way to make a database
    let mut single = run_as(home, &binaries.postgres());
    single.arg("--single").arg("-D").arg(&data).arg("template1");
    run_step(PROGRAM, &mut single, &format!("CREATE DATABASE {DATABASE};\n"), home)?;
    File::create(&done).and_then(|file| file.sync_all()).map_err(ServerError::io("create", &done))?;
    Ok(password)
}

/// Runs a program to its end, its output appended to the log.
fn run_step(
    program: &'static str,
    command: &mut Command,
    input: &str,
    home: &Home,
) -> Result<(), ServerError> {
    let log = home.dir.join("postgres.log");
    let open = || File::options().create(true).append(true).open(&log);
    let out = open().map_err(ServerError::io("open", &log))?;
    let err = open().map_err(ServerError::io("open", &log))?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(ServerError::io("start", command.get_program()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // fails when the program ended early; its exit status tells
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = child.wait().map_err(ServerError::io("wait for", command.get_program()))?;
    if status.success() {
        return Ok(());
    }
    Err(ServerError::Failed { program, what: format!("ended with {status}"), tail: tail(&log), log })
}

fn run_as(home: &Home, program: &Path) -> Command {
    let mut command = Command::new(program);
    // of a group of its own: a Ctrl-C on the terminal is for its owner, who still needs it to drain
    command.current_dir(&home.dir).env("LC_ALL", "C.UTF-8").process_group(0);
    if let Some(owner) = home.owner {
        owner.apply(&mut command);
    }
    command
}

fn end_earlier(data: &Path) -> Result<(), ServerError> {
    let pidfile = data.join("postmaster.pid");
    let Some(pid) = recorded(&pidfile).and_then(|lines| lines.first()?.trim().parse().ok()) else {
        return Ok(());
    };
    if proc::is_server_of(pid, PROGRAM, data) {
        end_orphan(PROGRAM, pid, Signal::INT)?;
    } else {
        // the id may be another program's by now, at which PostgreSQL would refuse to start
        let _ = fs::remove_file(pidfile);
    }
    Ok(())
}

fn recorded(pidfile: &Path) -> Option<Vec<String>> {
    Some(fs::read_to_string(pidfile).ok()?.lines().map(str::to_owned).collect())
}

/// The eighth line of its pid file says how far the server is.
fn is_ready(pidfile: &Path, pid: u32) -> bool {
    let lines = recorded(pidfile).unwrap_or_default();
    let line = |number: usize| lines.get(number).map(|line| line.trim());
    line(0) == Some(&pid.to_string()) && line(7) == Some("ready")
}

fn data_version(home: &Path) -> Option<u32> {
    fs::read_to_string(home.join("data/PG_VERSION")).ok()?.trim().parse().ok()
}
