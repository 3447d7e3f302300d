//! The engine: claim loops, execution of grants, heartbeat.
//!
//! - [`bench`]: what all claim loops share
//! - [`slot`]: one claim loop; [`rota`]: which source it asks next; [`stir`]: what idle ones tell each other
//! - [`executor`]: one grant -> one outcome; [`extraction`]: one try of it; [`shelf`]: its files;
//!   [`split`]: whether a chunk is split; [`halves`]: what that leaves; [`plans`]: what it follows; [`paused`]: whether it is to be worked on; [`verdict`]: what follows from a failed one
//! - [`lease`]: deadlines and the gate that work passes through; [`heart`]: renews them
//! - [`open`]: which sources are open; [`outage`]: a service that is away; [`stop`]: how it all ends

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::{Kind, WorkerId},
    config::secrets::Secrets,
    health::Sign,
    redis::{Redis, RedisError, fitness::FitnessWatch, fleet::WorkerCard, vault::VaultKey},
    storage::{Storage, StorageError},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use tracing::info;

/// One log line about a grant.
macro_rules! tell {
    ($level:ident, $grant:expr, $($rest:tt)*) => {{
        let (chunk, attempt) = (&$grant.chunk, $grant.by.attempt);
        tracing::$level!(source = %chunk.source, run = %chunk.run, chunk = %chunk.range, attempt, $($rest)*)
    }};
}

mod bench;
mod executor;
mod extraction;
mod halves;
mod heart;
mod lease;
mod open;
mod outage;
mod paused;
mod plans;
mod rota;
mod shelf;
mod slot;
mod split;
mod stir;
mod stop;
pub mod verdict;

use bench::Bench;
use slot::Slot;

use crate::extract::host::{BrowserConfig, Host, HostError};

/// How long a worker that starts waits for Redis or a storage that is away.
const CONNECT: Duration = Duration::from_secs(5);
/// And how often it tries.
const CONNECT_EVERY: Duration = Duration::from_millis(500);

/// All that a worker needs to know.
pub struct WorkerConfig {
    /// `redis://…`; may hold a password.
    pub redis_url: String,
    /// What all keys in Redis start with.
    pub redis_prefix: String,
    /// `file:…`, `s3://…`.
    pub storage_url: String,
    /// This host's secrets.
    pub secrets: Secrets,
    /// Chunks that it works on at once, at least 1.
    pub concurrency: u32,
    /// How long a claim lasts without a heartbeat; there are three in that time.
    pub lease: Duration,
    /// How long running chunks may go on after the end was asked for.
    pub grace: Duration,
    /// How this host's browsers are started.
    pub browser: BrowserConfig,
    /// The key of the vault where workers share logins; without it they are shared within this process alone.
    pub vault_key: Option<VaultKey>,
    /// Where it gives signs of life.
    pub sign: Option<Sign>,
}

/// Why a worker does not run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// This build or this host cannot do that kind of work.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Redis is away or cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Storage is away or cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A claim loop broke down, which is a fault of this program.
    #[error("a claim loop broke down, the worker ends: {0}")]
    Broken(String),
}

/// Runs a worker until `shutdown` resolves: then running chunks get the grace time, and what is still in hand
/// after it is given back without counting a try. One that is asked to drain finishes what it has, however long
/// that takes, unless `shutdown` resolves meanwhile.
///
/// # Errors
/// When it cannot start: a kind that this build or host lacks, Redis or storage that cannot be used.
pub async fn run(
    config: WorkerConfig,
    kind: Kind,
    shutdown: impl Future<Output = ()>,
) -> Result<(), WorkerError> {
    let mut card = card(kind, config.concurrency.max(1), config.lease);
    tokio::pin!(shutdown);
    let mut host = tokio::select! {
        host = Host::open(kind, &config.browser) => host?,
        () = &mut shutdown => return Ok(()),
    };
    let storage = Storage::open(&config.storage_url)?;
    ready(&storage).await?;
    storage.url().clone_into(&mut card.storage_url);
    card.storage_id = identity(&storage).await?;
    let redis = connect(&config).await?;
    host.ration(redis.budgets());
    if let Some(key) = &config.vault_key {
        host.share(redis.vault(key.clone()), &card.id);
    }
    info!(worker = card.id, %kind, slots = card.slots, storage = storage.url(), "started");
    let (grace, id) = (config.grace, card.id.clone());
    let sign = config.sign;
    let bench = Bench::new(redis.queue(), redis.fleet(), storage, config.secrets, host, config.lease);
    let bench = Arc::new(bench);
    let heart = Heart { card, fitness: FitnessWatch::new(redis), sign: sign.clone() };
    let outcome = work(bench.clone(), heart, grace, shutdown).await;
    bench.host.close().await;
    if let Some(sign) = sign {
        sign.end();
    }
    info!(worker = id, "stopped");
    outcome
}

/// What the heartbeat of a worker is about, beside its leases.
struct Heart {
    card: WorkerCard,
    fitness: FitnessWatch,
    sign: Option<Sign>,
}

async fn work(
    bench: Arc<Bench>,
    heart: Heart,
    grace: Duration,
    shutdown: impl Future<Output = ()>,
) -> Result<(), WorkerError> {
    tokio::pin!(shutdown);
    let Heart { card, fitness, sign } = heart;
    let (stopper, stop) = stop::channel();
    let (open_sender, open) = watch::channel(Vec::new());
    let opened = tokio::spawn(open::keep(bench.clone(), card.kind, open_sender, stop.clone()));
    let mut slots = JoinSet::new();
    for number in 0..card.slots {
        let slot = Slot::new(bench.clone(), slot_id(&card.id, number), card.kind, open.clone(), stop.clone());
        slots.spawn(slot.run());
    }
    drop(open);
    let (end_heart, heart_ends) = oneshot::channel();
    let (asked, mut drain) = watch::channel(false);
    let heart = tokio::spawn(heart::beat(bench.clone(), card, fitness, sign, heart_ends, asked));

    let mut outcome = tokio::select! {
        () = &mut shutdown => Ok(()),
        true = is_asked(&mut drain) => {
            info!("asked to drain: no chunk is claimed any more, what is running is finished");
            stopper.drain();
            tokio::select! {
                () = &mut shutdown => Ok(()),
                ended = all(&mut slots) => ended,
            }
        }
        Some(ended) = slots.join_next() => {
            broken(ended).and_then(|()| Err(WorkerError::Broken("it ended by itself".to_owned())))
        }
    };
    stopper.drain();
    let ended = timeout(grace, all(&mut slots)).await;
    stopper.halt();
    bench.leases.halt();
    outcome = outcome.and(match ended {
        Ok(ended) => ended,
        // time to give back what is in hand; what hangs even then is cut off, and its lease lapses
        Err(_) => timeout(slot::LAST_CALLS * 2, all(&mut slots)).await.unwrap_or(Ok(())),
    });
    slots.shutdown().await;
    drop(end_heart);
    drop(heart.await);
    opened.abort();
    outcome
}

/// Waits until the worker is asked to drain; false when nobody will ask any more, as the heart has broken down.
async fn is_asked(drain: &mut watch::Receiver<bool>) -> bool {
    drain.wait_for(|asked| *asked).await.is_ok()
}

/// Waits for all claim loops.
async fn all(slots: &mut JoinSet<()>) -> Result<(), WorkerError> {
    let mut outcome = Ok(());
    while let Some(ended) = slots.join_next().await {
        outcome = outcome.and(broken(ended));
    }
    outcome
}

fn broken(ended: Result<(), tokio::task::JoinError>) -> Result<(), WorkerError> {
    ended.map_err(|why| WorkerError::Broken(why.to_string()))
}

/// Connects, and waits a while for a Redis that may still be starting.
async fn connect(config: &WorkerConfig) -> Result<Redis, RedisError> {
    let since = Instant::now();
    loop {
        match Redis::connect(&config.redis_url, &config.redis_prefix).await {
            Err(error) if error.may_pass() && since.elapsed() < CONNECT => {
                tokio::time::sleep(CONNECT_EVERY).await;
            }
            answer => return answer,
        }
    }
}

/// Looks whether storage can be used, waiting a little. One without room is no reason to end: nothing is claimed until
/// there is some.
async fn ready(storage: &Storage) -> Result<(), StorageError> {
    let since = Instant::now();
    loop {
        match storage.check().await {
            Err(error) if error.is_full() => return Ok(()),
            Err(error @ StorageError::NoCredentials { .. }) => return Err(error),
            Err(error) if error.may_pass() && since.elapsed() < CONNECT => {
                tokio::time::sleep(CONNECT_EVERY).await;
            }
            answer => return answer.map(drop),
        }
    }
}

/// Who this worker is: its id is unique per process start.
fn card(kind: Kind, slots: u32, lease: Duration) -> WorkerCard {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_owned();
    let start: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect();
    let id = format!("{}-{}-{start}", part_of_id(&host), std::process::id());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    WorkerCard {
        id,
        host,
        kind,
        version,
        slots,
        lacks: vec![],
        without: if cfg!(feature = "browser") { vec![] } else { vec![Kind::Browser] },
        lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        draining: false,
        holds: vec![],
        storage_url: String::new(),
        storage_id: String::new(),
        clock_ahead_ms: None,
    }
}

/// Which storage it is; nothing where there is no room to note it, and then nobody can tell.
async fn identity(storage: &Storage) -> Result<String, StorageError> {
    match storage.identify().await {
        Err(error) if error.is_full() => Ok(String::new()),
        identity => identity,
    }
}

/// A host's name as a part of an id: short, of `[a-z0-9-]`.
fn part_of_id(host: &str) -> String {
    let short = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let id: String = short.chars().map(fit).take(24).collect();
    if id.is_empty() { "host".to_owned() } else { id }
}

#[expect(clippy::expect_used, reason = "the parts are of [a-z0-9-] and short")]
fn slot_id(worker: &str, number: u32) -> WorkerId {
    format!("{worker}-s{number}").parse().expect("a worker's id is an id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_name_makes_an_id() {
        for host in ["Worker_1.example.org", "", "ümläut", &"x".repeat(300)] {
            assert!(format!("{}-1-abcdef-s0", part_of_id(host)).parse::<WorkerId>().is_ok(), "{host}");
        }
        assert_eq!(part_of_id("Worker_1.example.org"), "worker-1");
    }
}
