//! The services for looking at runs: storage always; the ledger and Redis as far as they answer.

use std::path::Path;

use nstore_shared::{
    config::Services,
    redis::{Redis, RedisError},
    storage::Storage,
};

use super::{
    access::{Access, Want},
    interrupt::Interrupt,
    settings,
};
use crate::{
    cli::Global,
    db::{Db, DbError},
    load::Loader,
    local::site,
};

/// What the ledger is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Some run was to be loaded: without the ledger something is not known, which is said.
    Ledger,
    /// The run was only extracted, and may have been loaded later.
    LedgerIfThere,
}

/// Services that answer, and what is said of those that do not.
pub(super) struct Look {
    pub(super) storage: Storage,
    /// The way to the ledger; `None` while it cannot be read.
    pub(super) loader: Option<Loader>,
    /// `None` when it was not asked for or does not answer.
    pub(super) redis: Option<Redis>,
    /// Redis was asked for and does not answer.
    pub(super) redis_away: Option<String>,
    /// The ledger is needed and cannot be read.
    pub(super) ledger_away: Option<String>,
    /// Private services, which end with [`Look::close`].
    access: Option<Access>,
}

const NO_PRIVATE_LEDGER: &str =
    "the ledger could not be read: the private PostgreSQL does not run; what is loaded is not known";

impl Look {
    /// Connects to what answers; with `--local` starts private servers unless another nstore runs them.
    ///
    /// # Errors
    /// When the configuration is wrong, or private servers do not start.
    pub(super) async fn open(
        global: &Global,
        storage: Storage,
        need: Need,
        redis: bool,
    ) -> anyhow::Result<Self> {
        if global.local {
            return Self::private(global, storage, need, redis).await;
        }
        let services = settings::services(global)?;
        let (redis, redis_away) = if redis { queue(&services).await? } else { (None, None) };
        let (db, away) = ledger(&services).await?;
        let loader = db.map(|db| Loader::new(db, storage.clone()));
        let ledger_away = away.filter(|_| need == Need::Ledger);
        Ok(Self { storage, loader, redis, redis_away, ledger_away, access: None })
    }

    async fn private(global: &Global, storage: Storage, need: Need, redis: bool) -> anyhow::Result<Self> {
        let dir = Path::new(site::DIR);
        // what was never loaded needs no server to say so
        if !redis && site::attach(dir).is_none() && !site::facts(dir).postgres_data {
            let ledger_away = (need == Need::Ledger).then(|| NO_PRIVATE_LEDGER.to_owned());
            return Ok(Self {
                storage,
                loader: None,
                redis: None,
                redis_away: None,
                ledger_away,
                access: None,
            });
        }
        let postgres = need == Need::Ledger && redis;
        let want = Want { postgres, postgres_if_there: !postgres, beside: true, ..Want::default() };
        let access = Access::open(global, want).await?;
        let loader = access.house.loader.clone();
        let unread = loader.is_none() && need == Need::Ledger;
        Ok(Self {
            storage: access.house.storage.clone(),
            loader,
            redis: redis.then(|| access.house.redis.clone()),
            redis_away: None,
            ledger_away: unread.then(|| NO_PRIVATE_LEDGER.to_owned()),
            access: Some(access),
        })
    }

    /// Ends private servers; the second Ctrl-C hurries them.
    pub(super) async fn close(self, interrupt: Option<&Interrupt>) {
        if let Some(access) = self.access {
            access.close(interrupt).await;
        }
    }
}

/// Redis, or why it does not answer.
async fn queue(services: &Services) -> anyhow::Result<(Option<Redis>, Option<String>)> {
    match Redis::connect(&services.redis_url, &services.redis_prefix).await {
        Ok(redis) => Ok((Some(redis), None)),
        Err(
            error @ (RedisError::Unreachable { .. } | RedisError::Refused { .. } | RedisError::Unfit { .. }),
        ) => Ok((None, Some(redis_away(&error)))),
        Err(error) => Err(error.into()),
    }
}

/// What is said of a Redis that does not answer.
pub(super) fn redis_away(error: &RedisError) -> String {
    format!("{error}; storage and the ledger are shown, what is in flight and which workers run is not known")
}

/// PostgreSQL, or why the ledger cannot be read.
async fn ledger(services: &Services) -> anyhow::Result<(Option<Db>, Option<String>)> {
    match Db::connect(&services.postgres_url, &services.postgres_schema).await {
        Ok(db) => Ok((Some(db), None)),
        Err(error @ (DbError::Unreachable { .. } | DbError::Refused { .. })) => {
            let away = format!("the ledger could not be read: {error}; what is loaded is not known");
            Ok((None, Some(away)))
        }
        Err(error) => Err(error.into()),
    }
}
