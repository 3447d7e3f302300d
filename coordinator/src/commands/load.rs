//! `nstore load RUN`: loads what a run has stored; nothing is extracted.

use super::{
    access::{self, Access, Want},
    exit::Exit,
    follow,
    interrupt::Interrupt,
};
use crate::{
    cli::{Global, RunArgs},
    run::WatchOptions,
};

pub(super) async fn load(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let manifest = access::manifest(&access::storage(global)?, &args.run).await?;
    let interrupt = Interrupt::listen()?;
    let access = Access::open(global, Want { postgres: true, ..Want::default() }).await?;
    let options = WatchOptions { extract: false, load: true, fail_fast: false };
    follow::follow(global, access, &manifest, options, &interrupt, args.json).await
}
