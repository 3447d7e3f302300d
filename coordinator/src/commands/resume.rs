//! `nstore resume RUN`: goes on where a run was interrupted.

use anyhow::Context as _;

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
    run::{WatchOptions, submit},
};

pub(super) async fn resume(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifest = access::manifest(&storage, &args.run).await?;
    credentials::demand_for_open(global, &storage, &manifest, |marker| marker.is_none()).await?;
    room::check(&storage).await?;
    let interrupt = Interrupt::listen()?;
    let load = manifest.upload.enabled;
    let want =
        Want { postgres: load, slots: access::slots(&manifest.sources), beside: false, ..Want::default() };
    let access = Access::open(global, want).await?;
    let options = WatchOptions { extract: true, load, fail_fast: manifest.fail_fast };
    match submit::take_up(&access.house, &manifest, access.fresh_fleet).await {
        Ok(()) => follow::follow(global, access, &manifest, options, &interrupt, args.json).await,
        Err(error) => {
            access.close(Some(&interrupt)).await;
            Err(error).context("the run does not go on")
        }
    }
}
