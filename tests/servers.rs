//! The private servers: they start, crash, come back with their data, and leave nothing behind.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use nstore::local::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, ServerError};
use nstore_tests::context::{self, Process, Scratch};

fn ask_redis(url: &str, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("redis://"))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reply = [0; 200];
    let read = stream.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..read]).into_owned())
}

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn redis_keeps_its_data_over_a_restart() {
    let mut redis = context::own_redis(true);
    let url = redis.url();
    assert_eq!(ask_redis(&url, "SET colour blue").unwrap(), "+OK\r\n");
    redis.server.restart().unwrap();
    assert_eq!(redis.url(), url);
    assert!(ask_redis(&url, "GET colour").unwrap().contains("blue"));
    assert!(ask_redis(&url, "CONFIG GET maxmemory-policy").unwrap().contains("noeviction"));
    redis.server.kill();
    assert!(ask_redis(&url, "PING").is_err());
    assert_eq!(redis.server.pid(), None);
    redis.server.restart().unwrap();
    assert!(ask_redis(&url, "GET colour").unwrap().contains("blue"));
}

#[test]
fn redis_without_append_only_forgets() {
    let mut redis = context::own_redis(false);
    ask_redis(&redis.url(), "SET colour blue").unwrap();
    redis.server.restart().unwrap();
    assert_eq!(ask_redis(&redis.url(), "GET colour").unwrap(), "$-1\r\n");
}

#[test]
fn a_paused_redis_hangs_and_comes_back() {
    let redis = context::own_redis(false);
    redis.server.pause();
    assert!(ask_redis(&redis.url(), "PING").is_err());
    redis.server.resume();
    assert_eq!(ask_redis(&redis.url(), "PING").unwrap(), "+PONG\r\n");
}

#[test]
fn a_directory_has_one_living_owner() {
    let scratch = Scratch::new("owner");
    let options = RedisOptions {
        dir: scratch.path().join("redis"),
        appendonly: false,
        port: None,
        password: false,
        env: vec![],
    };
    let first = RedisServer::start(&options).unwrap();
    let error = RedisServer::start(&options).unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    drop(first);
    RedisServer::start(&options).unwrap();
}

#[test]
fn a_dropped_server_is_gone() {
    let redis = context::own_redis(false);
    let pid = redis.server.pid().unwrap();
    assert!(alive(pid));
    drop(redis);
    assert!(!alive(pid));
}

/// Forgets a running server, as a crash of its owner does, but for the lock that only a death frees.
fn orphan<T>(server: T, dir: &Path) {
    std::mem::forget(server);
    // a new file of that name has no lock
    fs::remove_file(dir.join("lock")).expect("a lock");
}

#[test]
fn an_orphaned_redis_is_ended_by_the_next_start() {
    let scratch = Scratch::new("orphan");
    let options = RedisOptions {
        dir: scratch.path().join("redis"),
        appendonly: true,
        port: None,
        password: false,
        env: vec![],
    };
    let first = RedisServer::start(&options).unwrap();
    let pid = first.pid().unwrap();
    ask_redis(&first.url(), "SET colour blue").unwrap();
    orphan(first, &options.dir);
    let second = RedisServer::start(&options).unwrap();
    assert!(!alive(pid));
    assert!(ask_redis(&second.url(), "GET colour").unwrap().contains("blue"));
}

#[test]
fn a_fixed_port_that_is_taken_is_an_error_with_the_reason() {
    let redis = context::own_redis(false);
    let port = redis.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let scratch = Scratch::new("taken");
    let options = RedisOptions {
        dir: scratch.path().join("redis"),
        appendonly: false,
        port: Some(port),
        password: false,
        env: vec![],
    };
    let text = RedisServer::start(&options).unwrap_err().to_string();
    assert!(text.contains("in use"), "{text}");
    assert!(text.contains("redis.log"), "{text}");
}

#[tokio::test]
async fn postgres_keeps_what_was_committed() {
    let mut postgres = context::own_postgres();
    let client = postgres.client().await;
    client.batch_execute("CREATE TABLE t (v int); INSERT INTO t VALUES (1), (2)").await.unwrap();
    postgres.server.kill();
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
    postgres.server.restart().unwrap();
    let row = postgres.client().await.query_one("SELECT sum(v)::int FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 3);
    postgres.server.stop();
    postgres.server.restart().unwrap();
    let row = postgres.client().await.query_one("SELECT count(*)::int FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);
}

#[tokio::test]
async fn a_killed_postgres_leaves_no_busy_backend() {
    let mut postgres = context::own_postgres();
    let client = postgres.client().await;
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    let backend = u32::try_from(row.get::<_, i32>(0)).unwrap();
    let busy =
        tokio::spawn(async move { client.query("SELECT count(*) FROM generate_series(1, 1e10)", &[]).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(alive(backend));
    postgres.server.kill();
    assert!(!alive(backend));
    assert!(busy.await.unwrap().is_err());
    postgres.server.restart().unwrap();
}

#[tokio::test]
async fn postgres_asks_for_its_password_and_speaks_utf8() {
    let postgres = context::own_postgres();
    let (user, rest) = postgres
        .url()
        .split_once("://")
        .map(|(_, rest)| rest.to_owned())
        .unwrap()
        .split_once(':')
        .map(|(u, r)| (u.to_owned(), r.to_owned()))
        .unwrap();
    let host = rest.split_once('@').unwrap().1;
    let wrong = format!("postgres://{user}:wrong@{host}");
    assert!(tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.is_err());
    let row = postgres
        .client()
        .await
        .query_one("SELECT upper('é😀'), current_setting('server_encoding')", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "É😀");
    assert_eq!(row.get::<_, &str>(1), "UTF8");
}

#[test]
fn an_orphaned_postgres_is_ended_by_the_next_start() {
    let scratch = Scratch::new("orphan");
    let options = PostgresOptions { fsync: false, ..PostgresOptions::new(scratch.path().join("postgres")) };
    let first = PostgresServer::start(&options).unwrap();
    let (pid, dir) = (first.pid().unwrap(), first.dir().to_owned());
    orphan(first, &dir);
    let second = PostgresServer::start(&options).unwrap();
    assert!(!alive(pid));
    assert!(second.pid().is_some());
}

#[test]
fn a_stale_pid_file_that_names_another_program_is_no_obstacle() {
    let scratch = Scratch::new("stale");
    let options = PostgresOptions { fsync: false, ..PostgresOptions::new(scratch.path().join("postgres")) };
    let mut server = PostgresServer::start(&options).unwrap();
    server.kill();
    let pidfile = server.dir().join("data/postmaster.pid");
    let text = fs::read_to_string(&pidfile).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&pidfile, format!("{}\n{rest}", std::process::id())).unwrap();
    drop(server);
    PostgresServer::start(&options).unwrap();
}

#[test]
fn a_half_made_data_directory_is_made_anew() {
    let scratch = Scratch::new("half");
    let options = PostgresOptions { fsync: false, ..PostgresOptions::new(scratch.path().join("postgres")) };
    let server = PostgresServer::start(&options).unwrap();
    let dir = server.dir().to_owned();
    drop(server);
    fs::remove_file(dir.join("initialised")).unwrap();
    fs::remove_file(dir.join("data/global/pg_control")).unwrap();
    PostgresServer::start(&options).unwrap();
}

#[test]
fn postgres_never_runs_as_root_and_its_password_is_private() {
    use std::os::unix::fs::MetadataExt;
    let postgres = context::own_postgres();
    let pid = postgres.server.pid().unwrap();
    assert_ne!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 0);
    let mode = fs::metadata(postgres.server.dir().join("password")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn root_keeps_the_data_elsewhere_when_the_wanted_place_is_closed() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new("closed");
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let options = PostgresOptions { fsync: false, ..PostgresOptions::new(closed.join("postgres")) };
    let server = PostgresServer::start(&options).unwrap();
    let dir = server.dir().to_owned();
    assert!(dir.starts_with("/var/tmp"), "{}", dir.display());
    drop(server);
    assert_eq!(PostgresServer::start(&options).unwrap().dir(), dir);
    fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn tests_on_the_shared_servers_do_not_meet() {
    let (one, other) = (context::postgres().await, context::postgres().await);
    one.client().await.batch_execute("CREATE TABLE t ()").await.unwrap();
    other.client().await.batch_execute("CREATE TABLE t ()").await.unwrap();
    assert_ne!(context::redis().prefix, context::redis().prefix);
    let storage = context::storage();
    let dir = storage.dir.clone();
    drop(storage);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_scratch_directory_ends_what_still_works_in_it() {
    let scratch = Scratch::new("left");
    let left = Process::new("/bin/sleep").arg("600").dir(scratch.path()).start();
    drop(scratch);
    let exit = left.wait_exit(Duration::from_secs(5)).await;
    assert_eq!(exit.signal, Some(9));
}

#[tokio::test]
async fn a_process_is_watched_and_ended() {
    let sh = |script: &str| Process::new("/bin/sh").args(["-c", script]);
    let exit = sh("echo out; echo err >&2; exit 3").run(Duration::from_secs(5)).await;
    assert_eq!((exit.code, exit.stdout.as_str(), exit.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let mut running = sh("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done").start();
    running.wait_for("ready", Duration::from_secs(5)).await;
    running.sigterm();
    let exit = running.wait_exit(Duration::from_secs(5)).await;
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(0), "ready\nbye\n"));
    let running = sh("sleep 600").start();
    let start = Instant::now();
    running.kill9();
    assert_eq!(running.wait_exit(Duration::from_secs(5)).await.signal, Some(9));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn testbed_lends_its_servers_and_passes_the_exit_code_on() {
    let script = "echo $NSTORE_TEST_REDIS_URL $NSTORE_TEST_POSTGRES_URL; exit 7";
    let exit = Process::new("testbed").args(["--", "sh", "-c", script]).run(Duration::from_secs(60)).await;
    assert_eq!(exit.code, Some(7), "{}", exit.stderr);
    let (redis, postgres) = exit.stdout.trim().split_once(' ').unwrap();
    assert!(
        redis.starts_with("redis://127.0.0.1:") && postgres.starts_with("postgres://"),
        "{}",
        exit.stdout
    );
    assert!(ask_redis(redis, "PING").is_err());
}

#[tokio::test]
async fn a_killed_testbed_leaves_no_server_behind() {
    let script = "echo $NSTORE_TEST_REDIS_URL; exec sleep 2";
    let mut testbed = Process::new("testbed").args(["sh", "-c", script]).start();
    let redis = testbed.wait_for("\n", Duration::from_secs(60)).await;
    assert_eq!(ask_redis(redis.trim(), "PING").unwrap(), "+PONG\r\n");
    testbed.kill9();
    let start = Instant::now();
    while ask_redis(redis.trim(), "PING").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "redis still answers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_terminated_testbed_ends_its_command_first() {
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let mut testbed = Process::new("testbed").args(["sh", "-c", script]).start();
    testbed.wait_for("ready", Duration::from_secs(60)).await;
    testbed.sigterm();
    assert_eq!(testbed.wait_exit(Duration::from_secs(30)).await.code, Some(5));
}
