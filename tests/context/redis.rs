//! A test's part of a Redis.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use nstore::local::{RedisOptions, RedisServer};

use super::{Clock, Scratch, shared, unique};

/// The users that are shipped for a Redis of its own.
const USERS: &str = include_str!("../../deploy/redis/users.acl");
/// Who asks: what coordinators send is allowed.
pub const COORDINATOR: &str = "nstore-coordinator";
/// Who asks: what workers send is allowed.
pub const WORKER: &str = "nstore-worker";

/// A key prefix of its own on the shared Redis.
#[derive(Debug, Clone)]
pub struct Redis {
    /// `redis://user:password@host:port`, for coordinators.
    pub url: String,
    /// The same, for workers.
    pub worker_url: String,
    /// What all keys of the test start with.
    pub prefix: String,
}

/// A prefix on the shared Redis, under the shipped users. Not for tests that flush, restart or stop it.
pub fn redis() -> Redis {
    let server = shared::redis_url();
    Redis {
        url: as_user(&server, COORDINATOR),
        worker_url: as_user(&server, WORKER),
        prefix: unique("nstore:test"),
    }
}

/// The URL of a server for one of its users; in tests a user's name is its password.
pub fn as_user(url: &str, user: &str) -> String {
    url.replacen("://", &format!("://{user}:{user}@"), 1)
}

/// Gives a server the shipped users of coordinators and workers.
pub fn add_users(url: &str) {
    for user in [COORDINATOR, WORKER] {
        let start = format!("user {user} on ");
        let rights = USERS.lines().find_map(|line| line.strip_prefix(&start)).expect("a shipped user");
        say(url, &format!("ACL SETUSER {user} reset on >{user} {rights}"));
    }
}

/// The shipped users as a file in this folder, each with a password: the admin too.
pub fn users_file(dir: &Path) -> PathBuf {
    let with_passwords = USERS.lines().map(|line| {
        let user =
            line.strip_prefix("user ").and_then(|rest| rest.split(' ').next()).expect("a shipped user");
        if user == "default" { line.to_owned() } else { line.replacen(" on ", &format!(" on >{user} "), 1) }
    });
    let file = dir.join("users.acl");
    std::fs::write(&file, with_passwords.collect::<Vec<_>>().join("\n") + "\n").expect("a file of ours");
    file
}

/// Says a command to a server (`redis://host:port`) as another program would, and returns its answer; panics at a
/// refusal.
pub fn say(url: &str, command: &str) -> String {
    let answer = try_to_say(url, command).unwrap_or_else(|error| panic!("{url}: {command}: {error}"));
    assert!(!answer.starts_with('-'), "{url}: {command}: {answer}");
    answer
}

/// The same, where refusals and absence are answers too.
pub fn try_to_say(url: &str, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = vec![0; 1 << 16];
    let read = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

/// A Redis that belongs to one test.
#[derive(Debug)]
pub struct OwnRedis {
    /// To kill, pause and restart.
    pub server: RedisServer,
    _scratch: Scratch,
}

impl OwnRedis {
    /// `redis://host:port`; stays the same over restarts.
    pub fn url(&self) -> String {
        self.server.url()
    }
}

/// Starts a Redis for one test alone; with `appendonly` its data outlives a restart.
pub fn own_redis(appendonly: bool) -> OwnRedis {
    own_redis_in(appendonly, vec![])
}

/// The same, with a clock of its own.
pub fn own_redis_with_clock(appendonly: bool, clock: &Clock) -> OwnRedis {
    own_redis_in(appendonly, clock.env().to_vec())
}

fn own_redis_in(appendonly: bool, env: Vec<(String, String)>) -> OwnRedis {
    let scratch = Scratch::new("redis");
    let options =
        RedisOptions { dir: scratch.path().join("redis"), appendonly, port: None, password: false, env };
    let server = RedisServer::start(&options).expect("a private redis");
    OwnRedis { server, _scratch: scratch }
}
