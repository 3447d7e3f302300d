//! `nstore cancel RUN`: no further chunk is extracted or loaded.

use anyhow::Context as _;

use super::{
    access::{self, Access, Want},
    exit::Exit,
    view,
};
use crate::{
    cli::{CancelArgs, Global},
    run::change,
};

pub(super) async fn cancel(global: &Global, args: &CancelArgs) -> anyhow::Result<Exit> {
    let manifest = access::manifest(&access::storage(global)?, &args.run).await?;
    let want = Want { postgres: manifest.upload.enabled, slots: 0, beside: true };
    let access = Access::open(global, want).await?;
    let cancelled = change::cancel(&access.house, &args.run, &args.reason).await;
    access.close(None).await;
    cancelled.with_context(|| format!("cancelling {} is not complete: repeat it", args.run))?;
    view::print(&format!("run {} is cancelled; what it loaded before stays", args.run));
    Ok(Exit::Good)
}
