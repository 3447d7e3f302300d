//! `nstore forget TABLE`: the ledger forgets a table that was dropped or made anew by other hands.

use super::{
    access::{Access, Want},
    exit::{Exit, Refusal},
    view,
};
use crate::cli::{ForgetArgs, Global};

pub(super) async fn forget(global: &Global, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let access = Access::open(global, Want { postgres: true, slots: 0, beside: true }).await?;
    let forgotten = match &access.house.loader {
        Some(loader) => loader.forget(&args.table).await.map_err(anyhow::Error::from),
        None => Err(Refusal::new(
            Exit::Failed,
            "another nstore uses .nstore/ just now, without PostgreSQL",
            "wait until it has ended",
        )
        .into()),
    };
    access.close(None).await;
    let loads = forgotten?;
    view::print(&format!(
        "forgot {loads} loads into {}; `nstore load RUN` or a new extract loads them again",
        args.table
    ));
    Ok(Exit::Good)
}
