//! A naive queue: a list of chunks, a list of slots, and the rules as sentences. No indexes, no counters.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::chunk::{ChunkState, ExecutionMode, Generation};

/// A chunk: its run by place in the list of runs, and its day.
pub(crate) type Key = (usize, u32);

/// What a claim is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) key: Key,
    pub(crate) generation: Generation,
    pub(crate) attempt: u32,
    pub(crate) discard: bool,
}

/// A run's settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: &'static str,
    pub(crate) mode: ExecutionMode,
    pub(crate) parallel_workers: usize,
    pub(crate) width: Option<usize>,
    pub(crate) stop_on_discard: bool,
    pub(crate) total: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelChunk {
    pub(crate) generation: Generation,
    pub(crate) state: ChunkState,
    failed: u32,
    losses: u32,
    holder: Option<(usize, u64)>,
    due: bool,
    rows: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    worker: usize,
    nonce: u64,
    key: Key,
    /// It ends with the next wait.
    short: bool,
}

/// What one who works on a chunk calls himself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By {
    pub(crate) worker: usize,
    pub(crate) nonce: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    Ok,
    Cancel,
    Lost,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) runs: Vec<Settings>,
    pub(crate) chunks: BTreeMap<Key, ModelChunk>,
    pub(crate) cancelled: BTreeSet<usize>,
    /// Runs, and with none the source.
    pub(crate) paused: BTreeSet<Option<usize>>,
    pub(crate) hints: BTreeMap<usize, Vec<u32>>,
    slots: Vec<Slot>,
    /// Last nonce and what it was granted.
    claimants: BTreeMap<usize, (u64, Option<Key>)>,
    /// Candidates by when they were served last: a parallel run's name, `*` for all sequential ones.
    turns: BTreeMap<&'static str, u64>,
    entered: BTreeSet<usize>,
    clock: u64,
}

fn ended(state: ChunkState) -> bool {
    use ChunkState::{Cancelled, Completed, Discarded, Split};
    matches!(state, Completed | Split | Discarded | Cancelled)
}

impl Model {
    pub(crate) fn new(runs: Vec<Settings>) -> Self {
        Self {
            runs,
            chunks: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            paused: BTreeSet::new(),
            hints: BTreeMap::new(),
            slots: Vec::new(),
            claimants: BTreeMap::new(),
            turns: BTreeMap::new(),
            entered: BTreeSet::new(),
            clock: 0,
        }
    }

    /// Rows of ended chunks.
    pub(crate) fn rows(&self, run: usize) -> u64 {
        self.of_run(run).filter(|(_, chunk)| ended(chunk.state)).map(|(_, chunk)| chunk.rows).sum()
    }

    fn of_run(&self, run: usize) -> impl Iterator<Item = (&Key, &ModelChunk)> {
        self.chunks.iter().filter(move |(key, _)| key.0 == run)
    }

    fn sequential(&self, run: usize) -> bool {
        self.runs[run].mode == ExecutionMode::Sequential
    }

    /// Who opens is served first; who is closed has no turn.
    fn settle(&mut self) {
        let mut open = BTreeSet::new();
        for run in 0..self.runs.len() {
            if self.entered.contains(&run) && self.of_run(run).any(|(_, chunk)| !ended(chunk.state)) {
                open.insert(if self.sequential(run) { "*" } else { self.runs[run].name });
            }
        }
        self.turns.retain(|turn, _| open.contains(turn));
        for turn in open {
            self.turns.entry(turn).or_insert(0);
        }
    }

    fn resting(&self, run: usize, otherwise: ChunkState) -> ChunkState {
        if self.cancelled.contains(&run) { ChunkState::Cancelled } else { otherwise }
    }

    /// Returns how many were added and reopened.
    pub(crate) fn enqueue(&mut self, run: usize, entries: &[(u32, Generation, bool)]) -> (u64, u64) {
        self.entered.insert(run);
        let fresh = self.resting(run, ChunkState::Available);
        let (mut added, mut reopened) = (0, 0);
        for &(n, generation, unproven) in entries {
            let anew = ModelChunk {
                generation,
                state: fresh,
                failed: 0,
                losses: 0,
                holder: None,
                due: false,
                rows: 0,
            };
            match self.chunks.get(&(run, n)) {
                None => added += 1,
                Some(old) => {
                    let same = generation == old.generation && unproven && ended(old.state);
                    if generation <= old.generation && !same {
                        continue;
                    }
                    reopened += u64::from(ended(old.state) && fresh == ChunkState::Available);
                }
            }
            self.chunks.insert((run, n), anew);
        }
        self.settle();
        (added, reopened)
    }

    fn holds(&self, key: Key, by: By) -> bool {
        self.chunks.get(&key).is_some_and(|chunk| chunk.holder == Some((by.worker, by.nonce)))
    }

    fn free(&mut self, key: Key, by: By) {
        self.slots.retain(|slot| (slot.key, slot.worker, slot.nonce) != (key, by.worker, by.nonce));
    }

    fn chunk(&mut self, key: Key) -> &mut ModelChunk {
        self.chunks.get_mut(&key).expect("a known chunk")
    }

    /// Every short lease runs out while other workers live, and a claim finds that.
    pub(crate) fn wait(&mut self) {
        let (lost, kept): (Vec<Slot>, Vec<Slot>) = self.slots.drain(..).partition(|slot| slot.short);
        self.slots = kept;
        for slot in lost {
            let by = By { worker: slot.worker, nonce: slot.nonce };
            if self.holds(slot.key, by) {
                let state = self.resting(slot.key.0, ChunkState::Available);
                let chunk = self.chunk(slot.key);
                (chunk.state, chunk.holder, chunk.losses) = (state, None, chunk.losses + 1);
            }
        }
        self.settle();
    }

    pub(crate) fn claim(&mut self, by: By, short: bool) -> Option<Granted> {
        let (last, granted) = self.claimants.get(&by.worker).copied().unwrap_or((0, None));
        if by.nonce < last {
            return None;
        }
        if by.nonce == last {
            let key = granted.filter(|key| self.holds(*key, by))?;
            self.renew(key, by, short);
            return Some(self.granted(key));
        }
        let picked = self.pick();
        self.claimants.insert(by.worker, (by.nonce, picked.map(|(key, _)| key)));
        let (key, turn) = picked?;
        let chunk = self.chunk(key);
        (chunk.state, chunk.holder) = (ChunkState::Running, Some((by.worker, by.nonce)));
        self.slots.push(Slot { worker: by.worker, nonce: by.nonce, key, short });
        self.clock += 1;
        self.turns.insert(turn, self.clock);
        Some(self.granted(key))
    }

    fn granted(&self, key: Key) -> Granted {
        let chunk = &self.chunks[&key];
        Granted { key, generation: chunk.generation, attempt: chunk.failed + 1, discard: chunk.losses >= 3 }
    }

    fn renew(&mut self, key: Key, by: By, short: bool) {
        for slot in &mut self.slots {
            if (slot.key, slot.worker, slot.nonce) == (key, by.worker, by.nonce) {
                slot.short = short;
            }
        }
    }

    fn pick(&mut self) -> Option<(Key, &'static str)> {
        if self.paused.contains(&None) {
            return None;
        }
        let mut order: Vec<(u64, &'static str)> =
            self.turns.iter().map(|(turn, served)| (*served, *turn)).collect();
        order.sort_unstable();
        for (_, turn) in order {
            if turn == "*" {
                if let Some(key) = self.lowest_sequential() {
                    return self.slots.is_empty().then_some((key, turn));
                }
            } else if let Some(key) = self.lowest_parallel(turn) {
                return Some((key, turn));
            }
        }
        None
    }

    fn lowest_sequential(&self) -> Option<Key> {
        let ready = |run: usize| {
            let settings = &self.runs[run];
            let discarded = self.of_run(run).any(|(_, chunk)| chunk.state == ChunkState::Discarded);
            self.sequential(run)
                && self.entered.contains(&run)
                && !self.cancelled.contains(&run)
                && !self.paused.contains(&Some(run))
                && !(settings.stop_on_discard && discarded)
                && self.of_run(run).count() >= settings.total
        };
        let waiting = self.chunks.iter().filter(|(key, chunk)| {
            matches!(chunk.state, ChunkState::Available | ChunkState::Retryable) && ready(key.0)
        });
        let (key, chunk) = waiting.min_by_key(|(key, _)| (key.1, key.0))?;
        (chunk.state == ChunkState::Available || chunk.due).then_some(*key)
    }

    fn lowest_parallel(&mut self, name: &str) -> Option<Key> {
        if self.slots.iter().any(|slot| self.sequential(slot.key.0)) {
            return None;
        }
        let run = self.runs.iter().position(|run| run.name == name).expect("a known run");
        let in_flight = self.slots.iter().filter(|slot| slot.key.0 == run).count();
        let settings = &self.runs[run];
        let full = in_flight >= settings.parallel_workers
            || settings.width.is_some_and(|width| self.slots.len() >= width);
        if full || self.cancelled.contains(&run) || self.paused.contains(&Some(run)) {
            return None;
        }
        for (_, chunk) in self.chunks.iter_mut().filter(|(key, _)| key.0 == run) {
            if chunk.state == ChunkState::Retryable && chunk.due {
                chunk.state = ChunkState::Available;
            }
        }
        self.of_run(run).find(|(_, chunk)| chunk.state == ChunkState::Available).map(|(key, _)| *key)
    }

    pub(crate) fn report(
        &mut self,
        key: Key,
        generation: Generation,
        state: ChunkState,
        by: Option<By>,
        rows: u64,
    ) -> bool {
        if let Some(by) = by {
            self.free(key, by);
        }
        let known = self.chunks.get(&key);
        if known.is_some_and(|old| {
            generation < old.generation || (generation == old.generation && state == old.state)
        }) {
            return false;
        }
        let mut chunk = known.cloned().unwrap_or(ModelChunk {
            generation,
            state,
            failed: 0,
            losses: 0,
            holder: None,
            due: false,
            rows: 0,
        });
        (chunk.generation, chunk.state, chunk.holder, chunk.rows) = (generation, state, None, rows);
        self.chunks.insert(key, chunk);
        if state == ChunkState::Completed {
            self.hints.entry(key.0).or_default().push(key.1);
        }
        self.settle();
        true
    }

    /// `retry`: a try failed, and the next one is due at once or never.
    pub(crate) fn give_back(
        &mut self,
        key: Key,
        generation: Generation,
        by: By,
        retry: Option<bool>,
    ) -> bool {
        self.free(key, by);
        if !self.holds(key, by) || self.chunks[&key].generation != generation {
            return false;
        }
        let state =
            self.resting(key.0, if retry.is_some() { ChunkState::Retryable } else { ChunkState::Available });
        let chunk = self.chunk(key);
        (chunk.state, chunk.holder) = (state, None);
        if state == ChunkState::Retryable {
            chunk.failed += 1;
            chunk.due = retry == Some(true);
        }
        self.settle();
        true
    }

    pub(crate) fn beat(&mut self, key: Key, generation: Generation, by: By, short: bool) -> Beat {
        if !self.holds(key, by) || self.chunks[&key].generation != generation {
            return Beat::Lost;
        }
        if self.cancelled.contains(&key.0) {
            return Beat::Cancel;
        }
        self.renew(key, by, short);
        Beat::Ok
    }

    pub(crate) fn cancel(&mut self, run: usize) {
        self.cancelled.insert(run);
        for (_, chunk) in self.chunks.iter_mut().filter(|(key, _)| key.0 == run) {
            if matches!(chunk.state, ChunkState::Available | ChunkState::Retryable) {
                chunk.state = ChunkState::Cancelled;
            }
        }
        self.settle();
    }

    pub(crate) fn pause(&mut self, what: Option<usize>, paused: bool) {
        if paused {
            self.paused.insert(what);
        } else {
            self.paused.remove(&what);
        }
    }
}
