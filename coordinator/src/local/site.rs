//! Everything of one directory: private servers, workers, and who may use them.

use std::{
    fs::{self, Permissions},
    io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{
    PostgresOptions, PostgresServer, RedisOptions, RedisServer, ServerError, binaries,
    dir_lock::DirLock,
    sandbox, secret,
    workers::{self, Slots, WorkerOptions, Workers},
};

/// Where private servers live, below the working directory.
pub const DIR: &str = ".nstore";
/// The most chunks that workers of one machine work on at once over HTTP.
pub const MAX_SLOTS: u32 = 16;
/// The most browsers of one machine: each takes about 0.4 GB of memory.
pub const MAX_BROWSERS: u32 = 4;

/// The variable by which workers get the key of the sessions and tokens that they share.
const VAULT_KEY_VARIABLE: &str = "NSTORE_VAULT_KEY";
const VAULT_KEY: &str = "vault.key";
const VAULT_KEY_BYTES: usize = 32;

const ADDRESSES: &str = "services.json";
const PIDS: &str = "workers.pids";

/// What keeps a private house from standing.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A server does not start or stop.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The worker program is not installed beside this one.
    #[error("{} is not there", expected.display())]
    NoWorker {
        /// Where it should be.
        expected: PathBuf,
    },
    /// A worker ended again and again.
    #[error("a worker ended by itself again and again, at last with {ended}; its log is {}\n{tail}", log.display())]
    WorkerDies {
        /// How it ended.
        ended: String,
        /// Where its whole log is.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
}

/// What is to run.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The directory of it all.
    pub dir: PathBuf,
    /// PostgreSQL too; extraction alone does without.
    pub postgres: bool,
    /// Where artifacts go, unless below the directory.
    pub storage_url: Option<String>,
    /// Chunks in flight.
    pub slots: Slots,
    /// For the workers: where their credentials are.
    pub config: PathBuf,
}

/// Where the private services are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Redis; holds its password.
    pub redis_url: String,
    /// PostgreSQL, if it runs; holds its password.
    pub postgres_url: Option<String>,
    /// Artifacts.
    pub storage_url: String,
}

/// Private servers and workers that run now, and end with [`Local::stop`].
#[derive(Debug)]
pub struct Local {
    addresses: Addresses,
    dir: PathBuf,
    redis: RedisServer,
    postgres: Option<PostgresServer>,
    workers: Option<Workers>,
    _lock: DirLock,
}

impl Local {
    /// Starts what is asked for. What a killed nstore left behind in the directory is ended first.
    ///
    /// # Errors
    /// When another process uses the directory, a program is missing, or one does not start.
    pub async fn start(options: &LocalOptions) -> Result<Self, LocalError> {
        let program = if options.slots.is_none() { None } else { Some(workers::find_program()?) };
        binaries::demand(options.postgres, options.slots.browser > 0)?;
        let dir = make_dir(&options.dir)?;
        let lock = DirLock::take(&dir)?;
        let pids = dir.join(PIDS);
        let earlier = pids.clone();
        blocking(move || workers::end_earlier(&earlier).map(drop)).await?;
        let redis = redis_options(&dir);
        let postgres = options.postgres.then(|| PostgresOptions::new(dir.join("postgres")));
        let (redis, postgres) = tokio::join!(
            blocking(move || RedisServer::start(&redis)),
            blocking(move || postgres.map(|options| PostgresServer::start(&options)).transpose()),
        );
        let (redis, postgres) = (redis?, postgres?);
        let addresses = Addresses {
            redis_url: redis.url(),
            postgres_url: postgres.as_ref().map(PostgresServer::url),
            storage_url: storage_url(options, &dir),
        };
        write_addresses(&dir, &addresses)?;
        let mut local = Self { addresses, dir, redis, postgres, workers: None, _lock: lock };
        if let Some(program) = program {
            local.workers = Some(Workers::start(&local.worker_options(program, options, pids)?)?);
        }
        Ok(local)
    }

    /// Where the services are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits until a worker has died too often; never ends while all work.
    pub async fn broken(&mut self) -> LocalError {
        match &mut self.workers {
            Some(workers) => workers.given_up().await,
            None => std::future::pending().await,
        }
    }

    /// Drains the workers, ends the servers; data stays. Workers end at once when `hurry` comes first.
    pub async fn stop(mut self, hurry: impl Future<Output = ()>) {
        if let Some(workers) = self.workers.take() {
            workers.stop(hurry).await;
        }
        // without the file nobody attaches to what is ending; a file that cannot go names servers that do not answer
        let _ = fs::remove_file(self.dir.join(ADDRESSES));
        let stopped = spawn_blocking(move || {
            if let Some(postgres) = &mut self.postgres {
                postgres.stop();
            }
            self.redis.stop();
        });
        // it fails only when the runtime is going down, and then dropping the servers ends them
        let _ = stopped.await;
    }

    fn worker_options(
        &self,
        program: PathBuf,
        options: &LocalOptions,
        state: PathBuf,
    ) -> Result<WorkerOptions, LocalError> {
        let config = fs::canonicalize(&options.config).unwrap_or_else(|_| options.config.clone());
        let mut env = vec![
            ("NSTORE_REDIS_URL", self.addresses.redis_url.clone()),
            ("NSTORE_STORAGE_URL", self.addresses.storage_url.clone()),
            ("NSTORE_CONFIG", config.display().to_string()),
        ];
        // what the user says of these stands: workers inherit it
        if std::env::var_os(VAULT_KEY_VARIABLE).is_none_or(|value| value.is_empty()) {
            env.push((VAULT_KEY_VARIABLE, secret::kept::<VAULT_KEY_BYTES>(&self.dir.join(VAULT_KEY))?));
        }
        if sandbox::is_impossible() {
            env.push((sandbox::VARIABLE, sandbox::OFF.to_owned()));
        }
        Ok(WorkerOptions {
            program,
            slots: options.slots,
            logs: self.dir.join("logs"),
            state,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        })
    }
}

/// Where the private artifacts of a directory are.
///
/// # Errors
/// When the directory cannot be made.
pub fn private_storage_url(dir: &Path) -> Result<String, LocalError> {
    Ok(format!("file://{}", make_dir(dir)?.join("storage").display()))
}

/// The services of a directory that another living nstore runs just now.
pub fn attach(dir: &Path) -> Option<Addresses> {
    // whoever gets the lock knows that nobody runs them, whatever a file left behind says
    match DirLock::take(dir) {
        Err(ServerError::InUse { .. }) => serde_json::from_slice(&fs::read(dir.join(ADDRESSES)).ok()?).ok(),
        _ => None,
    }
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalFacts {
    /// The directory.
    pub dir: PathBuf,
    /// The services that another living nstore runs just now.
    pub running: bool,
    /// Another living nstore runs PostgreSQL too.
    pub postgres_running: bool,
    /// Workers that a killed nstore left behind.
    pub left_behind: usize,
    /// There is a queue of earlier runs.
    pub redis_data: bool,
    /// There is a database.
    pub postgres_data: bool,
}

/// Looks at a directory, and changes nothing.
pub fn facts(dir: &Path) -> LocalFacts {
    let running = attach(dir);
    LocalFacts {
        dir: fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()),
        postgres_running: running.as_ref().is_some_and(|addresses| addresses.postgres_url.is_some()),
        left_behind: if running.is_some() { 0 } else { workers::earlier(&dir.join(PIDS)).len() },
        running: running.is_some(),
        redis_data: dir.join("redis").is_dir(),
        postgres_data: dir.join("postgres").exists(),
    }
}

/// Ends servers and workers that a killed nstore left behind; answers how many workers there were.
///
/// # Errors
/// When another living process uses the directory, or something survives every signal.
pub async fn end_leftovers(dir: &Path) -> Result<usize, LocalError> {
    let dir = make_dir(dir)?;
    let _lock = DirLock::take(&dir)?;
    let (pids, facts) = (dir.join(PIDS), facts_of_data(&dir));
    let ended = blocking(move || workers::end_earlier(&pids)).await?;
    // it names servers that end now; without it there is nothing to remove
    let _ = fs::remove_file(dir.join(ADDRESSES));
    // a start ends what an earlier owner left, and recovers its data
    if facts.0 {
        let options = redis_options(&dir);
        blocking(move || RedisServer::start(&options).map(|mut server| server.stop())).await?;
    }
    if facts.1 {
        let options = PostgresOptions::new(dir.join("postgres"));
        blocking(move || PostgresServer::start(&options).map(|mut server| server.stop())).await?;
    }
    Ok(ended)
}

fn facts_of_data(dir: &Path) -> (bool, bool) {
    (dir.join("redis").is_dir(), dir.join("postgres").exists())
}

fn storage_url(options: &LocalOptions, dir: &Path) -> String {
    let below = || format!("file://{}", dir.join("storage").display());
    options.storage_url.clone().unwrap_or_else(below)
}

fn redis_options(dir: &Path) -> RedisOptions {
    RedisOptions { dir: dir.join("redis"), appendonly: true, port: None, password: true, env: vec![] }
}

/// Makes the directory, closed to other users, which git is to leave alone.
fn make_dir(dir: &Path) -> Result<PathBuf, ServerError> {
    secret::private_dir(dir)?;
    let dir = fs::canonicalize(dir).map_err(ServerError::io("find", dir))?;
    if rustix::process::geteuid().is_root() {
        // the user that PostgreSQL runs as then passes through it to the data; nobody can list it
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(ServerError::io("open", &dir))?;
    }
    // an earlier version left them open
    let parts = ["redis", "logs", "storage"].map(|part| dir.join(part));
    parts.iter().filter(|part| part.is_dir()).try_for_each(|part| secret::private_dir(part))?;
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(ServerError::io("write", &ignore))?;
    }
    Ok(dir)
}

/// Closed to others: the addresses hold passwords.
fn write_addresses(dir: &Path, addresses: &Addresses) -> Result<(), ServerError> {
    let path = dir.join(ADDRESSES);
    let write = || -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        file.write_all(&serde_json::to_vec(addresses)?)
    };
    write().map_err(ServerError::io("write", &path))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
) -> Result<T, ServerError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(broken) => Err(ServerError::io("run", "a server's start")(io::Error::other(broken))),
    }
}
