//! Every key that nstore uses in Redis, and the names of its function libraries.
//!
//! All keys begin with the prefix, so a Redis user needs `~<prefix>:*` only. The keys of one source share a
//! hash tag, and so do those of the fleet and of one login or budget; those that the library derives are listed at
//! the top of `nstore.lua`. In a cluster no call touches keys of two tags; the sets of open sources have none, and are asked alone.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::vault::VaultName;
use crate::{
    chunk::{Kind, RunId, SourceId},
    config::spec::budget::BudgetKey,
};

/// Builds keys under one prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// What the library derives all keys of a source from.
    pub(super) fn source(&self, source: &SourceId) -> String {
        format!("{}:{{{source}}}", self.prefix)
    }

    /// The source's boot id and times.
    pub(super) fn meta(&self, source: &SourceId) -> String {
        format!("{}:meta", self.source(source))
    }

    /// Completed ranges of a run, in the order they came.
    pub(super) fn hints(&self, source: &SourceId, run: &RunId) -> String {
        format!("{}:hints:{run}", self.source(source))
    }

    /// The set of sources that may have work for a kind of worker.
    pub(super) fn open(&self, kind: Kind) -> String {
        format!("{}:open:{kind}", self.prefix)
    }

    /// Of each of those sources, what became another text with the last chunks that came in.
    pub(super) fn news(&self, kind: Kind) -> String {
        format!("{}:news:{kind}", self.prefix)
    }

    /// The set of workers that were announced.
    pub(super) fn workers(&self) -> String {
        format!("{}:{{fleet}}:workers", self.prefix)
    }

    /// What a worker says of itself; expires with it.
    pub(super) fn card(&self, worker: &str) -> String {
        format!("{}:{{fleet}}:card:{worker}", self.prefix)
    }

    /// That a worker is asked to drain.
    pub(super) fn drain(&self, worker: &str) -> String {
        format!("{}:{{fleet}}:drain:{worker}", self.prefix)
    }

    /// When requests may leave under a budget.
    pub(super) fn budget(&self, key: &BudgetKey) -> String {
        format!("{}:{{budget:{key}}}", self.prefix)
    }

    /// A shared login, sealed. No source has the vault's tag: a source's name holds no colon.
    pub(super) fn vault_value(&self, name: &VaultName) -> String {
        format!("{}:{{vault:{name}}}:value", self.prefix)
    }

    /// Who logs in for a name.
    pub(super) fn vault_lock(&self, name: &VaultName) -> String {
        format!("{}:{{vault:{name}}}:lock", self.prefix)
    }
}

/// A function library, as this build loads it.
#[derive(Debug)]
pub(super) struct Library {
    name: String,
    /// Its Lua text.
    pub(super) text: String,
}

/// The queue's. The name in its text becomes `nstore_2` with the first change to what a stored field means.
pub(super) static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::new("nstore_1", &queue_text()));

/// The vault's. Apart from the queue's, whose memory of boots goes with every change of its text.
pub(super) static VAULT_LIBRARY: LazyLock<Library> =
    LazyLock::new(|| Library::new("nstore_vault_1", include_str!("vault.lua")));

/// That of budgets, apart for the same reason.
pub(super) static BUDGET_LIBRARY: LazyLock<Library> =
    LazyLock::new(|| Library::new("nstore_budget_1", include_str!("budget.lua")));

fn queue_text() -> std::borrow::Cow<'static, str> {
    let text = include_str!("nstore.lua");
    #[cfg(feature = "unguarded")]
    return super::unguarded::without_guards(text).into();
    #[cfg(not(feature = "unguarded"))]
    text.into()
}

impl Library {
    /// The library under a name that holds a piece of its hash: two builds with different text work side by side
    /// on one server, and a corrected text is never hidden by an old one that the server kept.
    fn new(version: &str, text: &str) -> Self {
        let name = format!("{version}_{}", hex::encode(&Sha256::digest(text)[..4]));
        Self { text: text.replace(version, &name), name }
    }

    /// The full name of one of its functions.
    pub(super) fn function(&self, door: &str) -> String {
        format!("{}_{door}", self.name)
    }
}
