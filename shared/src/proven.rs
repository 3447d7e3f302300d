//! What storage proves, in the words of the queue.

use crate::{
    chunk::RunId,
    redis::queue::{Fact, RunEntry, Tally},
    storage::{
        manifest::SourcePlan,
        marker::{GrantRef, Marker, Outcome},
    },
};

/// A source's part of a run.
pub fn run_entry(run: &RunId, plan: &SourcePlan) -> RunEntry {
    RunEntry {
        run: run.clone(),
        source: plan.source.clone(),
        kind: plan.spec.kind(),
        mode: plan.execution,
        parallel_workers: plan.parallel_workers,
        width: plan.width(),
        stop_on_discard: plan.spec.stop_on_discard,
        attempts: plan.spec.chunk_attempts,
        total: plan.chunks.len() as u64,
        plan: Some(plan.digest()),
    }
}

/// What a standing marker says of its chunk, and the lease that whoever tells it lets go.
pub fn fact(marker: &Marker, by: Option<&GrantRef>) -> Fact {
    let (tally, error) = match &marker.outcome {
        Outcome::Committed(c) => (Tally { pages: c.pages, rows: c.rows, bytes: c.artifact.bytes }, None),
        Outcome::Split { .. } => (Tally::default(), None),
        Outcome::Discarded { error, .. } => (Tally::default(), Some(error.clone())),
    };
    Fact {
        chunk: marker.chunk.clone(),
        generation: marker.generation,
        state: marker.outcome.state(),
        by: by.map(|grant| (grant.worker.clone(), grant.nonce)),
        tally,
        error,
    }
}
