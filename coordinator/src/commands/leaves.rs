//! The chunks of a plan as they stand: split ones are replaced by their halves. Pure.

use std::collections::BTreeMap;

use nstore_shared::{
    chunk::ChunkRange,
    storage::{
        manifest::SourcePlan,
        marker::{Committed, Marker, Outcome},
    },
};

/// One chunk that is not split, and its outcome if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf<'a> {
    pub(super) range: ChunkRange,
    pub(super) marker: Option<&'a Marker>,
}

impl<'a> Leaf<'a> {
    /// What is stored for it.
    pub(super) fn committed(&self) -> Option<(&'a Marker, &'a Committed)> {
        match self.marker.map(|marker| (marker, &marker.outcome)) {
            Some((marker, Outcome::Committed(committed))) => Some((marker, committed)),
            _ => None,
        }
    }
}

/// All leaves in the order of their dates.
pub(super) fn leaves<'a>(plan: &SourcePlan, standing: &'a BTreeMap<ChunkRange, Marker>) -> Vec<Leaf<'a>> {
    let mut leaves = Vec::with_capacity(plan.chunks.len());
    let mut open: Vec<ChunkRange> = plan.chunks.iter().rev().copied().collect();
    while let Some(range) = open.pop() {
        match standing.get(&range) {
            Some(Marker { outcome: Outcome::Split { halves: [first, second] }, .. }) => {
                open.extend([*second, *first]);
            }
            marker => leaves.push(Leaf { range, marker }),
        }
    }
    leaves
}
