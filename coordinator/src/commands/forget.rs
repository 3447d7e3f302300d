//! `nstore forget TABLE`: the ledger forgets a table that was dropped or made anew by other hands.

use super::{
    access::{Access, Want},
    exit::{Exit, Refusal},
    view,
};
use crate::cli::{ForgetArgs, Global};

pub(super) async fn forget(global: &Global, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let access = Access::open(global, Want { postgres: true, beside: true, ..Want::default() }).await?;
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
    let forgotten = forgotten?;
    if !forgotten.known {
        let text = format!("nstore knows no table `{}`", args.table);
        return Err(Refusal::new(Exit::Usage, text, "name it without its schema, as the mapping does").into());
    }
    view::print(&format!(
        "forgot {} and {} of {}; the table and its rows stay, a new extract or `nstore load RUN` loads anew",
        view::quantity::count(forgotten.ledger_rows, "load"),
        view::quantity::count(forgotten.days, "claimed day"),
        args.table,
    ));
    Ok(Exit::Good)
}
