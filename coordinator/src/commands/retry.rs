//! `nstore retry RUN`: chunks that failed for good run again, refused loads are tried again.

use anyhow::Context as _;
use nstore_shared::{
    storage::{manifest::Manifest, marker::Marker},
    terminal,
};

use super::{
    access::{self, Access, Want},
    credentials,
    exit::Exit,
    follow,
    interrupt::Interrupt,
    room,
};
use crate::{
    cli::{Global, RunArgs},
    run::{
        RunError, WatchOptions,
        change::{self, Retried},
        submit,
    },
};

pub(super) async fn retry(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifest = access::manifest(&storage, &args.run).await?;
    credentials::demand_for_open(global, &storage, &manifest, |marker| {
        marker.and_then(Marker::committed).is_none()
    })
    .await?;
    room::check(&storage).await?;
    let interrupt = Interrupt::listen()?;
    let load = manifest.upload.enabled;
    let want =
        Want { postgres: load, slots: access::slots(&manifest.sources), beside: false, ..Want::default() };
    let access = Access::open(global, want).await?;
    match open_again(&access, &manifest).await {
        Ok(retried) => {
            terminal::tell(&format!(
                "{} chunks run again, {} loads are tried again",
                retried.chunks, retried.loads
            ));
            let options = WatchOptions { extract: true, load, fail_fast: manifest.fail_fast };
            follow::follow(global, access, &manifest, options, &interrupt, args.json).await
        }
        Err(error) => {
            access.close(Some(&interrupt)).await;
            Err(error).context("nothing is retried")
        }
    }
}

async fn open_again(access: &Access, manifest: &Manifest) -> Result<Retried, RunError> {
    let retried = change::retry(&access.house, manifest).await?;
    submit::take_up(&access.house, manifest, access.fresh_fleet).await?;
    Ok(retried)
}
