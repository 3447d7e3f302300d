//! `nstore load RUN`: loads what a run has stored; nothing is extracted.

use anyhow::Context as _;
use nstore_shared::storage::manifest::Manifest;

use super::{
    access::{self, Access, Want},
    exit::Exit,
    follow,
    interrupt::Interrupt,
};
use crate::{
    cli::{Global, LoadArgs},
    run::{House, RunError, WatchOptions},
};

pub(super) async fn load(global: &Global, args: &LoadArgs) -> anyhow::Result<Exit> {
    let mut manifest = access::manifest(&access::storage(global)?, &args.run).await?;
    // for this load alone: what is stored stays as it was asked for
    manifest.upload.reload |= args.reload;
    manifest.upload.allow_shrink |= args.allow_shrink;
    let interrupt = Interrupt::listen()?;
    let access = Access::open(global, Want { postgres: true, ..Want::default() }).await?;
    if let Err(error) = prepare(&access.house, &manifest).await {
        access.close(Some(&interrupt)).await;
        return Err(error).context("nothing is loaded");
    }
    let options = WatchOptions { extract: false, load: true, fail_fast: false };
    follow::follow(global, access, &manifest, options, &interrupt, args.json).await
}

/// A run that was stored only has made no tables and claimed no days yet; refused loads are tried again.
async fn prepare(house: &House, manifest: &Manifest) -> Result<(), RunError> {
    let run = &manifest.run;
    if let Some(cancelled) = house.storage.cancelled(run).await? {
        return Err(RunError::Cancelled { run: run.clone(), reason: cancelled.reason });
    }
    let loader = house.loader.as_ref().ok_or_else(|| RunError::NoLoader(run.clone()))?;
    loader.preflight(manifest).await?;
    loader.register(manifest).await?;
    Ok(loader.clear_failures(run).await?)
}
