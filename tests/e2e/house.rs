//! A marketplace, servers, a config of its own, and the binaries that work on them.

use std::{
    fs::DirEntry,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use nstore_tests::{
    context::{self, Exit, Process, Running, TestContext},
    simulator::{self, Api, Options, Simulator, truth::DayTruth},
};

/// Longer than any step of a test takes.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// A lease that lets a test wait for its end.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// One test's whole world.
pub(crate) struct House {
    pub(crate) context: TestContext,
    pub(crate) simulator: Simulator,
    /// Variables that differ from the context's, such as another Redis.
    pub(crate) env: Vec<(String, String)>,
    /// Where browsers have their profiles; its name is short, as their sockets need it.
    browsers: tempfile::TempDir,
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

impl House {
    /// With about so many orders a day.
    pub(crate) async fn with_rows(rows_per_day: u64) -> Self {
        Self::with(Options { rows_per_day, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let context = TestContext::new().await;
        let simulator = simulator::start(options).await.unwrap();
        context::copy_config(&context.dir.join("config"));
        // tests of failing requests must not wait for real
        let house = Self { context, simulator, env: vec![], browsers: tempfile::tempdir().unwrap() };
        for api in Api::HTTP {
            house.edit(&format!("sources/{}.yaml", api.name()), "base: 1s", "base: 20ms");
        }
        house
    }

    /// The path of a config file.
    pub(crate) fn config(&self, file: &str) -> PathBuf {
        self.context.dir.join("config").join(file)
    }

    /// Replaces a text in a config file, which must hold it.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        context::edit(&self.config(file), from, to);
    }

    fn process(&self, binary: &str) -> Process {
        let mut process = self.context.process(binary);
        for (name, value) in self.simulator.env().into_iter().chain(self.env.clone()) {
            process = process.env(&name, value);
        }
        // Chromium gives root no sandbox
        if rustix::process::getuid().is_root() {
            process.env("NSTORE_BROWSER_SANDBOX", "off")
        } else {
            process
        }
    }

    /// `nstore` in the house's folder, told of no server: for `--local`.
    pub(crate) fn local(&self) -> Process {
        let process =
            Process::new("nstore").dir(&self.context.dir).env("NSTORE_CONFIG", self.context.config_dir());
        self.simulator.env().into_iter().fold(process, |process, (name, value)| process.env(&name, value))
    }

    /// `nstore` with these arguments, words separated by blanks.
    pub(crate) fn nstore(&self, args: &str) -> Process {
        self.process("nstore").args(args.split_whitespace())
    }

    /// `nstore-worker` with these arguments, words separated by blanks.
    pub(crate) fn worker_process_of(&self, args: &str) -> Process {
        self.process("nstore-worker").args(args.split_whitespace())
    }

    /// `nstore`, to its end.
    pub(crate) async fn run(&self, args: &str) -> Exit {
        self.nstore(args).run(LONG).await
    }

    /// `nstore`, to an end with exit code 0.
    pub(crate) async fn good(&self, args: &str) -> Exit {
        let exit = self.run(args).await;
        assert_eq!(exit.code, Some(0), "nstore {args}\n{}\n{}", exit.stdout, exit.stderr);
        exit
    }

    /// A worker with so many slots and a short lease.
    pub(crate) fn worker(&self, slots: u32) -> Running {
        self.worker_with_lease(slots, LEASE)
    }

    pub(crate) fn worker_with_lease(&self, slots: u32, lease: Duration) -> Running {
        self.worker_process(slots, lease).start()
    }

    /// The same, not started yet.
    pub(crate) fn worker_process(&self, slots: u32, lease: Duration) -> Process {
        let lease = format!("{}ms", lease.as_millis());
        self.worker_process_of(&format!("--kind api --concurrency {slots} --lease {lease}"))
    }

    /// A browser worker; its profiles lie in a folder of its own, see [`House::browsers`].
    pub(crate) fn browser_worker(&self, slots: u32) -> Process {
        self.worker_process_of(&format!("--kind browser --concurrency {slots} --lease 5s"))
            .env("TMPDIR", self.browsers.path())
    }

    /// The processes of this house's browsers, and the profiles that lie there.
    pub(crate) fn browsers(&self) -> (Vec<u32>, Vec<PathBuf>) {
        context::browsers(self.browsers.path())
    }

    /// Puts another way to read into the dashboard's file.
    pub(crate) fn read_by(&self, read: &str) {
        let path = self.config("sources/network_observability.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, after) = (text.find("  - read:").unwrap(), text.find("mapping:").unwrap());
        std::fs::write(path, format!("{}{read}\n{}", &text[..before], &text[after..])).unwrap();
    }

    /// What the markers of a run say was committed, in the order of the chunks.
    pub(crate) fn markers(&self, source: &str, run: &str) -> Vec<serde_json::Value> {
        let markers = self
            .files(source, run, ".json")
            .into_iter()
            .filter(|path| !path.to_str().unwrap().contains(".void."));
        markers.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }

    /// The runs in storage, oldest first. Their manifests tell: two ids of the same second are in no order.
    pub(crate) fn runs(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.context.storage.dir.join("runs")) else { return vec![] };
        let created = |run: &Path| -> Option<DateTime<Utc>> {
            let manifest: serde_json::Value =
                serde_json::from_slice(&std::fs::read(run.join("manifest.json")).ok()?).unwrap();
            manifest["created_at"].as_str().unwrap().parse().ok()
        };
        let dated =
            |entry: DirEntry| Some((created(&entry.path())?, entry.file_name().into_string().unwrap()));
        let mut runs: Vec<_> = entries.filter_map(|entry| dated(entry.unwrap())).collect();
        runs.sort();
        runs.into_iter().map(|(_, run)| run).collect()
    }

    /// The newest run; waits until there is one.
    pub(crate) async fn newest_run(&self) -> String {
        eventually(|| async { self.runs().pop() }).await
    }

    /// The stored files of a source's part of a run that end like this.
    pub(crate) fn files(&self, source: &str, run: &str, ending: &str) -> Vec<PathBuf> {
        let folder = self.context.storage.dir.join("chunks").join(source).join(run);
        let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_str().unwrap().ends_with(ending));
        files.sort();
        files
    }

    /// One number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.context.postgres.client().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.context.postgres.client().await.batch_execute(sql).await.unwrap();
    }

    /// What a table holds, by day.
    pub(crate) async fn found(&self, api: Api) -> Vec<DayTruth> {
        let client = self.context.postgres.client().await;
        let rows = client.simple_query(&self.simulator.sql(api, "public")).await.unwrap();
        let value = |row: &tokio_postgres::SimpleQueryRow, at| row.get(at).unwrap().to_owned();
        rows.into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(DayTruth {
                    day: day(&value(&row, 0)),
                    rows: value(&row, 1).parse().unwrap(),
                    checksum: value(&row, 2),
                }),
                _ => None,
            })
            .collect()
    }

    /// The tables hold these days exactly, and nothing else.
    pub(crate) async fn assert_equal(&self, apis: &[Api], first: &str, last: &str) {
        for &api in apis {
            let truth = self.simulator.truth(api, day(first), day(last));
            let differences = truth.differences(&self.found(api).await);
            assert!(differences.is_empty(), "{}: {differences:#?}", api.name());
            assert!(truth.rows > 0, "{}: an empty truth shows nothing", api.name());
        }
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let end = tokio::time::Instant::now() + LONG;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < end, "waited for nothing");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
