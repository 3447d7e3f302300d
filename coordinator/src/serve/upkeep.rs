//! Now and then, files that nothing refers to go: what lost tries and killed workers left.

use std::time::{Duration, Instant};

use chrono::Utc;
use nstore_shared::{
    chunk::RunId,
    storage::{Storage, StorageError},
};
use tracing::{info, warn};

use crate::run::garbage::{self, Garbage, Memory};

/// The first look is soon: a daemon that is restarted every day looks all the same.
const FIRST: Duration = Duration::from_secs(60);

/// How often, and what is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Between two looks.
    pub every: Duration,
    /// Younger files stay: their writer may live.
    pub grace: Duration,
}

impl Upkeep {
    /// Looks again and again; never ends.
    pub(super) async fn keep(self, storage: &Storage) {
        let mut memory = Memory::default();
        tokio::time::sleep(self.every.min(FIRST)).await;
        loop {
            let began = Instant::now();
            if let Err(error) = self.sweep(storage, &mut memory).await {
                warn!(%error, "cannot look for files that nothing refers to; trying again later");
            }
            tokio::time::sleep(self.every.saturating_sub(began.elapsed()).max(Duration::from_secs(1))).await;
        }
    }

    async fn sweep(self, storage: &Storage, memory: &mut Memory) -> Result<(), StorageError> {
        let mut failed = Ok(());
        for run in storage.runs().await? {
            // one run that cannot be read keeps nobody from tidying the others
            if let Err(error) = self.sweep_run(storage, &run, memory).await {
                failed = Err(error);
            }
        }
        failed
    }

    async fn sweep_run(
        self,
        storage: &Storage,
        run: &RunId,
        memory: &mut Memory,
    ) -> Result<(), StorageError> {
        let Some(manifest) = storage.manifest(run).await? else { return Ok(()) };
        let (mut found, before) = (Garbage::default(), Utc::now() - self.grace);
        let cancelled = storage.cancelled(run).await?.is_some();
        for plan in &manifest.sources {
            garbage::look(storage, (&plan.source, run), cancelled, before, memory, &mut found).await?;
        }
        if !found.is_empty() {
            garbage::remove(storage, &found).await?;
            let (usage, uploads) = (found.usage(), found.uploads.len());
            info!(%run, files = usage.files, bytes = usage.bytes, uploads, "removed what nothing refers to");
        }
        Ok(())
    }
}
