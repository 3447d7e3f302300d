//! A database, a storage and a loader of a test's own; plans, artifacts and markers made by hand.

use chrono::{DateTime, Days, NaiveDate, Utc};
use nstore::{
    db::Db,
    load::{ChunkLoad, LoadCounts, LoadError, Loader, ReplaceLoad},
};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, ExecutionMode, UploadMode},
    config::spec::SourceSpec,
    contract::{Ambiguous, Column, ColumnType, Contract, NulPolicy, RejectLimit},
    storage::{
        ArtifactKind, Storage,
        manifest::{MANIFEST_VERSION, Manifest, SourcePlan, Upload},
        marker::{ChunkWarning, Committed, Evidence, GrantRef, MARKER_VERSION, Marker, Outcome, Quality},
    },
};
use nstore_tests::context;
use tokio_postgres::Client;

use crate::spec::spec;

/// Everything that one test loads with.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) sql: Client,
    pub(crate) storage: Storage,
    pub(crate) loader: Loader,
    pub(crate) folder: context::Storage,
    /// Records that each chunk committed from now on has rejected.
    pub(crate) rejected: Vec<String>,
    /// Warnings of each chunk committed from now on.
    pub(crate) warnings: Vec<ChunkWarning>,
    /// Evidence of each chunk committed from now on.
    pub(crate) evidence: Vec<Evidence>,
}

/// A database of its own on the shared server.
pub(crate) async fn world() -> World {
    World::at(&context::postgres().await.url).await
}

impl World {
    pub(crate) async fn at(url: &str) -> Self {
        let folder = context::storage();
        let storage = Storage::open(&folder.url).unwrap();
        let db = Db::connect(url, "public").await.unwrap();
        let (sql, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let loader = Loader::new(db, storage.clone());
        Self {
            url: url.to_owned(),
            sql,
            storage,
            loader,
            folder,
            rejected: vec![],
            warnings: vec![],
            evidence: vec![],
        }
    }

    /// A loader in another process would look like this: connections of its own.
    pub(crate) async fn another_loader(&self) -> Loader {
        Loader::new(Db::connect(&self.url, "public").await.unwrap(), self.storage.clone())
    }

    /// Stores an artifact with these rows and the marker that names it.
    pub(crate) async fn commit(&self, manifest: &Manifest, range: &str, rows: &[String]) -> Marker {
        self.commit_at(manifest, range, rows, manifest.created_at).await
    }

    /// The same, extracted at a given time.
    pub(crate) async fn commit_at(
        &self,
        manifest: &Manifest,
        range: &str,
        rows: &[String],
        extracted_at: DateTime<Utc>,
    ) -> Marker {
        let plan = &manifest.sources[0];
        let range: ChunkRange = range.parse().unwrap();
        let chunk = Chunk { source: plan.source.clone(), run: manifest.run.clone(), range };
        let generation = self.storage.generations_of(&chunk).await.unwrap().wanted();
        let worker = "w1".parse().unwrap();
        let columns = plan.contract.column_names();
        let mut writer = self.storage.artifact_writer(&chunk, generation, &worker, 1, ArtifactKind::Rows);
        let quality = self.quality(&chunk, generation).await;
        let text = format!(
            "{}\n{}",
            columns.join(","),
            rows.iter().map(|row| format!("{row}\n")).collect::<String>()
        );
        writer.write(text.into()).await.unwrap();
        let committed = Committed {
            artifact: writer.finish().await.unwrap(),
            rows: rows.len() as u64,
            columns,
            contract: plan.contract.version(),
            quality,
            evidence: self.evidence.clone(),
            warnings: self.warnings.clone(),
            pages: 1,
            lane: None,
            browser: None,
        };
        let marker = Marker {
            version: MARKER_VERSION,
            chunk,
            generation,
            grant: GrantRef { worker, nonce: 1, attempt: 1 },
            started_at: extracted_at,
            finished_at: extracted_at,
            outcome: Outcome::Committed(Box::new(committed)),
        };
        self.storage.create_marker(&marker).await.unwrap();
        marker
    }

    /// Stores what a chunk rejected, as a worker does.
    async fn quality(&self, chunk: &Chunk, generation: u32) -> Quality {
        let mut quality = Quality { rejected: self.rejected.len() as u64, ..Quality::default() };
        if !self.rejected.is_empty() {
            let (worker, kind) = ("w1".parse().unwrap(), ArtifactKind::Rejects);
            let mut writer = self.storage.artifact_writer(chunk, generation, &worker, 1, kind);
            for record in &self.rejected {
                let line = format!("{{\"reason\":\"unfit\",\"record\":{record}}}\n");
                writer.write(line.into()).await.unwrap();
            }
            quality.rejects = Some(writer.finish().await.unwrap());
        }
        quality
    }

    /// Commits every chunk of a plan with `per_day` rows a day.
    pub(crate) async fn commit_all(&self, manifest: &Manifest, per_day: u32) -> Vec<Marker> {
        let mut markers = Vec::new();
        for range in &manifest.sources[0].chunks {
            markers.push(self.commit(manifest, &range.to_string(), &fill(range, per_day, "x")).await);
        }
        markers
    }

    pub(crate) async fn load(&self, manifest: &Manifest, marker: &Marker) -> Result<ChunkLoad, LoadError> {
        self.loader.load_chunk(manifest, &manifest.sources[0], marker).await
    }

    /// Loads all, and wants each to be loaded.
    pub(crate) async fn load_all(&self, manifest: &Manifest, markers: &[Marker]) {
        for marker in markers {
            let done = self.load(manifest, marker).await.unwrap();
            assert!(matches!(done, ChunkLoad::Loaded(_)), "{}: {done:?}", marker.chunk);
        }
    }

    pub(crate) async fn replace(
        &self,
        manifest: &Manifest,
        markers: &[Marker],
    ) -> Result<ReplaceLoad, LoadError> {
        self.loader.replace(manifest, &manifest.sources[0], markers).await
    }

    pub(crate) async fn number(&self, question: &str) -> i64 {
        self.sql.query_one(question, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn text(&self, question: &str) -> Vec<Option<String>> {
        self.sql.query(question, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM orders").await
    }

    pub(crate) async fn run_sql(&self, statements: &str) {
        self.sql.batch_execute(statements).await.unwrap();
    }

    /// Where a marker's artifact lies.
    pub(crate) fn artifact(&self, marker: &Marker) -> std::path::PathBuf {
        let chunk = &marker.chunk;
        let name = &committed(marker).artifact.name;
        self.folder.dir.join("chunks").join(chunk.source.as_str()).join(chunk.run.as_str()).join(name)
    }
}

/// Rows that went in, and rows that were present.
pub(crate) fn loaded(rows: u64, skipped: u64) -> ChunkLoad {
    ChunkLoad::Loaded(LoadCounts { rows, skipped, ..LoadCounts::default() })
}

/// A whole-table load of so many rows.
pub(crate) fn replaced(rows: u64) -> ReplaceLoad {
    ReplaceLoad::Loaded(LoadCounts::plain(rows))
}

pub(crate) fn committed(marker: &Marker) -> &Committed {
    match &marker.outcome {
        Outcome::Committed(committed) => committed,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Rows `id,day,note` of a range of days: ids are a function of day and number, so two loads of a day collide.
pub(crate) fn fill(range: &ChunkRange, per_day: u32, note: &str) -> Vec<String> {
    let (first, end) = range.touched_days(chrono_tz::UTC);
    let mut rows = Vec::new();
    for day in first.iter_days().take_while(|day| *day < end) {
        for n in 0..per_day {
            rows.push(format!("{}{n:05},{day},{note}", day.format("%Y%m%d")));
        }
    }
    rows
}

/// What a test asks for: a manifest of one source.
pub(crate) struct Ask {
    run: String,
    mode: UploadMode,
    table: String,
    key: Vec<String>,
    range_column: Option<String>,
    start: NaiveDate,
    days: u64,
    chunk_days: u64,
    upload: Upload,
    created_at: DateTime<Utc>,
    columns: Vec<Column>,
    rejects: RejectLimit,
    allow_cascade: bool,
}

/// Three days from 2025-08-01 in chunks of a day, columns `id,day,note`, table `orders`, no key.
pub(crate) fn ask(run: &str, mode: UploadMode) -> Ask {
    Ask {
        run: run.to_owned(),
        mode,
        table: "orders".to_owned(),
        key: vec![],
        range_column: Some("day".to_owned()),
        start: day("2025-08-01"),
        days: 3,
        chunk_days: 1,
        upload: Upload { enabled: true, reload: false, allow_shrink: false },
        created_at: at(0),
        columns: vec![
            column("id", ColumnType::Bigint, true),
            column("day", ColumnType::Date, true),
            column("note", ColumnType::Text, false),
        ],
        rejects: RejectLimit::Rows(0),
        allow_cascade: false,
    }
}

/// An hour of a day long ago.
pub(crate) fn at(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + hour * 3600, 0).unwrap()
}

pub(crate) fn column(name: &str, kind: ColumnType, required: bool) -> Column {
    Column { required, ..Column::new(name, kind) }
}

impl Ask {
    pub(crate) fn table(mut self, table: &str) -> Self {
        self.table = table.into();
        self
    }

    pub(crate) fn key(mut self, key: &[&str]) -> Self {
        self.key = key.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn range_column(mut self, name: Option<&str>) -> Self {
        self.range_column = name.map(str::to_owned);
        self
    }

    pub(crate) fn columns(mut self, columns: Vec<Column>) -> Self {
        self.columns = columns;
        self
    }

    pub(crate) fn days(mut self, start: &str, days: u64) -> Self {
        (self.start, self.days) = (day(start), days);
        self
    }

    pub(crate) fn chunk_days(mut self, days: u64) -> Self {
        self.chunk_days = days;
        self
    }

    pub(crate) fn rejects(mut self, limit: RejectLimit) -> Self {
        self.rejects = limit;
        self
    }

    pub(crate) fn allow_cascade(mut self) -> Self {
        self.allow_cascade = true;
        self
    }

    pub(crate) fn reload(mut self) -> Self {
        self.upload.reload = true;
        self
    }

    pub(crate) fn allow_shrink(mut self) -> Self {
        self.upload.allow_shrink = true;
        self
    }

    pub(crate) fn created_at(mut self, hour: i64) -> Self {
        self.created_at = at(hour);
        self
    }

    pub(crate) fn manifest(self) -> Manifest {
        let end = self.start + Days::new(self.days);
        let mut chunks = Vec::new();
        let mut first = self.start;
        while first < end {
            let next = (first + Days::new(self.chunk_days)).min(end);
            chunks.push(ChunkRange::days(first, next).unwrap());
            first = next;
        }
        let contract = Contract {
            table: self.table,
            key: self.key,
            range_column: self.range_column,
            rejects: self.rejects,
            nul: NulPolicy::Reject,
            ambiguous: Ambiguous::First,
            columns: self.columns,
        };
        let plan = SourcePlan {
            source: "buyer_orders".parse().unwrap(),
            spec: SourceSpec { allow_cascade: self.allow_cascade, ..spec() },
            contract,
            chunk_days: 1,
            execution: ExecutionMode::Parallel,
            execution_reason: "asked for".into(),
            parallel_workers: 4,
            upload_mode: self.mode,
            chunks,
        };
        Manifest {
            version: MANIFEST_VERSION,
            run: self.run.parse().unwrap(),
            created_at: self.created_at,
            idempotency_key: None,
            start_date: self.start,
            end_date: end - Days::new(1),
            upload: self.upload,
            fail_fast: false,
            detached: false,
            extracted_after: None,
            sources: vec![plan],
            refused: vec![],
        }
    }
}
