//! The halves of a split chunk enter the queue by the hand of who split it: no coordinator need be there, and in a
//! sequential source they come before what lies behind them.

use nstore_shared::{
    proven,
    redis::queue::{ChunkEntry, RunEntry},
    storage::{
        manifest::SourcePlan,
        marker::{Marker, Outcome},
    },
};

use super::bench::Bench;

/// Enqueues the halves, if a standing marker says that there are any. Before its fact is reported: one who comes
/// between repeats it. What Redis does not take now, the coordinator finds in storage.
pub(super) async fn enqueue(bench: &Bench, plan: &SourcePlan, marker: &Marker) {
    let Outcome::Split { halves, .. } = marker.outcome else { return };
    // a half that has ended is not opened again: its generation is not higher than what is known
    let entries = halves.map(|range| ChunkEntry { range, generation: 1, unproven: false });
    // which plan counts is the coordinator's to say: this worker may be late
    let run = RunEntry { plan: None, ..proven::run_entry(&marker.chunk.run, plan) };
    bench.redis.once(bench.queue.enqueue(&run, &entries)).await;
}
