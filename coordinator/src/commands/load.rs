//! `nstore load RUN`: loads what a run has stored; nothing is extracted.

use anyhow::Context as _;
use nstore_shared::storage::manifest::Manifest;

use super::{
    access::{self, Access, Want},
    exit::Exit,
    follow,
    interrupt::Interrupt,
    settings,
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
    match prepare(&access.house, &manifest).await {
        Ok(notes) => settings::note(&notes),
        Err(error) => {
            access.close(Some(&interrupt)).await;
            return Err(error).context("nothing is loaded");
        }
    }
    let options = WatchOptions { extract: false, load: true, fail_fast: false };
    follow::follow(global, access, &manifest, options, &interrupt, args.json).await
}

/// A run that was stored only has made no tables and claimed no days yet; refused loads are tried again. A source
/// whose table does not fit is told and left out, where others can be loaded. Answers what the loads will meet.
async fn prepare(house: &House, manifest: &Manifest) -> Result<Vec<String>, RunError> {
    let run = &manifest.run;
    if let Some(cancelled) = house.storage.cancelled(run).await? {
        return Err(RunError::Cancelled { run: run.clone(), reason: cancelled.reason });
    }
    let loader = house.loader.as_ref().ok_or_else(|| RunError::NoLoader(run.clone()))?;
    let report = loader.preflight(manifest).await?;
    let notes = report.notes();
    if report.ready.is_empty() {
        report.into_result()?;
    }
    // before the first row: from here on `clean` asks the ledger
    house.storage.mark_load(run).await?;
    loader.register(manifest).await?;
    loader.clear_failures(run).await?;
    house.storage.reopen(run).await?;
    Ok(notes)
}
