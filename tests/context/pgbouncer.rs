//! A test's own pgbouncer.

use std::{fs, net::TcpListener, time::Duration};

use super::{Postgres, Process, Running, Scratch};

/// Debian's place for it, which is on no user's path.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pgbouncer before one database.
#[derive(Debug)]
pub struct PgBouncer {
    /// The database through it, as the loader.
    pub url: String,
    // dropped in this order: the directory last
    _running: Running,
    _scratch: Scratch,
}

/// Starts one that leads to this database, with so many connections to the server for all who come.
pub async fn pgbouncer(postgres: &Postgres, pool_mode: &str, connections: u32) -> PgBouncer {
    let scratch = Scratch::new("pgbouncer");
    let (user, address) =
        postgres.url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).expect("a user");
    let (role, password) = user.split_once(':').expect("a password");
    let (server, database) = address.split_once('/').expect("a database");
    let (_, server_port) = server.split_once(':').expect("a port");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|at| at.local_addr()).expect("a free port").port();
    let file = |name: &str, text: String| {
        let path = scratch.path().join(name);
        fs::write(&path, text).expect("a file of ours");
        path
    };
    let users = file("users.txt", format!("\"{role}\" \"{password}\"\n"));
    let config = file(
        "pgbouncer.ini",
        format!(
            "[databases]
             * = host=127.0.0.1 port={server_port}
             [pgbouncer]
             listen_addr = 127.0.0.1
             listen_port = {port}
             unix_socket_dir =
             auth_type = scram-sha-256
             auth_file = {}
             pool_mode = {pool_mode}
             default_pool_size = {connections}\n",
            users.display()
        )
        .replace("             ", ""),
    );
    let mut process = Process::new(PROGRAM).dir(scratch.path());
    if rustix::process::geteuid().is_root() {
        // it refuses to run as root
        process = process.args(["-u", "postgres"]);
    }
    let mut running = process.arg(config).start();
    running.wait_for("process up", Duration::from_secs(30)).await;
    PgBouncer {
        url: format!("postgres://{user}@127.0.0.1:{port}/{database}"),
        _running: running,
        _scratch: scratch,
    }
}
