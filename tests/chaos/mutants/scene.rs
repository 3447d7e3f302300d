//! A world with few processes: who works in it and who loads is for the scene to say.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use nstore_tests::{
    context::{Proxy, Running},
    simulator::Api,
};

use crate::{
    oracle::{self, Findings, Slips},
    schedule::Store,
    strike::{Side, office},
    witness::newest,
    world::{LEASE, World},
};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// The first day that is extracted.
pub(super) const FIRST: &str = "2025-08-01";

/// A world, and what is known beside it.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) side: Side,
}

impl Scene {
    pub(super) async fn on(store: Store, seed: u64) -> anyhow::Result<Self> {
        Ok(Self { world: World::new(store, seed).await?, side: Side::default() })
    }

    /// The words that extract a source's first days up to one, in chunks of so many days.
    pub(super) fn extract(source: &str, last: &str, chunk: u32, more: &str) -> String {
        format!(
            "extract --start-date {FIRST} --end-date {last} --sources {source} --chunk-sizes {source}:{chunk} \
             --detach --json {more}"
        )
    }

    /// Submits that; answers the run.
    pub(super) async fn submit(
        &self,
        source: &str,
        last: &str,
        chunk: u32,
        more: &str,
    ) -> anyhow::Result<String> {
        let asked = Self::extract(source, last, chunk, more);
        let exit = self.world.nstore(&asked).run(PATIENCE).await;
        ensure!(exit.code == Some(0), "nstore {asked}: {:?}\n{}", exit.code, exit.stderr);
        office::run_of(&exit)
    }

    /// A worker beside the scene's others.
    pub(super) fn worker(&self) -> Running {
        self.world.worker_by(&self.world.workers_line).start()
    }

    /// Someone who loads.
    pub(super) fn daemon(&self) -> Running {
        self.world.nstore("serve").start()
    }

    /// Waits until so many chunks of a run are committed; answers their artifacts.
    pub(super) async fn stored(&self, source: &str, run: &str, chunks: usize) -> anyhow::Result<Vec<String>> {
        let of_run = format!("chunks/{source}/{run}/");
        let mut artifacts = vec![];
        until("stored chunks", async || {
            let keys = self.world.keys().await;
            let (csv, markers): (Vec<String>, Vec<String>) = keys
                .into_iter()
                .filter(|key| key.starts_with(&of_run))
                .partition(|key| key.ends_with(".csv"));
            artifacts = csv;
            markers.iter().filter(|key| key.ends_with(".g1.json")).count() == chunks
        })
        .await?;
        Ok(artifacts)
    }

    /// Waits until a run is over, however it ends, by the hands of this process.
    pub(super) async fn ended(&self, run: &str, by: &Running) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + PATIENCE;
        while office::verdict(&self.world, run).await? == "open" {
            ensure!(tokio::time::Instant::now() < end, "run {run} does not end\n{}", by.stderr());
            tokio::time::sleep(LEASE / 10).await;
        }
        Ok(())
    }

    /// What does not hold at the end, whatever the scene is about.
    pub(super) async fn look(&self) -> anyhow::Result<Findings> {
        let (mut found, Self { world, side }) = (Findings::default(), self);
        side.witness.outcomes(world, &mut found).await;
        side.witness.damages(world, &mut found).await?;
        newest(world, &mut found).await?;
        oracle::cancelled(world, side, &mut found).await;
        oracle::order(world, &Slips::new(), &mut found);
        oracle::budget(world, &mut found);
        Ok(found)
    }

    /// The same, and whether a table holds the truth up to that day.
    pub(super) async fn look_at(&self, api: Api, last: &str) -> anyhow::Result<Findings> {
        let mut found = self.look().await?;
        oracle::table(&self.world, api, (FIRST.parse()?, last.parse()?), &mut found).await?;
        Ok(found)
    }

    /// The line of a request that puts or gets an object of the bucket.
    pub(super) fn request(&self, verb: &str, key: &str) -> anyhow::Result<String> {
        let s3 = self.world.s3.as_ref().context("a scene on S3")?;
        Ok(format!("{verb} /{}/team/{key} ", s3.bucket))
    }

    /// The way to S3.
    pub(super) fn store_line(&self) -> anyhow::Result<&Proxy> {
        self.world.s3_line.as_ref().context("a scene on S3")
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is().await {
        ensure!(tokio::time::Instant::now() < end, "waited for {what}");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
