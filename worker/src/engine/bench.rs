//! What all claim loops of a worker share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nstore_shared::{
    chunk::SourceId,
    config::{
        secrets::{self, Secrets},
        spec::SourceSpec,
    },
    redis::{
        fleet::Fleet,
        queue::{GiveBack, Queue},
    },
    storage::{Storage, StorageError},
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tracing::warn;

use super::{lease::Leases, open::Open, outage::Outage, paused::Unstopped, plans::Plans, stir::Stir};
use crate::extract::host::Host;

/// No chunk is started with less room than this.
const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// Longest error text that goes to Redis and markers.
const ERROR_CHARS: usize = 2000;

/// Doors, secrets and what is known of the services.
pub(super) struct Bench {
    pub(super) queue: Queue,
    pub(super) fleet: Fleet,
    pub(super) storage: Storage,
    pub(super) secrets: Secrets,
    pub(super) host: Host,
    pub(super) lease: Duration,
    pub(super) leases: Arc<Leases>,
    pub(super) redis: Outage,
    pub(super) stored: Outage,
    pub(super) stir: Stir,
    /// Chunks at work hold it together; one that may end this process holds it alone.
    alone: RwLock<()>,
    space: Outage,
    pub(super) plans: Plans,
    pub(super) unstopped: Unstopped,
    lacks: Mutex<BTreeMap<SourceId, String>>,
    /// Texts about documents of other versions that were logged.
    refused: Mutex<BTreeSet<String>>,
}

/// Held for as long as a chunk is at work.
pub(super) enum Room<'a> {
    Shared { _held: RwLockReadGuard<'a, ()> },
    Alone { _held: RwLockWriteGuard<'a, ()> },
}

impl Bench {
    pub(super) fn new(
        queue: Queue,
        fleet: Fleet,
        storage: Storage,
        secrets: Secrets,
        host: Host,
        lease: Duration,
    ) -> Self {
        Self {
            queue,
            fleet,
            storage,
            secrets,
            host,
            lease,
            leases: Arc::default(),
            redis: Outage::new(
                "redis does not answer: work in hand is kept, connecting again",
                "redis answers again",
            ),
            stored: Outage::new(
                "storage fails: chunks are given back without counting a try, trying again",
                "storage works again",
            ),
            stir: Stir::default(),
            alone: RwLock::default(),
            space: Outage::new(
                "no room for another chunk: free some disk space; nothing is claimed until then",
                "there is room for chunks again",
            ),
            plans: Plans::default(),
            unstopped: Unstopped::default(),
            lacks: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Room to work beside others; or all of it, once nobody else is at work: what ends this process then ends nothing
    /// else with it.
    pub(super) async fn room(&self, alone: bool) -> Room<'_> {
        if alone {
            Room::Alone { _held: self.alone.write().await }
        } else {
            Room::Shared { _held: self.alone.read().await }
        }
    }

    /// Whether this host lacks a secret of the source: then it is left alone from now on, and said so once.
    pub(super) fn lacks_secret(&self, source: &SourceId, spec: &SourceSpec) -> bool {
        let absent: Vec<_> =
            spec.secrets().into_iter().filter(|name| self.secrets.get(name).is_none()).collect();
        if absent.is_empty() {
            return false;
        }
        let each = absent.iter().map(|name| format!("`{}` ({})", name.0, Secrets::variable(name)));
        let reason = format!("this host lacks the secret {}", each.collect::<Vec<_>>().join(" and "));
        if locked(&self.lacks).insert(source.clone(), reason.clone()).is_none() {
            warn!(%source, "{reason}: left to other workers; set it and start the worker again");
        }
        true
    }

    /// How a chunk is given back whose documents this build cannot read; said once for each document.
    pub(super) fn refuse(&self, error: &StorageError) -> GiveBack {
        let hint = error.hint().unwrap_or_default();
        let text = format!("nstore-worker {}: {error}; {hint}", env!("CARGO_PKG_VERSION"));
        if locked(&self.refused).insert(text.clone()) {
            warn!("left to other workers: {text}");
        }
        GiveBack::Refuse { error: self.fit_to_tell(&text) }
    }

    /// The sources that this host leaves alone, with the reason.
    pub(super) fn lacks(&self) -> Vec<(SourceId, String)> {
        locked(&self.lacks).iter().map(|(source, reason)| (source.clone(), reason.clone())).collect()
    }

    /// Without the sources that this host leaves alone.
    pub(super) fn able(&self, open: &[Open]) -> Vec<Open> {
        let lacks = locked(&self.lacks);
        open.iter().filter(|open| !lacks.contains_key(&open.source)).cloned().collect()
    }

    /// Whether there is room on disk for another chunk; an object store has, and so has a system that does not tell.
    pub(super) fn has_room(&self) -> bool {
        let began = Instant::now();
        match self.storage.free_bytes() {
            Ok(Some(free)) if free < LEAST_FREE_BYTES => {
                let url = self.storage.url();
                self.space.failed(&format_args!("{} MiB are free at {url}", free >> 20));
                false
            }
            Ok(_) | Err(_) => {
                self.space.worked(began);
                true
            }
        }
    }

    /// An error text that may leave the process: free of secrets, and not endless.
    pub(super) fn fit_to_tell(&self, error: &str) -> String {
        let text = secrets::redact(error, &self.secrets);
        match text.char_indices().nth(ERROR_CHARS) {
            Some((end, _)) => format!("{} …", &text[..end]),
            None => text,
        }
    }
}

fn locked<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
