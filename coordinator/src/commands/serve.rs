//! `nstore serve`: stays, and loads the runs that were started with `--detach`.

use nstore_shared::{
    health::{self, Sign},
    storage::{
        Storage,
        manifest::{Manifest, SourcePlan},
    },
};

use super::{
    access::{self, Access, Want},
    exit::{Exit, Refusal},
    interrupt::Interrupt,
    runs, settings, view,
};
use crate::{
    cli::{Global, ServeArgs},
    local::{Slots, site::MAX_SLOTS},
    serve::{self, Upkeep},
};

pub(super) async fn serve(global: &Global, args: &ServeArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let unusable = |text| Refusal { exit: Exit::Usage, text, hint: None };
    let sign = Sign::from_env(&settings::env, serve::SIGN_GOOD_FOR).map_err(unusable)?;
    let want = Want { postgres: true, slots: slots(global).await?, beside: false, ..Want::default() };
    let access = Access::open(global, want).await?;
    if let Err(unfit) = access.house.storage.check_creates().await {
        access.close(Some(&interrupt)).await;
        return Err(unfit.into());
    }
    let upkeep = Upkeep { every: args.clean_every, grace: args.grace };
    let served = serve::serve(access.house.clone(), sign, upkeep, interrupt.wait(1)).await;
    access.close(Some(&interrupt)).await;
    served?;
    Ok(Exit::Good)
}

/// For health checks.
pub(super) fn health() -> Exit {
    let health = health::check(&settings::env);
    view::print(&health.to_string());
    if health.is_well() { Exit::Good } else { Exit::Failed }
}

/// With `--local`: as many workers over HTTP as there may be, and browsers for the runs that wait for one. No run
/// comes later: another nstore cannot submit one while this one has the directory.
async fn slots(global: &Global) -> anyhow::Result<Slots> {
    if !global.local {
        return Ok(Slots::default());
    }
    let storage = access::storage(global)?;
    let mut open = Vec::new();
    for manifest in access::manifests(&storage).await? {
        match still_open(&storage, &manifest).await {
            Ok(plans) => open.extend(plans.into_iter().cloned()),
            Err(error) => access::pass_over(&manifest.run, error)?,
        }
    }
    Ok(Slots { api: MAX_SLOTS, ..access::slots(&open) })
}

/// The sources of a run that are still to be extracted.
async fn still_open<'a>(storage: &Storage, manifest: &'a Manifest) -> anyhow::Result<Vec<&'a SourcePlan>> {
    if storage.cancelled(&manifest.run).await?.is_some() {
        return Ok(vec![]);
    }
    runs::open_plans(storage, manifest, |marker| marker.is_none()).await
}
