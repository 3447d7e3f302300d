//! The plans of runs that this worker has met. One is kept for as long as grants name the digest under which it was
//! read: a run that was cleaned and asked for again under the same name has another plan.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use nstore_shared::{
    chunk::{RunId, SourceId},
    redis::queue::Grant,
    storage::{Storage, StorageError, manifest::SourcePlan},
};

/// Plans that are kept, the most recently used ones. A worker rarely meets more at once.
const MAX_PLANS: usize = 64;

/// A bounded cache of plans.
#[derive(Default)]
pub(super) struct Plans(Mutex<VecDeque<Arc<KnownPlan>>>);

/// A source's part of a run, as it was read from storage.
pub(super) struct KnownPlan {
    run: RunId,
    source: SourceId,
    /// What the grant named when the plan was read. It may be the word of another build, so it is compared with
    /// grants alone.
    granted: Option<String>,
    /// Extractions of the run count as later than this.
    pub(super) extracted_after: Option<DateTime<Utc>>,
    /// The plan.
    pub(super) plan: SourcePlan,
    /// Its digest by this build: names what is prepared from it.
    pub(super) digest: String,
}

impl Plans {
    /// The plan of a granted chunk, read from storage unless it is kept under the digest that the grant names; `None`
    /// when storage has no such run or source.
    ///
    /// # Errors
    /// When storage fails.
    pub(super) async fn get(
        &self,
        storage: &Storage,
        grant: &Grant,
    ) -> Result<Option<Arc<KnownPlan>>, StorageError> {
        if let Some(kept) = self.kept(grant) {
            return Ok(Some(kept));
        }
        let (run, source) = (&grant.chunk.run, &grant.chunk.source);
        let Some(manifest) = storage.manifest(run).await? else { return Ok(None) };
        let Some(plan) = manifest.sources.into_iter().find(|plan| plan.source == *source) else {
            return Ok(None);
        };
        let known = Arc::new(KnownPlan {
            run: run.clone(),
            source: source.clone(),
            granted: grant.plan.clone(),
            extracted_after: manifest.extracted_after,
            digest: plan.digest(),
            plan,
        });
        self.keep(known.clone());
        Ok(Some(known))
    }

    fn kept(&self, grant: &Grant) -> Option<Arc<KnownPlan>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|known| known.is_of(grant))?;
        if grant.plan.is_none() || kept[at].granted != grant.plan {
            return None;
        }
        let known = kept.remove(at)?;
        kept.push_front(known.clone());
        Some(known)
    }

    fn keep(&self, known: Arc<KnownPlan>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.run != known.run || other.source != known.source);
        kept.push_front(known);
        kept.truncate(MAX_PLANS);
    }
}

impl KnownPlan {
    /// The time that orders the extraction which begins with a grant: the grant's own, but later than what the ledger
    /// held when the run was planned.
    pub(super) fn order_time(&self, grant: &Grant) -> DateTime<Utc> {
        let earliest = self.extracted_after.map(|at| at + Duration::milliseconds(1));
        earliest.map_or(grant.granted_at, |earliest| grant.granted_at.max(earliest))
    }

    fn is_of(&self, grant: &Grant) -> bool {
        self.run == grant.chunk.run && self.source == grant.chunk.source
    }
}
