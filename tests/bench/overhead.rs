//! What an empty chunk costs in processor time, by process, as the number of chunks grows; against a bare fetch, a pool
//! of Python processes and Celery, which do less: they fetch and write a file each, and load nothing.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{Router, routing::get};
use chrono::{Days, NaiveDate};
use nstore_tests::{context::Running, simulator::Options};

use crate::field::{Field, load_average, venv};

/// Chunks of a day each, in one run.
const CHUNKS: [u32; 3] = [1_000, 5_000, 20_000];
const LOOPS: u32 = 4;
/// Tasks of the others: what the first ones cost, the start of Python included, is taken off.
const TASKS: [u32; 2] = [500, 4_000];
/// In which the kernel tells time spent, a second.
const TICKS: f64 = 100.;
/// How often a process is looked at that ends by itself: what it spends after the last look is missed.
const LOOK: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(1200);
const PACKAGES: [&str; 1] = ["celery[redis]==5.7.0"];
const EMPTY: &str = r#"{"result":{"orders":[],"total":0}}"#;

pub(crate) async fn measure() -> anyhow::Result<()> {
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let url = serve().await?;
    let fetch = bare_fetch(&url, CHUNKS[0])?;
    println!("overhead: a bare fetch takes {fetch:.2} ms of its process ({build})");
    let mut first = None;
    for chunks in CHUNKS {
        let cost = Cost::of_run(&url, chunks).await?;
        let growth = cost.sum() / *first.get_or_insert(cost.sum());
        println!(
            "overhead: {chunks} chunks, a chunk takes {:.2} ms: coordinator {:.2}, worker {:.2}, redis {:.2}, postgres \
             {:.2}; {:.1} bare fetches, {growth:.2} times as much as of {} chunks ({build}, load average {})",
            cost.sum(),
            cost.coordinator,
            cost.worker,
            cost.redis,
            cost.postgres,
            cost.sum() / fetch,
            CHUNKS[0],
            load_average()?
        );
    }
    let python = venv("overhead", &PACKAGES)?;
    let redis = nstore_tests::context::own_redis(true);
    for other in ["pool", "celery"] {
        let few = others(&python, other, &url, &redis.url(), TASKS[0])?;
        let many = others(&python, other, &url, &redis.url(), TASKS[1])?;
        let each = (many - few) * 1000. / f64::from(TASKS[1] - TASKS[0]);
        println!(
            "overhead: {other}, without loading: a task takes {each:.2} ms, {:.1} bare fetches",
            each / fetch
        );
    }
    Ok(())
}

/// A source that never has a row, in this process; answers its address.
async fn serve() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let json = [("content-type", "application/json")];
    let router = Router::new().route("/seller/orders", get(move || async move { (json, EMPTY) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Milliseconds of processor that a chunk takes.
struct Cost {
    coordinator: f64,
    worker: f64,
    redis: f64,
    postgres: f64,
}

impl Cost {
    /// A run of so many chunks on servers of its own, loaded.
    async fn of_run(url: &str, chunks: u32) -> anyhow::Result<Self> {
        let mut field = Field::new(Options::default()).await?;
        field.env = vec![("SELLER_URL".to_owned(), url.to_owned())];
        let (worker, redis) = (field.worker(LOOPS), field.redis_pid()?);
        let postgres = field.postgres.server.pid().context("no postgres")?;
        // its start, and that of the servers, is none of the chunks'
        extract(&field, 1).await?;
        let before = (cpu(worker.pid())?, cpu(redis)?, tree(postgres)?);
        let coordinator = extract(&field, chunks).await?;
        let each = |seconds: f64| seconds * 1000. / f64::from(chunks);
        Ok(Self {
            coordinator: each(coordinator),
            worker: each(cpu(worker.pid())? - before.0),
            redis: each(cpu(redis)? - before.1),
            postgres: each(tree(postgres)? - before.2),
        })
    }

    fn sum(&self) -> f64 {
        self.coordinator + self.worker + self.redis + self.postgres
    }
}

/// Extracts and loads so many days; answers the coordinator's seconds of processor.
async fn extract(field: &Field, days: u32) -> anyhow::Result<f64> {
    let first: NaiveDate = "1970-01-02".parse()?;
    let last = first + Days::new(u64::from(days) - 1);
    let args = format!(
        "extract --start-date {first} --end-date {last} --sources seller_orders --chunk-sizes seller_orders:1 \
         --execution-mode seller_orders:parallel --parallel-workers {LOOPS} --upload"
    );
    let mut job: Running = field.process("nstore").args(args.split_whitespace()).start();
    let mut seconds = 0.;
    while job.is_running() {
        // it may end between the two
        seconds = cpu(job.pid()).unwrap_or(seconds);
        tokio::time::sleep(LOOK).await;
    }
    let exit = job.wait_exit(LIMIT).await;
    ensure!(exit.code == Some(0), "ended with {:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
    Ok(seconds)
}

/// Milliseconds of processor of one request over a connection that stays, of so many one after the other.
fn bare_fetch(url: &str, times: u32) -> anyhow::Result<f64> {
    let url = format!("{url}/seller/orders?since_ms=0&until_ms=1&offset=0&limit=250");
    let client = std::thread::spawn(move || -> anyhow::Result<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = reqwest::Client::new();
        let fetch = async || client.get(&url).send().await?.error_for_status()?.bytes().await;
        runtime.block_on(async {
            fetch().await?;
            // the server is in this process too
            let before = spent("/proc/thread-self/stat", 2)?;
            for _ in 0..times {
                ensure!(fetch().await? == EMPTY, "another answer");
            }
            Ok((spent("/proc/thread-self/stat", 2)? - before) * 1000. / f64::from(times))
        })
    });
    client.join().map_err(|_| anyhow::anyhow!("the client broke down"))?
}

/// Seconds of processor that a process has had.
fn cpu(pid: u32) -> anyhow::Result<f64> {
    spent(&format!("/proc/{pid}/stat"), 2)
}

/// The same of a process and its children, those that have ended too.
fn tree(pid: u32) -> anyhow::Result<f64> {
    let mut sum = spent(&format!("/proc/{pid}/stat"), 4)?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    for child in children.split_whitespace() {
        // one that ends meanwhile is counted with its parent the next time
        sum += spent(&format!("/proc/{child}/stat"), 2).unwrap_or(0.);
    }
    Ok(sum)
}

/// The sum of so many of utime, stime, cutime and cstime, in seconds; see proc(5).
fn spent(stat: &str, fields: usize) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(stat)?;
    // the name before the fields may hold blanks
    let rest = stat.rsplit(") ").next().context("no fields")?;
    let ticks: Vec<f64> = rest.split(' ').skip(11).take(fields).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// Seconds of processor that so many tasks take in one of the others, its start included.
fn others(python: &Path, which: &str, url: &str, redis: &str, tasks: u32) -> anyhow::Result<f64> {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/overhead/field.py");
    let folder = tempfile::tempdir()?;
    let told = Command::new(python)
        .arg(script)
        .args([which, &LOOPS.to_string(), &tasks.to_string()])
        .arg(folder.path())
        .env("FIELD_URL", format!("{url}/seller/orders"))
        .env("FIELD_REDIS_URL", redis)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(told.status.success(), "{which} ended with {}", told.status);
    Ok(String::from_utf8(told.stdout)?.trim().parse()?)
}
