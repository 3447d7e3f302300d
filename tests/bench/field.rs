//! What a measurement stands on: private servers, a simulated marketplace, the binaries built beside this one.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nstore_tests::{
    context::{
        OwnPostgres, OwnRedis, Process, Running, Storage, copy_config, edit, own_postgres, own_redis, storage,
    },
    simulator::{self, Options, Simulator},
};

/// No single command takes longer.
const LIMIT: Duration = Duration::from_secs(1200);

/// One measurement's world.
pub(crate) struct Field {
    pub(crate) postgres: OwnPostgres,
    pub(crate) storage: Storage,
    pub(crate) simulator: Simulator,
    /// The folder of its config: the shipped one, but nothing of it limits how often a source is asked.
    pub(crate) config: PathBuf,
    /// Variables that differ from the field's, such as another storage.
    pub(crate) env: Vec<(String, String)>,
    redis: OwnRedis,
    _own_config: tempfile::TempDir,
}

impl Field {
    pub(crate) async fn new(options: Options) -> anyhow::Result<Self> {
        let own_config = tempfile::tempdir()?;
        copy_config(own_config.path());
        let budget = "budget:    { key: razorpay, rate: 10/s }     # requests of all workers together\n";
        edit(&own_config.path().join("sources/buyer_razorpay.yaml"), budget, "");
        Ok(Self {
            postgres: own_postgres(),
            storage: storage(),
            simulator: simulator::start(options).await?,
            config: own_config.path().to_owned(),
            env: vec![],
            redis: own_redis(true),
            _own_config: own_config,
        })
    }

    /// Where its Redis is.
    pub(crate) fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The process of its Redis.
    pub(crate) fn redis_pid(&self) -> anyhow::Result<u32> {
        self.redis.server.pid().context("no redis")
    }

    pub(crate) fn process(&self, binary: &str) -> Process {
        let mut process = Process::new(binary)
            .env("NSTORE_CONFIG", &self.config)
            .env("NSTORE_REDIS_URL", self.redis.url())
            .env("NSTORE_POSTGRES_URL", self.postgres.url())
            .env("NSTORE_STORAGE_URL", &self.storage.url);
        for (name, value) in self.simulator.env().into_iter().chain(self.env.clone()) {
            process = process.env(&name, value);
        }
        process
    }

    /// A worker with so many slots.
    pub(crate) fn worker(&self, slots: u32) -> Running {
        self.process("nstore-worker").args(["--kind", "api", "--concurrency", &slots.to_string()]).start()
    }

    /// Runs `nstore` with these arguments, words separated by blanks; answers how long it took.
    pub(crate) async fn nstore(&self, args: &str) -> anyhow::Result<Duration> {
        timed(self.process("nstore").args(args.split_whitespace())).await
    }

    /// The newest run's name.
    pub(crate) fn newest_run(&self) -> anyhow::Result<String> {
        let mut runs: Vec<PathBuf> = std::fs::read_dir(self.storage.dir.join("runs"))?
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        runs.sort();
        let newest = runs.pop().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        newest.ok_or_else(|| anyhow::anyhow!("there is no run"))
    }
}

/// Runs a process to an end with exit code 0; answers how long it took.
pub(crate) async fn timed(process: Process) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let exit = process.run(LIMIT).await;
    let took = started.elapsed();
    ensure!(exit.code == Some(0), "ended with {:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
    Ok(took)
}

/// The Python of a virtual environment with just these packages, which lies in the target directory; made when they
/// are not the ones that are there.
pub(crate) fn venv(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let target = std::env::current_exe()?;
    let folder = target.ancestors().nth(2).context("no target directory")?.join(name);
    let (python, list) = (folder.join("bin/python"), folder.join("packages.txt"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&list).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("{} are put into {}", packages.join(", "), folder.display());
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    done(Command::new(&python).args(pip).args(packages))?;
    std::fs::write(list, wanted)?;
    Ok(python)
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Processes that wanted to run, over the last minute: how calm the machine is.
pub(crate) fn load_average() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
