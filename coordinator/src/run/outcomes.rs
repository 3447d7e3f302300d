//! The outcomes of one source's chunks, with all that follows from them kept up to date: no question grows with the
//! number of chunks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::{
    chunk::ChunkRange,
    storage::{
        marker::{Committed, Marker, Outcome},
        outcomes::leaves,
    },
};

use super::status::LoadedChunk;
use crate::load::LoadFailure;

/// Standing markers and ledger rows of one source's part of a run.
#[derive(Debug, Clone)]
pub(super) struct Outcomes {
    planned: Vec<ChunkRange>,
    markers: BTreeMap<ChunkRange, Marker>,
    /// The planned chunks, the halves of split ones in their place, whatever their outcome.
    leaves: BTreeSet<ChunkRange>,
    /// Leaves with an outcome.
    ended: usize,
    splits: usize,
    discarded: usize,
    stored: Stored,
    loaded: BTreeMap<ChunkRange, LoadedChunk>,
    sums: Loaded,
    refused: BTreeMap<ChunkRange, LoadFailure>,
    /// Stored leaves that the ledger does not hold and the table did not refuse.
    waiting: BTreeSet<ChunkRange>,
}

/// Sums over stored chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) chunks: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) rejected: u64,
    pub(super) outside: u64,
}

/// Sums over what the ledger holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) chunks: u64,
    pub(super) rows: u64,
    pub(super) skipped: u64,
    pub(super) changed: u64,
    pub(super) rejected: u64,
    pub(super) defaulted: u64,
    pub(super) superseded: u64,
}

impl Stored {
    fn add(&mut self, committed: &Committed) {
        self.chunks += 1;
        self.rows += committed.rows;
        self.bytes += committed.artifact.bytes;
        self.rejected += committed.quality.rejected;
        self.outside += committed.quality.outside_window;
    }

    fn take(&mut self, committed: &Committed) {
        self.chunks -= 1;
        self.rows -= committed.rows;
        self.bytes -= committed.artifact.bytes;
        self.rejected -= committed.quality.rejected;
        self.outside -= committed.quality.outside_window;
    }
}

impl Loaded {
    fn add(&mut self, chunk: &LoadedChunk) {
        self.chunks += 1;
        self.rows += chunk.rows;
        self.skipped += chunk.skipped;
        self.changed += chunk.changed;
        self.rejected += chunk.rejected;
        self.defaulted += chunk.defaulted;
        self.superseded += u64::from(chunk.superseded);
    }

    fn take(&mut self, chunk: &LoadedChunk) {
        self.chunks -= 1;
        self.rows -= chunk.rows;
        self.skipped -= chunk.skipped;
        self.changed -= chunk.changed;
        self.rejected -= chunk.rejected;
        self.defaulted -= chunk.defaulted;
        self.superseded -= u64::from(chunk.superseded);
    }
}

impl Outcomes {
    pub(super) fn new(planned: &[ChunkRange]) -> Self {
        Self {
            planned: planned.to_vec(),
            markers: BTreeMap::new(),
            leaves: planned.iter().copied().collect(),
            ended: 0,
            splits: 0,
            discarded: 0,
            stored: Stored::default(),
            loaded: BTreeMap::new(),
            sums: Loaded::default(),
            refused: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Notes a standing marker; one of the same chunk is replaced.
    pub(super) fn put(&mut self, marker: Marker) {
        let range = marker.chunk.range;
        if self.markers.get(&range) == Some(&marker) {
            return;
        }
        self.remove(range);
        match &marker.outcome {
            Outcome::Split { halves, .. } => {
                let halves = *halves;
                self.splits += 1;
                self.markers.insert(range, marker);
                if self.leaves.remove(&range) {
                    self.grow(halves);
                }
            }
            Outcome::Committed(_) | Outcome::Discarded { .. } => {
                self.discarded += usize::from(is_discarded(&marker));
                self.markers.insert(range, marker);
                if self.leaves.contains(&range) {
                    self.count(range);
                }
            }
        }
    }

    /// The halves of a chunk take its place, and theirs in turn where they are split.
    fn grow(&mut self, halves: [ChunkRange; 2]) {
        let mut open = Vec::from(halves);
        while let Some(range) = open.pop() {
            match self.markers.get(&range).map(|marker| &marker.outcome) {
                Some(Outcome::Split { halves, .. }) => open.extend(halves),
                _ => {
                    self.leaves.insert(range);
                    self.count(range);
                }
            }
        }
    }

    /// Counts a leaf that has an outcome.
    fn count(&mut self, range: ChunkRange) {
        let Some(marker) = self.markers.get(&range) else { return };
        self.ended += 1;
        if let Some(committed) = marker.committed() {
            self.stored.add(committed);
            if !self.loaded.contains_key(&range) && !self.refused.contains_key(&range) {
                self.waiting.insert(range);
            }
        }
    }

    /// Forgets the marker of a chunk that was voided.
    fn remove(&mut self, range: ChunkRange) {
        let Some(marker) = self.markers.remove(&range) else { return };
        if matches!(marker.outcome, Outcome::Split { .. }) {
            // splits are hardly ever voided
            let markers = std::mem::take(&mut self.markers);
            self.rebuild(markers);
            return;
        }
        self.discarded -= usize::from(is_discarded(&marker));
        if self.leaves.contains(&range) {
            self.ended -= 1;
            self.waiting.remove(&range);
            if let Some(committed) = marker.committed() {
                self.stored.take(committed);
            }
        }
    }

    fn rebuild(&mut self, markers: BTreeMap<ChunkRange, Marker>) {
        let ranges = leaves(&self.planned, &markers).into_iter().map(|(range, _)| range).collect();
        let has = |is: fn(&Marker) -> bool| markers.values().filter(|marker| is(marker)).count();
        self.splits = has(|marker| matches!(marker.outcome, Outcome::Split { .. }));
        self.discarded = has(is_discarded);
        (self.leaves, self.markers) = (ranges, markers);
        (self.ended, self.stored, self.waiting) = (0, Stored::default(), BTreeSet::new());
        for range in self.leaves.clone() {
            self.count(range);
        }
    }

    /// Forgets markers that do not stand any more.
    pub(super) fn retain(&mut self, stands: impl Fn(&Marker) -> bool) {
        let gone: Vec<ChunkRange> =
            self.markers.values().filter(|marker| !stands(marker)).map(|marker| marker.chunk.range).collect();
        gone.into_iter().for_each(|range| self.remove(range));
    }

    /// Notes what the ledger holds of a chunk.
    pub(super) fn put_loaded(&mut self, range: ChunkRange, chunk: LoadedChunk) {
        self.sums.add(&chunk);
        if let Some(before) = self.loaded.insert(range, chunk) {
            self.sums.take(&before);
        }
        self.refused.remove(&range);
        self.waiting.remove(&range);
    }

    /// Notes that the table refused a chunk.
    pub(super) fn put_refused(&mut self, failure: LoadFailure) {
        self.waiting.remove(&failure.range);
        self.refused.insert(failure.range, failure);
    }

    /// Forgets what the ledger and the load failures say.
    pub(super) fn clear_loads(&mut self) {
        self.loaded.clear();
        self.refused.clear();
        self.sums = Loaded::default();
        self.waiting = self.committed().map(|marker| marker.chunk.range).collect();
    }

    pub(super) fn marker(&self, range: &ChunkRange) -> Option<&Marker> {
        self.markers.get(range)
    }

    pub(super) fn markers(&self) -> impl ExactSizeIterator<Item = &Marker> {
        self.markers.values()
    }

    /// The planned chunks, the halves of split ones in their place, whatever their outcome.
    pub(super) fn leaves(&self) -> &BTreeSet<ChunkRange> {
        &self.leaves
    }

    /// How many leaves have an outcome.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    pub(super) fn splits(&self) -> usize {
        self.splits
    }

    /// How many chunks failed for good in extraction.
    pub(super) fn discarded(&self) -> usize {
        self.discarded
    }

    /// Some outcome that is no split is of a chunk that is neither planned nor a known half.
    pub(super) fn has_strays(&self) -> bool {
        self.markers.len() - self.splits > self.ended
    }

    /// The markers of stored chunks.
    pub(super) fn committed(&self) -> impl Iterator<Item = &Marker> {
        self.leaves
            .iter()
            .filter_map(|range| self.markers.get(range))
            .filter(|marker| marker.committed().is_some())
    }

    /// The markers of stored chunks that the ledger does not hold and the table did not refuse, by their ranges.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Marker> {
        self.waiting.iter().filter_map(|range| self.markers.get(range))
    }

    pub(super) fn stored(&self) -> Stored {
        self.stored
    }

    pub(super) fn loaded(&self) -> Loaded {
        self.sums
    }

    pub(super) fn refused(&self) -> &BTreeMap<ChunkRange, LoadFailure> {
        &self.refused
    }

    /// The ledger holds every leaf.
    pub(super) fn all_loaded(&self) -> bool {
        let all_stored = self.stored.chunks == self.leaves.len() as u64;
        all_stored && self.waiting.is_empty() && !self.refused.keys().any(|range| self.leaves.contains(range))
    }
}

fn is_discarded(marker: &Marker) -> bool {
    matches!(marker.outcome, Outcome::Discarded { .. })
}

#[cfg(test)]
mod tests {
    use nstore_shared::{
        chunk::Chunk,
        retry::FailureClass,
        storage::marker::{ArtifactRef, GrantRef, MARKER_VERSION, Quality},
    };
    use proptest::prelude::*;

    use super::*;

    /// A day, cut into halves, and one of these into quarters; and a day beside it.
    const RANGES: [&str; 6] = [
        "2025-08-01_2025-08-02",
        "20250801t000000z_20250801t120000z",
        "20250801t120000z_20250802t000000z",
        "20250801t000000z_20250801t060000z",
        "20250801t060000z_20250801t120000z",
        "2025-08-02_2025-08-03",
    ];

    fn range(place: usize) -> ChunkRange {
        RANGES[place].parse().unwrap()
    }

    fn committed(rows: u64) -> Outcome {
        Outcome::Committed(Box::new(Committed {
            artifact: ArtifactRef { name: "n".into(), sha256: String::new(), bytes: 10 * rows },
            rows,
            columns: vec![],
            contract: "c".into(),
            quality: Quality { rejected: rows % 2, ..Quality::default() },
            evidence: vec![],
            warnings: vec![],
            pages: 1,
            lane: None,
            browser: None,
        }))
    }

    fn marker(place: usize, generation: u32, outcome: Outcome) -> Marker {
        let (source, run) = ("s".parse().unwrap(), "r".parse().unwrap());
        let chunk = Chunk { source, run, range: range(place) };
        let mut marker = Marker::discarded_by_coordinator(
            chunk,
            generation,
            FailureClass::Data,
            "e".into(),
            "2025-08-05T00:00:00Z".parse().unwrap(),
        );
        marker.grant = GrantRef { worker: "w".parse().unwrap(), nonce: 1, attempt: 1 };
        assert_eq!(marker.version, MARKER_VERSION);
        Marker { outcome, ..marker }
    }

    #[derive(Debug, Clone)]
    enum Change {
        Commit(usize, u64),
        Discard(usize),
        Split(usize),
        Void(usize),
        Load(usize, u64),
        Refuse(usize),
        ClearLoads,
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let place = || 0..RANGES.len();
        let one = prop_oneof![
            3 => (place(), 0..4_u64).prop_map(|(place, rows)| Change::Commit(place, rows)),
            1 => place().prop_map(Change::Discard),
            2 => (0..2_usize).prop_map(Change::Split),
            1 => place().prop_map(Change::Void),
            2 => (place(), 0..4_u64).prop_map(|(place, rows)| Change::Load(place, rows)),
            1 => place().prop_map(Change::Refuse),
            1 => Just(Change::ClearLoads),
        ];
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        /// The truth is counted anew from markers, ledger rows and refusals.
        #[test]
        fn what_is_kept_up_to_date_is_what_a_count_finds(changes in changes()) {
            let planned = [range(0), range(5)];
            let mut kept = Outcomes::new(&planned);
            let (mut markers, mut loads, mut refused) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
            for (nth, change) in (1..).zip(changes) {
                let mut put = |place: usize, outcome| {
                    let marker = marker(place, nth, outcome);
                    markers.insert(range(place), marker.clone());
                    kept.put(marker);
                };
                match change {
                    Change::Commit(place, rows) => put(place, committed(rows)),
                    Change::Discard(place) => {
                        let discarded = Outcome::Discarded {
                            class: FailureClass::Data, error: "e".into(), attempts: 1, rejects: None, bundle: None,
                        };
                        put(place, discarded);
                    }
                    Change::Split(place) => {
                        let halves = if place == 0 { [range(1), range(2)] } else { [range(3), range(4)] };
                        put(place, Outcome::Split { halves, answer: None });
                    }
                    Change::Void(place) => {
                        markers.remove(&range(place));
                        kept.retain(|marker| marker.chunk.range != range(place));
                    }
                    Change::Load(place, rows) => {
                        let counts = crate::load::LoadCounts::plain(rows);
                        loads.insert(range(place), rows);
                        refused.remove(&range(place));
                        kept.put_loaded(range(place), LoadedChunk::from(&counts));
                    }
                    Change::Refuse(place) => {
                        refused.insert(range(place));
                        kept.put_refused(LoadFailure {
                            source: "s".parse().unwrap(), range: range(place), error: "e".into(), row: None,
                        });
                    }
                    Change::ClearLoads => {
                        loads.clear();
                        refused.clear();
                        kept.clear_loads();
                    }
                }
            }
            let found = leaves(&planned, &markers);
            let stored: Vec<&Committed> = found.iter().filter_map(|(_, marker)| marker.as_ref()?.committed()).collect();
            let ranges: BTreeSet<ChunkRange> = found.iter().map(|(range, _)| *range).collect();
            prop_assert_eq!(kept.leaves(), &ranges);
            prop_assert_eq!(kept.ended(), found.iter().filter(|(_, marker)| marker.is_some()).count());
            prop_assert_eq!(kept.stored(), Stored {
                chunks: stored.len() as u64,
                rows: stored.iter().map(|committed| committed.rows).sum(),
                bytes: stored.iter().map(|committed| committed.artifact.bytes).sum(),
                rejected: stored.iter().map(|committed| committed.quality.rejected).sum(),
                outside: 0,
            });
            prop_assert_eq!(kept.discarded(), markers.values().filter(|marker| is_discarded(marker)).count());
            let is_split = |marker: &&Marker| matches!(marker.outcome, Outcome::Split { .. });
            prop_assert_eq!(kept.splits(), markers.values().filter(is_split).count());
            let is_stray = |marker: &&Marker| !is_split(marker) && !ranges.contains(&marker.chunk.range);
            prop_assert_eq!(kept.has_strays(), markers.values().any(|marker| is_stray(&marker)));
            prop_assert_eq!((kept.loaded().chunks, kept.loaded().rows), (loads.len() as u64, loads.values().sum()));
            let waits = |range: &ChunkRange| !loads.contains_key(range) && !refused.contains(range);
            let committed = found.iter().filter(|(_, marker)| marker.is_some_and(|marker| marker.committed().is_some()));
            let mut waiting: Vec<ChunkRange> = committed.map(|(range, _)| *range).filter(waits).collect();
            waiting.sort_unstable();
            prop_assert_eq!(kept.waiting().map(|marker| marker.chunk.range).collect::<Vec<_>>(), waiting);
        }
    }
}
