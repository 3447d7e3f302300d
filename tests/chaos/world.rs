//! One round's world: servers of its own with proxies before them, a marketplace, and the processes that work on them.

use std::{
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nstore_shared::storage::Storage;
use nstore_tests::{
    context::{
        self, Clock, OwnPostgres, OwnRedis, Process, Proxy, Room, S3, Scratch, own_postgres,
        own_redis_with_clock, own_s3, s3,
    },
    simulator::{self, Api, Options, Simulator, log::Request},
};
use tokio::sync::Mutex;

use crate::{fleet::Fleet, schedule::Store};

/// How long a claim of an API worker lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// How long one of a browser worker lasts.
const BROWSER_LEASE: Duration = Duration::from_secs(5);
/// Room of the storage: workers start no chunk with less than 256.
const STORAGE_MEGABYTES: u32 = 512;
/// Room of the tables.
const TABLES_MEGABYTES: u32 = 96;

/// Sources that share a budget.
pub(crate) const SHARING: [Api; 2] = [Api::BuyerOrders, Api::BuyerTickets];
/// Requests to them in a second, and at once.
pub(crate) const RATE: usize = 5;
pub(crate) const BURST: usize = 2;

/// Which guards the processes do without.
pub(crate) const UNGUARDED: &str = "NSTORE_UNGUARDED";

/// What the processes find.
pub(crate) struct World {
    pub(crate) redis: Mutex<OwnRedis>,
    /// Between workers and Redis.
    pub(crate) workers_line: Proxy,
    /// Between coordinators and Redis.
    pub(crate) office_line: Proxy,
    pub(crate) postgres: Mutex<OwnPostgres>,
    /// Between coordinators and PostgreSQL.
    pub(crate) postgres_line: Proxy,
    pub(crate) s3: Option<S3>,
    /// Between all and S3.
    pub(crate) s3_line: Option<Proxy>,
    pub(crate) simulator: Simulator,
    pub(crate) fleet: Mutex<Fleet>,
    /// What stands in storage, seen past all faults.
    pub(crate) storage: Storage,
    /// The folder that is the storage of a round on a folder.
    pub(crate) folder: context::Storage,
    /// Around that folder.
    pub(crate) storage_room: Option<Room>,
    /// Around PostgreSQL's tables.
    pub(crate) tables_room: Option<Room>,
    pub(crate) redis_url: String,
    pub(crate) postgres_url: String,
    env: Vec<(String, String)>,
    config: PathBuf,
    /// That of one worker.
    pub(crate) clock: Clock,
    pub(crate) redis_clock: Clock,
    browsers: tempfile::TempDir,
    scratch: Scratch,
}

impl World {
    pub(crate) async fn new(store: Store, seed: u64) -> anyhow::Result<Self> {
        let latency = Duration::from_millis(300);
        let simulator =
            simulator::start(Options { rows_per_day: 60, latency, seed, ..Options::default() }).await?;
        let (clock, redis_clock) = (Clock::new(0), Clock::new(0));
        let redis = own_redis_with_clock(true, &redis_clock);
        let (postgres, folder) = (own_postgres(), context::storage());
        let storage_room =
            if store == Store::Folder { Room::of(&folder.dir, STORAGE_MEGABYTES)? } else { None };
        let s3 = if store == Store::S3 { Some(own_s3().await) } else { None };
        let scratch = Scratch::new("chaos");
        let tables_room = room_for_tables(&postgres, &scratch).await?;
        let (redis_url, postgres_url) = (redis.url(), postgres.url());
        let workers_line = Proxy::start(address(&redis_url)?).await;
        let office_line = Proxy::start(address(&redis_url)?).await;
        let postgres_line = Proxy::start(address(&postgres_url)?).await;
        let s3_line = match &s3 {
            Some(s3) => Some(Proxy::start(s3.address).await),
            None => None,
        };
        let (url, behind) = match &s3 {
            Some(s3) => (s3.url("team"), s3.env()),
            None => (folder.url.clone(), vec![]),
        };
        let mut env: Vec<(String, String)> = simulator.env();
        if let (Some(s3), Some(line)) = (&s3, &s3_line) {
            env.extend(s3::env(line.address, &s3.writer));
            env.push(("AWS_READ_TIMEOUT".into(), "3s".into()));
        }
        // of a build whose guards may be taken away; an ordinary one does not read it
        env.extend(std::env::var(UNGUARDED).ok().map(|guards| (UNGUARDED.to_owned(), guards)));
        env.push(("NSTORE_STORAGE_URL".into(), url.clone()));
        env.push(("NSTORE_POSTGRES_URL".into(), through(&postgres_url, &postgres_line)?));
        let config = scratch.path().join("config");
        write_config(&config)?;
        Ok(Self {
            storage: Storage::open_with(&url, behind)?,
            redis: Mutex::new(redis),
            workers_line,
            office_line,
            postgres: Mutex::new(postgres),
            postgres_line,
            s3,
            s3_line,
            simulator,
            fleet: Mutex::default(),
            folder,
            storage_room,
            tables_room,
            redis_url,
            postgres_url,
            env,
            config,
            clock,
            redis_clock,
            browsers: tempfile::tempdir()?,
            scratch,
        })
    }

    fn process(&self, binary: &str, redis: &Proxy) -> Process {
        let at = format!("redis://{}", redis.address);
        let process = Process::new(binary)
            .dir(self.scratch.path())
            .env("NSTORE_CONFIG", &self.config)
            .env("NSTORE_REDIS_URL", at);
        // what it would read for a backtrace is large
        let process = process.env("RUST_BACKTRACE", "0");
        self.env.iter().fold(process, |process, (name, value)| process.env(name, value))
    }

    /// `nstore` with these arguments, words separated by blanks.
    pub(crate) fn nstore(&self, args: &str) -> Process {
        self.process("nstore", &self.office_line).args(args.split_whitespace())
    }

    /// `nstore`, to an end with exit code 0; answers what it printed.
    pub(crate) async fn good(&self, args: &str) -> anyhow::Result<String> {
        let exit = self.nstore(args).run(Duration::from_secs(120)).await;
        ensure!(exit.code == Some(0), "nstore {args}: {:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
        Ok(exit.stdout)
    }

    /// An API worker, perhaps with a clock of its own.
    pub(crate) fn api_worker(&self, clock: bool) -> Process {
        let worker = self.worker_by(&self.workers_line);
        if !clock {
            return worker;
        }
        self.clock.env().iter().fold(worker, |worker, (name, value)| worker.env(name, value))
    }

    /// An API worker whose way to Redis is this one.
    pub(crate) fn worker_by(&self, line: &Proxy) -> Process {
        let lease = format!("{}ms", LEASE.as_millis());
        let args = ["--kind", "api", "--concurrency", "2", "--grace", "10s", "--lease", &lease];
        self.process("nstore-worker", line).args(args)
    }

    /// Replaces a text in a file of the config, which must hold it.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        context::edit(&self.config.join(file), from, to);
    }

    pub(crate) fn browser_worker(&self) -> Process {
        let lease = format!("{}s", BROWSER_LEASE.as_secs());
        let args = ["--kind", "browser", "--concurrency", "1", "--grace", "10s", "--lease", &lease];
        let worker = self.process("nstore-worker", &self.workers_line).args(args);
        let worker = worker.env("TMPDIR", self.browsers.path());
        // Chromium gives root no sandbox
        if rustix::process::getuid().is_root() { worker.env("NSTORE_BROWSER_SANDBOX", "off") } else { worker }
    }

    /// The processes of the browsers, and the profiles that lie there.
    pub(crate) fn browsers(&self) -> (Vec<u32>, Vec<PathBuf>) {
        context::browsers(self.browsers.path())
    }

    /// All that is in storage, as keys below its root.
    pub(crate) async fn keys(&self) -> Vec<String> {
        if let Some(s3) = &self.s3 {
            let keys = s3.keys().await;
            return keys.iter().filter_map(|key| key.strip_prefix("team/")).map(str::to_owned).collect();
        }
        let mut found = vec![];
        below(&self.folder.dir, &self.folder.dir, &mut found);
        found
    }

    /// What stands under a key.
    pub(crate) async fn text(&self, key: &str) -> anyhow::Result<String> {
        match &self.s3 {
            Some(s3) => s3.text(&format!("team/{key}")).await,
            None => Ok(std::fs::read_to_string(self.folder.dir.join(key))?),
        }
    }

    /// One number from the database, past all faults; none while it is away or the table is not there.
    pub(crate) async fn number(&self, sql: &str) -> Option<i64> {
        let ask = async {
            let (client, connection) =
                tokio_postgres::connect(&self.postgres_url, tokio_postgres::NoTls).await.ok()?;
            let running = tokio::spawn(connection);
            let number = client.query_one(sql, &[]).await.ok().and_then(|row| row.try_get(0).ok());
            drop(client);
            drop(running.await);
            number
        };
        tokio::time::timeout(LEASE, ask).await.ok().flatten()
    }

    /// How far all is.
    pub(crate) async fn progress(&self) -> Progress {
        let mut requests = self.simulator.requests();
        requests.retain(|request| request.status == 200);
        let of_dashboards = |request: &&Request| request.source == Api::NetworkObservability.name();
        let dashboards = requests.iter().filter(of_dashboards).count();
        let loaded = self.number("SELECT count(*) FROM nstore.ledger").await;
        Progress { dashboards, apis: requests.len() - dashboards, loaded }
    }
}

/// What grows as long as anything goes on: answered requests, and chunks in the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    dashboards: usize,
    apis: usize,
    /// Not known while the database is away.
    loaded: Option<i64>,
}

impl Progress {
    /// The lease of whoever has gone on since: a browser's where nobody else had anything to do.
    pub(crate) fn since(&self, before: &Self) -> Option<Duration> {
        let more = self.loaded.zip(before.loaded).is_some_and(|(now, then)| now > then);
        if self.apis > before.apis || more {
            return Some(LEASE);
        }
        (self.dashboards > before.dashboards).then_some(BROWSER_LEASE)
    }
}

/// From now on, tables are made in a room of their own.
async fn room_for_tables(postgres: &OwnPostgres, scratch: &Scratch) -> anyhow::Result<Option<Room>> {
    let dir = scratch.path().join("tables");
    std::fs::create_dir(&dir)?;
    let Some(room) = Room::of(&dir, TABLES_MEGABYTES)? else { return Ok(None) };
    let owner = std::fs::metadata(postgres.server.dir().join("data"))?;
    chown(&dir, Some(owner.uid()), Some(owner.gid()))?;
    let make = format!("CREATE TABLESPACE room LOCATION '{}'", dir.display());
    postgres.client().await.batch_execute(&make).await?;
    postgres.set("default_tablespace = room").await;
    Ok(Some(room))
}

fn below(root: &Path, dir: &Path, found: &mut Vec<String>) {
    // folders and files come and go
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(root, &path, found);
        } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            found.push(key.to_owned());
        }
    }
}

/// Where the server of a URL listens.
fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).context("a URL")?;
    Ok(authority.rsplit('@').next().context("a host")?.parse()?)
}

fn through(url: &str, line: &Proxy) -> anyhow::Result<String> {
    Ok(url.replace(&address(url)?.to_string(), &line.address.to_string()))
}

/// The shipped config, in a hurry; one source is sequential, one has a table without a key, two share a budget.
fn write_config(to: &Path) -> anyhow::Result<()> {
    context::copy_config(to);
    for api in Api::HTTP {
        let file = format!("sources/{}.yaml", api.name());
        context::edit(&to.join(&file), "base: 1s", "base: 50ms");
        let mut source = std::fs::OpenOptions::new().append(true).open(to.join(&file))?;
        writeln!(source, "limits: {{ max_body: 1MB }}")?;
        writeln!(source, "timeouts: {{ connect: 2s, read: 2s, total: 10s }}")?;
        writeln!(source, "chunk_retry: {{ base: 100ms, ceiling: 1s }}")?;
        if SHARING.contains(&api) {
            writeln!(source, "budget: {{ key: market, rate: {RATE}/s, burst: {BURST} }}")?;
        }
    }
    context::edit(&to.join("sources/seller_orders.yaml"), "execution: auto", "execution: sequential");
    context::edit(&to.join("mappings/seller_tickets.yaml"), "key: [ticket_id]\n", "");
    let dashboard = to.join("sources/network_observability.yaml");
    let mut dashboard = std::fs::OpenOptions::new().append(true).open(dashboard)?;
    writeln!(dashboard, "timeouts: {{ step: 15s, login: 20s, chunk: 60s }}")?;
    writeln!(dashboard, "chunk_retry: {{ base: 100ms, ceiling: 1s }}")?;
    Ok(())
}
