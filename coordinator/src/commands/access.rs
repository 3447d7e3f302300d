//! The services that a verb needs: those of the configuration, or private ones with `--local`.

use std::path::Path;

use anyhow::Context as _;
use nstore_shared::{
    chunk::{ExecutionMode, Kind, RunId},
    config::Services,
    redis::Redis,
    storage::{
        Storage, StorageError,
        manifest::{Manifest, SourcePlan},
    },
    terminal,
};

use super::{
    exit::{Exit, Refusal},
    interrupt::Interrupt,
    settings,
};
use crate::{
    cli::Global,
    db::Db,
    load::{LoadError, Loader, PreflightReport},
    local::{
        Addresses, Local, LocalError, LocalOptions, Slots, sandbox,
        site::{self, MAX_BROWSERS, MAX_SLOTS},
    },
    run::{House, RunError},
};

/// What a verb needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Want {
    /// A loader.
    pub(super) postgres: bool,
    /// A loader where PostgreSQL can be reached, none where it cannot.
    pub(super) postgres_if_there: bool,
    /// With `--local`: chunks that workers are to have in flight.
    pub(super) slots: Slots,
    /// With `--local`: servers that another living nstore runs will do.
    pub(super) beside: bool,
}

/// Open services; private ones end with [`Access::close`].
pub(super) struct Access {
    pub(super) house: House,
    local: Option<Local>,
    /// No worker can hold a lease: the private servers have just been started.
    pub(super) fresh_fleet: bool,
}

impl Access {
    /// Connects; with `--local` starts servers and workers first.
    pub(super) async fn open(global: &Global, want: Want) -> anyhow::Result<Self> {
        let services = settings::services(global)?;
        if !global.local {
            let house = house(&services, want).await?;
            return Ok(Self { house, local: None, fresh_fleet: false });
        }
        if want.beside
            && let Some(running) = site::attach(Path::new(site::DIR))
        {
            let services = replaced(&services, &running);
            let there = running.postgres_url.is_some();
            let within = Want {
                postgres: want.postgres && there,
                postgres_if_there: want.postgres_if_there && there,
                ..want
            };
            let house = house(&services, within).await?;
            return Ok(Self { house, local: None, fresh_fleet: false });
        }
        // private data that was never made holds no loads
        let made = site::facts(Path::new(site::DIR)).postgres_data;
        let want = Want { postgres: want.postgres || want.postgres_if_there && made, ..want };
        let want = Want { postgres_if_there: false, ..want };
        let local = start(global, want).await?;
        match house(&replaced(&services, local.addresses()), want).await {
            Ok(house) => Ok(Self { house, local: Some(local), fresh_fleet: true }),
            Err(error) => {
                local.stop(std::future::ready(())).await;
                Err(error)
            }
        }
    }

    /// Waits until private workers cannot go on; never ends where there are none.
    pub(super) async fn broken(local: Option<&mut Local>) -> LocalError {
        match local {
            Some(local) => local.broken().await,
            None => std::future::pending().await,
        }
    }

    /// The house, and apart from it what may break meanwhile.
    pub(super) fn parts(&mut self) -> (&House, Option<&mut Local>) {
        (&self.house, self.local.as_mut())
    }

    /// Ends private servers and workers; the second Ctrl-C hurries them.
    pub(super) async fn close(self, interrupt: Option<&Interrupt>) {
        let Some(local) = self.local else { return };
        match interrupt {
            Some(interrupt) => local.stop(interrupt.wait(2)).await,
            None => local.stop(std::future::pending()).await,
        }
    }
}

/// Storage alone: looking needs nothing else.
pub(super) fn storage(global: &Global) -> anyhow::Result<Storage> {
    let url = if global.local {
        match settings::env("NSTORE_STORAGE_URL") {
            Some(url) => url,
            None => site::private_storage_url(Path::new(site::DIR))?,
        }
    } else {
        settings::services(global)?.storage_url
    };
    Ok(Storage::open(&url)?)
}

/// A run's manifest, before any other service is asked.
pub(super) async fn manifest(storage: &Storage, run: &RunId) -> anyhow::Result<Manifest> {
    let unknown = || {
        Refusal::new(
            Exit::Usage,
            format!("there is no run `{run}` in storage at {}", storage.url()),
            "`nstore runs` shows those there are; runs of --local are seen with --local",
        )
    };
    Ok(storage.manifest(run).await?.ok_or_else(unknown)?)
}

/// The manifests of all runs. One that cannot be read is passed over, and said: it keeps nobody from the others.
pub(super) async fn manifests(storage: &Storage) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for run in storage.runs().await? {
        match storage.manifest(&run).await {
            Err(error) => pass_over(&run, error.into())?,
            Ok(found) => manifests.extend(found),
        }
    }
    Ok(manifests)
}

/// Says that a run is passed over because one of its documents cannot be read.
///
/// # Errors
/// Any other error.
pub(super) fn pass_over(run: &RunId, error: anyhow::Error) -> anyhow::Result<()> {
    settings::warn([format!("run {run} is passed over: {}", unreadable(error)?)]);
    Ok(())
}

/// Which document cannot be read, and why.
///
/// # Errors
/// Any other error.
pub(super) fn unreadable(error: anyhow::Error) -> anyhow::Result<String> {
    let of_run = || match error.downcast_ref::<RunError>()? {
        RunError::Storage(error) | RunError::Load(LoadError::Storage(error)) => Some(error),
        _ => None,
    };
    match error.downcast_ref::<StorageError>().or_else(of_run).filter(|error| error.is_unreadable()) {
        Some(found) => Ok(format!("{found}; {}", found.hint().unwrap_or_default())),
        None => Err(error),
    }
}

/// Chunks that workers of one machine should have in flight for these sources.
pub(super) fn slots(sources: &[SourcePlan]) -> Slots {
    by_kind(sources.iter().map(|plan| (plan.spec.kind(), in_flight(plan))))
}

fn in_flight(plan: &SourcePlan) -> u32 {
    match plan.execution {
        ExecutionMode::Sequential => 1,
        ExecutionMode::Parallel => {
            let width = plan.width().unwrap_or(u32::MAX);
            let chunks = u32::try_from(plan.chunks.len()).unwrap_or(u32::MAX);
            plan.parallel_workers.min(width).min(chunks).max(1)
        }
    }
}

/// As many of each kind as this machine bears.
fn by_kind(wanted: impl Iterator<Item = (Kind, u32)>) -> Slots {
    wanted.fold(Slots::default(), |slots, (kind, wanted)| match kind {
        Kind::Api => Slots { api: slots.api.saturating_add(wanted).min(MAX_SLOTS), ..slots },
        Kind::Browser => Slots { browser: slots.browser.saturating_add(wanted).min(MAX_BROWSERS), ..slots },
    })
}

/// Says that browsers started here have no sandbox, where that is so.
pub(super) fn warn_of_sandbox(browsers: bool) {
    if browsers && sandbox::is_impossible() {
        let (name, off) = (sandbox::VARIABLE, sandbox::OFF);
        settings::warn([format!("running as root, so browsers run without their sandbox ({name}={off})")]);
    }
}

/// The services to try: with `--local` private ones, started for it unless another nstore runs them.
pub(super) async fn services_to_try(
    global: &Global,
    services: &Services,
) -> anyhow::Result<(Services, Option<Local>)> {
    if !global.local {
        return Ok((services.clone(), None));
    }
    if let Some(running) = site::attach(Path::new(site::DIR)) {
        return Ok((replaced(services, &running), None));
    }
    let local = start(global, Want { postgres: true, ..Want::default() }).await?;
    Ok((replaced(services, local.addresses()), Some(local)))
}

/// Looks at the tables that a run would be loaded into; changes nothing and starts nothing.
pub(super) async fn preflight(global: &Global, manifest: &Manifest) -> anyhow::Result<PreflightReport> {
    let services = settings::services(global)?;
    let services = match site::attach(Path::new(site::DIR)).filter(|_| global.local) {
        Some(running) => replaced(&services, &running),
        None if global.local => anyhow::bail!("the private PostgreSQL is not running"),
        None => services,
    };
    let db = Db::look(&services.postgres_url, &services.postgres_schema)?;
    Ok(Loader::new(db, Storage::open(&services.storage_url)?).preflight(manifest).await?)
}

/// Ends private servers, if there are any.
pub(super) async fn end(local: Option<Local>) {
    if let Some(local) = local {
        local.stop(std::future::pending()).await;
    }
}

async fn start(global: &Global, want: Want) -> anyhow::Result<Local> {
    // from here on a Ctrl-C must not cut us off from the servers that we start
    Interrupt::listen()?;
    let ours = [("NSTORE_REDIS_URL", true), ("NSTORE_POSTGRES_URL", want.postgres)];
    let unused = ours.iter().filter(|(name, needed)| *needed && settings::env(name).is_some());
    settings::warn(unused.map(|(name, _)| format!("{name} is not used: --local has servers of its own")));
    let dir = Path::new(site::DIR);
    if want.postgres && !site::facts(dir).postgres_data {
        terminal::tell(&format!("making a private PostgreSQL under {}/, once", dir.display()));
    }
    warn_of_sandbox(want.slots.browser > 0);
    let options = LocalOptions {
        dir: dir.to_owned(),
        postgres: want.postgres,
        storage_url: settings::env("NSTORE_STORAGE_URL"),
        slots: want.slots,
        config: global.config.clone(),
    };
    Local::start(&options).await.context("cannot start private servers")
}

async fn house(services: &Services, want: Want) -> anyhow::Result<House> {
    let storage = Storage::open(&services.storage_url)?;
    let redis = Redis::connect(&services.redis_url, &services.redis_prefix).await?;
    let db = || Db::connect(&services.postgres_url, &services.postgres_schema);
    let db = match want {
        Want { postgres: true, .. } => Some(db().await?),
        Want { postgres_if_there: true, .. } => {
            db().await.inspect_err(|error| tracing::info!(%error, "goes on without postgres")).ok()
        }
        _ => None,
    };
    let loader = db.map(|db| Loader::new(db, storage.clone()));
    Ok(House { storage, redis, loader })
}

fn replaced(services: &Services, by: &Addresses) -> Services {
    Services {
        redis_url: by.redis_url.clone(),
        postgres_url: by.postgres_url.clone().unwrap_or_else(|| services.postgres_url.clone()),
        storage_url: by.storage_url.clone(),
        ..services.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_gets_workers_of_its_own_and_no_more_than_the_machine_bears() {
        let slots = |wanted: &[(Kind, u32)]| by_kind(wanted.iter().copied());
        let both = slots(&[(Kind::Api, 4), (Kind::Browser, 1), (Kind::Api, 1)]);
        assert_eq!(both, Slots { api: 5, browser: 1 });
        assert_eq!(slots(&[(Kind::Browser, 1)]), Slots { api: 0, browser: 1 }, "nothing over HTTP");
        let many = slots(&[(Kind::Api, 200), (Kind::Browser, u32::MAX), (Kind::Browser, 1)]);
        assert_eq!(many, Slots { api: MAX_SLOTS, browser: MAX_BROWSERS });
    }
}
