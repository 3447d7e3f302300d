//! A Redis prefix, a storage and a simulator, with runs to work on and workers in this process or beside it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::{path::Path, time::Duration};

use chrono::{Days, NaiveDate, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, ChunkState, ExecutionMode, Kind, RunId, SourceId, UploadMode},
    config::{self, LoadOptions, Source, secrets::Secrets},
    redis::{
        Redis,
        queue::{ChunkEntry, Progress, Queue, RunEntry},
    },
    storage::{
        Storage,
        manifest::{MANIFEST_VERSION, Manifest, SourcePlan, Upload},
        marker::{Committed, Marker, Outcome},
    },
};
use nstore_tests::{
    context::{self, Process},
    simulator::{self, Options, Simulator},
};
use nstore_worker::{WorkerConfig, WorkerError, extract::host::BrowserConfig};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

/// The lease of all workers here.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// What ends, ends within this time.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The directory of the shipped config.
pub(crate) const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) struct House {
    /// For workers; the house itself is a coordinator.
    worker_redis_url: String,
    pub(crate) prefix: String,
    folder: context::Storage,
    pub(crate) storage: Storage,
    pub(crate) simulator: Simulator,
    pub(crate) queue: Queue,
    pub(crate) redis: Redis,
}

/// A source's part of a run.
pub(crate) struct Run {
    pub(crate) run: RunId,
    pub(crate) source: SourceId,
    pub(crate) chunks: Vec<ChunkRange>,
}

/// A worker in this process.
pub(crate) struct Worker {
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    /// Asks it to end, and waits for that.
    pub(crate) async fn end(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

impl House {
    pub(crate) async fn new(options: Options) -> Self {
        let redis = context::redis();
        Self::with([redis.url, redis.worker_url], redis.prefix, options).await
    }

    /// On that Redis.
    pub(crate) async fn on(redis_url: String, prefix: String, options: Options) -> Self {
        Self::with([redis_url.clone(), redis_url], prefix, options).await
    }

    async fn with([redis_url, worker_redis_url]: [String; 2], prefix: String, options: Options) -> Self {
        let folder = context::storage();
        let storage = Storage::open(&folder.url).unwrap();
        let redis = Redis::connect(&redis_url, &prefix).await.unwrap();
        let (queue, simulator) = (redis.queue(), simulator::start(options).await.unwrap());
        Self { worker_redis_url, prefix, folder, storage, simulator, queue, redis }
    }

    /// A shipped source, pointed at the simulator, with tries that follow at once.
    pub(crate) fn source(&self, name: &str) -> Source {
        let variables = self.simulator.env();
        let env = |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let options = LoadOptions { env: &env, timezone: None };
        let mut config = config::load(Path::new(CONFIG), &options).unwrap();
        let mut source = config.sources.remove(&name.parse().unwrap()).unwrap();
        source.spec.chunk_backoff.base = Duration::from_millis(20);
        if let config::spec::ExtractSpec::Api(api) = &mut source.spec.extract {
            api.retry.attempts = 1;
        }
        source
    }

    /// A run of one-day chunks from the first of August, planned and enqueued.
    pub(crate) async fn run(&self, source: &str, days: u64) -> Run {
        self.run_of(source, self.source(source), days).await
    }

    /// The same with a source of one's own.
    pub(crate) async fn run_of(&self, name: &str, source: Source, days: u64) -> Run {
        self.run_named(context::unique("run").parse().unwrap(), name, source, days).await
    }

    /// The same under a name of one's own.
    pub(crate) async fn run_named(&self, run: RunId, name: &str, source: Source, days: u64) -> Run {
        let id: SourceId = name.parse().unwrap();
        let first = day("2025-08-01");
        let chunks: Vec<_> = (0..days)
            .map(|n| ChunkRange::days(first + Days::new(n), first + Days::new(n + 1)).unwrap())
            .collect();
        let (width, attempts) = (source.spec.width, source.spec.chunk_attempts);
        let manifest = manifest(&run, &id, source, &chunks);
        let entry = RunEntry {
            run: run.clone(),
            source: id.clone(),
            kind: Kind::Api,
            mode: ExecutionMode::Parallel,
            parallel_workers: 4,
            width,
            stop_on_discard: false,
            attempts,
            total: days,
            plan: Some(manifest.sources[0].digest()),
        };
        self.storage.create_manifest(&manifest).await.unwrap();
        let entries: Vec<_> =
            chunks.iter().map(|range| ChunkEntry { range: *range, generation: 1, unproven: false }).collect();
        self.queue.enqueue(&entry, &entries).await.unwrap();
        Run { run, source: id, chunks }
    }

    pub(crate) fn config(&self) -> WorkerConfig {
        let prefix = "NSTORE_SECRET_";
        let secrets = self.simulator.env().into_iter().filter(|(name, _)| name.starts_with(prefix));
        // as names, where they hold one word before the dot: the sources that these tests use
        let name = |variable: &str| variable[prefix.len()..].to_lowercase().replacen("orders_", "orders.", 1);
        let secrets = Secrets::of(secrets.map(|(variable, value)| (name(&variable), value)));
        WorkerConfig {
            redis_url: self.worker_redis_url.clone(),
            redis_prefix: self.prefix.clone(),
            storage_url: self.folder.url.clone(),
            secrets,
            concurrency: 2,
            lease: LEASE,
            grace: LIMIT,
            browser: BrowserConfig::default(),
            vault_key: None,
            sign: None,
        }
    }

    /// Starts a worker in this process.
    pub(crate) fn worker(&self, config: WorkerConfig) -> Worker {
        let (end, asked) = oneshot::channel::<()>();
        let task = tokio::spawn(nstore_worker::run(config, Kind::Api, async move { drop(asked.await) }));
        Worker { end, task }
    }

    /// A worker's process.
    pub(crate) fn process(&self) -> Process {
        let worker = Process::new("nstore-worker")
            .args(["--kind", "api", "--concurrency", "1", "--lease", "1s", "--config", CONFIG])
            .env("NSTORE_REDIS_URL", &self.worker_redis_url)
            .env("NSTORE_REDIS_PREFIX", &self.prefix)
            .env("NSTORE_STORAGE_URL", &self.folder.url);
        self.simulator.env().into_iter().fold(worker, |worker, (name, value)| worker.env(&name, value))
    }

    pub(crate) async fn progress(&self, run: &Run) -> Progress {
        self.queue.progress(&run.source, &run.run).await.unwrap().unwrap_or_default()
    }

    /// Waits until Redis tells so of the run.
    pub(crate) async fn wait(&self, run: &Run, what: &str, so: impl Fn(&Progress) -> bool) {
        let start = Instant::now();
        loop {
            let progress = self.progress(run).await;
            if so(&progress) {
                return;
            }
            assert!(start.elapsed() < LIMIT, "not {what} within {LIMIT:?}: {progress:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many chunks are in a state.
    pub(crate) async fn wait_for(&self, run: &Run, state: ChunkState, count: u64) {
        let so = |progress: &Progress| progress.chunks.get(&state) == Some(&count);
        self.wait(run, &format!("{count} {state:?}"), so).await;
    }

    pub(crate) async fn marker(&self, run: &Run, range: ChunkRange) -> Option<Marker> {
        self.storage.standing_of(&chunk(run, range)).await.unwrap()
    }

    /// What a chunk's marker says was committed.
    pub(crate) async fn committed(&self, run: &Run, range: ChunkRange) -> (Marker, Committed) {
        let marker = self.marker(run, range).await.expect("a marker");
        let Outcome::Committed(committed) = marker.outcome.clone() else { panic!("{marker:?}") };
        (marker, *committed)
    }

    /// The names of all artifacts of a run.
    pub(crate) async fn files(&self, run: &Run) -> Vec<String> {
        let files = self.storage.artifacts(&run.source, &run.run).await.unwrap();
        files.into_iter().map(|file| file.name).collect()
    }
}

pub(crate) fn chunk(run: &Run, range: ChunkRange) -> Chunk {
    Chunk { source: run.source.clone(), run: run.run.clone(), range }
}

fn manifest(run: &RunId, id: &SourceId, source: Source, chunks: &[ChunkRange]) -> Manifest {
    let plan = SourcePlan {
        source: id.clone(),
        spec: source.spec,
        contract: source.contract,
        chunk_days: 1,
        execution: ExecutionMode::Parallel,
        execution_reason: "asked for".into(),
        parallel_workers: 4,
        upload_mode: UploadMode::Append,
        chunks: chunks.to_vec(),
    };
    Manifest {
        version: MANIFEST_VERSION,
        run: run.clone(),
        created_at: Utc::now(),
        idempotency_key: None,
        start_date: day("2025-08-01"),
        end_date: day("2025-08-31"),
        upload: Upload { enabled: false, reload: false, allow_shrink: false },
        fail_fast: false,
        detached: false,
        extracted_after: None,
        sources: vec![plan],
        refused: vec![],
    }
}
