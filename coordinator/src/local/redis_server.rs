//! A private Redis.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;

use super::{
    ServerError, binaries,
    child::{ServerChild, end_orphan, free_port},
    dir_lock::DirLock,
    proc,
    secret::{kept, private_dir, write_private},
};

const PROGRAM: &str = "redis-server";
/// Loading a large append-only file takes its time.
const READY: Duration = Duration::from_secs(120);

/// Of the password, half as many as it has hex digits.
const PASSWORD_BYTES: usize = 16;

/// How a private Redis runs.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Its own directory; made when absent.
    pub dir: PathBuf,
    /// Whether data outlives the server.
    pub appendonly: bool,
    /// A fixed port of 127.0.0.1 instead of any free one.
    pub port: Option<u16>,
    /// Whether clients must give the password that the directory keeps. Without it every user of this host is let in:
    /// that is for tests alone.
    pub password: bool,
    /// Further variables of its process.
    pub env: Vec<(String, String)>,
}

/// A Redis on 127.0.0.1 that ends with its owner.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    dir: PathBuf,
    appendonly: bool,
    port: u16,
    password: Option<String>,
    env: Vec<(String, String)>,
    child: Option<ServerChild>,
    _lock: DirLock,
}

impl RedisServer {
    /// Starts it and waits until it answers. A server that a crashed owner left in that directory is ended first.
    pub fn start(options: &RedisOptions) -> Result<Self, ServerError> {
        let program = binaries::find_redis_server()?;
        private_dir(&options.dir)?;
        let dir = fs::canonicalize(&options.dir).map_err(ServerError::io("find", &options.dir))?;
        let lock = DirLock::take(&dir)?;
        end_earlier(&dir)?;
        let password = options.password.then(|| kept::<PASSWORD_BYTES>(&dir.join("password"))).transpose()?;
        let appendonly = options.appendonly;
        let env = options.env.clone();
        let mut server = Self { program, dir, appendonly, port: 0, password, env, child: None, _lock: lock };
        server.write_config()?;
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

    /// `redis://127.0.0.1:<port>`, with the password if there is one.
    pub fn url(&self) -> String {
        let login = self.password.as_ref().map_or(String::new(), |password| format!(":{password}@"));
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(ServerChild::pid)
    }

    /// Where its data and its log are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends it the hard way, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill();
        }
    }

    /// Ends it in good order; what it wrote is on disk then.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.stop(Signal::TERM);
        }
    }

    /// Starts it again with the same port and data, after a stop when it still runs.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop();
        self.launch()
    }

    /// Lets it hang: connections stay open, nothing is answered.
    pub fn pause(&self) {
        if let Some(child) = &self.child {
            child.signal(Signal::STOP);
        }
    }

    /// Ends a pause.
    pub fn resume(&self) {
        if let Some(child) = &self.child {
            child.signal(Signal::CONT);
        }
    }

    /// Writes what other users must not see in the list of processes.
    fn write_config(&self) -> Result<(), ServerError> {
        let line = self.password.as_ref().map_or(String::new(), |password| format!("requirepass {password}"));
        write_private(&self.config(), &line, None)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("redis.conf")
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let log = self.dir.join("redis.log");
        let mut child = ServerChild::spawn(PROGRAM, &mut self.command(), log)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let pidfile = self.dir.join("redis.pid");
        // another server on the same port would answer too, so the pid file has its say
        let password = self.password.as_deref();
        child.wait_ready(READY, |pid| recorded_pid(&pidfile) == Some(pid) && answers(address, password))?;
        self.child = Some(child);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        let pidfile = self.dir.join("redis.pid");
        let options: [(&str, &OsStr); 9] = [
            ("--bind", "127.0.0.1".as_ref()),
            ("--port", port.as_ref()),
            ("--dir", self.dir.as_os_str()),
            ("--pidfile", pidfile.as_os_str()),
            ("--daemonize", "no".as_ref()),
            ("--save", "".as_ref()),
            ("--appendonly", if self.appendonly { "yes" } else { "no" }.as_ref()),
            ("--maxmemory-policy", "noeviction".as_ref()),
            ("--always-show-logo", "no".as_ref()),
        ];
        command.arg(self.config()).args(options.iter().flat_map(|(name, value)| [OsStr::new(name), value]));
        // of a group of its own: a Ctrl-C on the terminal is for its owner, who still needs it to drain
        command.current_dir(&self.dir).process_group(0).envs(self.env.iter().cloned());
        command
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn end_earlier(dir: &Path) -> Result<(), ServerError> {
    let pidfile = dir.join("redis.pid");
    if let Some(pid) = recorded_pid(&pidfile).filter(|pid| proc::is_server_of(*pid, PROGRAM, dir)) {
        end_orphan(PROGRAM, pid, Signal::TERM)?;
    }
    // absent after a stop in good order
    let _ = fs::remove_file(pidfile);
    Ok(())
}

fn recorded_pid(pidfile: &Path) -> Option<u32> {
    fs::read_to_string(pidfile).ok()?.trim().parse().ok()
}

/// True once it takes commands: while it loads its data it answers PING with an error.
fn answers(address: SocketAddr, password: Option<&str>) -> bool {
    let login = password.map_or(String::new(), |password| format!("AUTH {password}\r\n"));
    let expected = if password.is_some() { "+OK\r\n+PONG" } else { "+PONG" };
    let ask = || -> std::io::Result<bool> {
        let second = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, second)?;
        stream.set_read_timeout(Some(second))?;
        stream.write_all(format!("{login}PING\r\n").as_bytes())?;
        let mut reply = vec![0; expected.len()];
        stream.read_exact(&mut reply)?;
        Ok(reply == expected.as_bytes())
    };
    ask().unwrap_or(false)
}
