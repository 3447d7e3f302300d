//! `nstore rebuild` of a Redis that lost everything: 100,000 chunks with their markers in a local folder.

use std::path::Path;

use anyhow::{Context as _, ensure};
use chrono::{Days, NaiveDate, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, ChunkState, RunId},
    redis::Redis,
    storage::{
        Storage,
        manifest::Manifest,
        marker::{ArtifactRef, Committed, GrantRef, MARKER_VERSION, Marker, Outcome, Quality},
    },
};
use nstore_tests::{context::say, simulator::Options};

use crate::field::{Field, load_average, median};

/// Chunks that have ended, and chunks that are still to be done.
const ENDED: u64 = 100_000;
const OPEN: u64 = 1_000;
const SOURCE: &str = "buyer_orders";
/// What the answer is to hold.
const LIMIT_SECONDS: f64 = 30.;

pub(crate) async fn measure(runs: usize) -> anyhow::Result<()> {
    let field = Field::new(Options::default()).await?;
    let run = submit(&field).await?;
    let redis = field.redis_url();
    let (mut emptied, mut again) = (vec![], vec![]);
    for _ in 0..runs {
        say(&redis, "FLUSHALL");
        emptied.push(field.nstore("rebuild").await?.as_secs_f64());
        told(&redis, &run).await?;
        again.push(field.nstore("rebuild").await?.as_secs_f64());
    }
    let (took, least) = (median(emptied), median(again));
    println!(
        "rebuild: {took:.1} s for {ENDED} markers and {OPEN} open chunks, {:.0} chunks/s; where redis knew all of it \
         {least:.1} s (median of {runs}, load average {})",
        (ENDED + OPEN) as f64 / took,
        load_average()?
    );
    ensure!(took < LIMIT_SECONDS, "longer than {LIMIT_SECONDS} s");
    Ok(())
}

/// Redis knows all chunks as storage shows them.
async fn told(url: &str, run: &RunId) -> anyhow::Result<()> {
    let progress = Redis::connect(url, "nstore").await?.queue().progress(&SOURCE.parse()?, run).await?;
    let count = |state| progress.as_ref().and_then(|known| known.chunks.get(&state)).copied().unwrap_or(0);
    let found = (count(ChunkState::Completed), count(ChunkState::Available));
    ensure!(found == (ENDED, OPEN), "redis knows {found:?}");
    Ok(())
}

/// A run as a coordinator submits it, and the markers that workers leave; both as they lie in the folder.
async fn submit(field: &Field) -> anyhow::Result<RunId> {
    field
        .nstore(&format!("extract --start-date 2025-08-01 --end-date 2025-08-01 --sources {SOURCE} --detach"))
        .await?;
    let storage = Storage::open(&field.storage.url)?;
    let small = storage.manifest(&field.newest_run()?.parse()?).await?.context("a manifest")?;
    storage.cancel(&small.run, "its plan is taken for a larger one").await?;
    let first: NaiveDate = "1750-01-01".parse()?;
    let chunk = |n: u64| ChunkRange::days(first + Days::new(n), first + Days::new(n + 1)).context("a day");
    let mut large = Manifest { run: "large".parse()?, created_at: Utc::now(), ..small };
    large.sources[0].chunks = (0..ENDED + OPEN).map(chunk).collect::<Result<_, _>>()?;
    storage.create_manifest(&large).await?;
    let folder = field.storage.dir.join("chunks").join(SOURCE).join(large.run.as_str());
    std::fs::create_dir_all(&folder)?;
    for range in &large.sources[0].chunks[..usize::try_from(ENDED)?] {
        leave_marker(&folder, &large, *range)?;
    }
    Ok(large.run)
}

fn leave_marker(folder: &Path, manifest: &Manifest, range: ChunkRange) -> anyhow::Result<()> {
    let plan = &manifest.sources[0];
    let name = format!("{range}.g1.host-1-s0-1.csv");
    let committed = Committed {
        artifact: ArtifactRef { name, sha256: "0".repeat(64), bytes: 100_000 },
        rows: 1_000,
        columns: plan.contract.column_names(),
        contract: plan.contract.version(),
        quality: Quality::default(),
        evidence: vec![],
        warnings: vec![],
        pages: 2,
        lane: None,
        browser: None,
    };
    let marker = Marker {
        version: MARKER_VERSION,
        chunk: Chunk { source: plan.source.clone(), run: manifest.run.clone(), range },
        generation: 1,
        grant: GrantRef { worker: "host-1-s0".parse()?, nonce: 1, attempt: 1 },
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: Outcome::Committed(Box::new(committed)),
    };
    let path = folder.join(format!("{range}.g1.json"));
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&marker)?)?)
}
