//! `nstore cancel RUN`: no further chunk is extracted or loaded.

use nstore_shared::chunk::RunId;

use super::{
    access::{self, Access, Want},
    exit::{Exit, Refusal},
    explain, follow, view,
};
use crate::{
    cli::{CancelArgs, Global},
    run::change,
};

pub(super) async fn cancel(global: &Global, args: &CancelArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifest = access::manifest(&storage, &args.run).await?;
    // first of all, so that it stands whatever else is away
    storage.cancel(&args.run, &args.reason).await?;
    // a run without --upload may have been loaded later, by `nstore load`
    let postgres = manifest.upload.enabled;
    let want = Want { postgres, postgres_if_there: !postgres, beside: true, ..Want::default() };
    if let Err(error) = acknowledged(global, args, want).await {
        return Err(recorded(global, &args.run, &error).into());
    }
    view::print(&format!("run {} is cancelled; what it loaded before stays", args.run));
    Ok(Exit::Good)
}

async fn acknowledged(global: &Global, args: &CancelArgs, want: Want) -> anyhow::Result<()> {
    let (access, away) = match Access::open(global, want).await {
        Ok(access) => (access, None),
        // a PostgreSQL that is away keeps no one from ending the extraction
        Err(away) if want.postgres => {
            let without = Want { postgres: false, ..want };
            (Access::open(global, without).await?, Some(away))
        }
        Err(away) => return Err(away),
    };
    let cancelled = change::cancel(&access.house, &args.run, &args.reason).await;
    access.close(None).await;
    away.map_or(Ok(()), Err)?;
    Ok(cancelled?)
}

/// The mark stands; that no chunk and no load goes on is not known yet.
fn recorded(global: &Global, run: &RunId, error: &anyhow::Error) -> Refusal {
    let said = explain::explain(error);
    let text =
        format!("the cancel of run {run} is recorded, but not acknowledged: {}", said.error.trim_end());
    let repeat =
        format!("its chunks may still be loaded until you repeat: {} cancel {run}", follow::commands(global));
    let hint = said.hint.map_or_else(|| repeat.clone(), |hint| format!("{hint}\n{repeat}"));
    Refusal::new(Exit::Unreachable, text, hint)
}
