//! What came of loads, taken into the boards.

use std::collections::BTreeMap;

use chrono::Utc;
use nstore_shared::{
    chunk::Chunk,
    retry::FailureClass,
    storage::marker::{Marker, Void, VoidReason},
};

use super::{
    super::{RunError, loading, reconcile, status::LoadedChunk, submit},
    Watch,
};
use crate::load::{ChunkLoad, ChunkLoads, LoadCounts, LoadError};

/// How often one chunk's outcome is voided for the same reason before the chunk is discarded.
const VOIDS: usize = 3;

impl Watch<'_> {
    /// Takes the result of one load into its board.
    pub(super) async fn take_in(&mut self, landed: loading::Landed) -> Result<(), RunError> {
        match landed.what {
            loading::Cargo::Chunks(markers, loads) => self.take_chunks(landed.board, &markers, loads).await,
            loading::Cargo::Table(_, Err(error)) => self.take_failure(landed.board, error),
            loading::Cargo::Table(markers, Ok(load)) => self.take_table(landed.board, &markers, load).await,
        }
    }

    async fn take_chunks(
        &mut self,
        index: usize,
        markers: &[Marker],
        loads: ChunkLoads,
    ) -> Result<(), RunError> {
        let mut changed = Vec::new();
        let mut voided: BTreeMap<VoidReason, Vec<Chunk>> = BTreeMap::new();
        for (place, load) in loads.done {
            let chunk = &markers[place].chunk;
            match load {
                ChunkLoad::Busy => continue,
                ChunkLoad::Cancelled => self.boards[index].cancelled = true,
                ChunkLoad::Void { reason, detail, .. } => {
                    self.view.note(&format!("{}: {detail}; to be extracted again", chunk.source));
                    voided.entry(reason).or_default().push(chunk.clone());
                }
                ChunkLoad::Loaded(counts) => {
                    self.say_notes(index, &counts);
                    self.boards[index].outcomes.put_loaded(chunk.range, LoadedChunk::from(&counts));
                }
                ChunkLoad::Already | ChunkLoad::Superseded | ChunkLoad::Refused { .. } => {
                    changed.push(chunk.range);
                }
            }
            self.say_loading_goes_on();
        }
        let board = &mut self.boards[index];
        let read = submit::refresh_chunks(self.house.loader.as_ref(), board, &changed).await;
        self.bear(read)?;
        for (reason, chunks) in voided {
            self.voided(index, &chunks, reason).await?;
        }
        loads.error.map_or(Ok(()), |error| self.take_failure(index, error))
    }

    async fn take_table(
        &mut self,
        index: usize,
        markers: &[Marker],
        load: ChunkLoad,
    ) -> Result<(), RunError> {
        if load != ChunkLoad::Busy {
            self.say_loading_goes_on();
        }
        match load {
            ChunkLoad::Busy => return Ok(()),
            ChunkLoad::Cancelled => {
                self.boards[index].cancelled = true;
                return Ok(());
            }
            ChunkLoad::Void { reason, detail, .. } => {
                let source = &self.boards[index].plan.source;
                self.view.note(&format!("{source}: {detail}; to be extracted again"));
                let chunks: Vec<Chunk> = markers.iter().map(|marker| marker.chunk.clone()).collect();
                return self.voided(index, &chunks, reason).await;
            }
            ChunkLoad::Loaded(counts) => self.say_notes(index, &counts),
            ChunkLoad::Already | ChunkLoad::Superseded | ChunkLoad::Refused { .. } => {}
        }
        let loader = self.house.loader.as_ref();
        let read = submit::refresh_ledger(loader, &self.manifest, &mut self.boards).await;
        self.bear(read)
    }

    /// A load that failed in a way that may pass is tried again; otherwise nothing more of the source is loaded.
    fn take_failure(&mut self, index: usize, error: LoadError) -> Result<(), RunError> {
        if error.may_pass() {
            return self.bear(Err(error.into()));
        }
        let board = &mut self.boards[index];
        self.view.note(&format!("nothing more of {} is loaded: {error}", board.plan.source));
        let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
        board.blocked = Some(format!("{error}{hint}"));
        Ok(())
    }

    fn say_notes(&mut self, index: usize, counts: &LoadCounts) {
        for note in &counts.notes {
            self.view.note(&format!("{}: {note}", self.boards[index].plan.source));
        }
    }

    fn say_loading_goes_on(&mut self) {
        if std::mem::take(&mut self.load_stuck) {
            self.view.note("loading goes on");
        }
    }

    /// Outcomes count no more: their next generation runs, or, voided too often for one reason, a chunk is discarded.
    async fn voided(&mut self, board: usize, chunks: &[Chunk], reason: VoidReason) -> Result<(), RunError> {
        let board = &mut self.boards[board];
        for chunk in chunks {
            let voids = self.house.storage.voids(chunk).await?;
            let voids: Vec<&Void> = voids.iter().filter(|void| void.reason == reason).collect();
            let (Some(last), true) = (voids.last(), voids.len() >= VOIDS) else { continue };
            let generations = self.house.storage.generations_of(chunk).await?;
            if generations.standing().is_none() {
                let error = voided_too_often(reason, &last.detail);
                let (generation, class) = (generations.wanted(), FailureClass::Data);
                let marker =
                    Marker::discarded_by_coordinator(chunk.clone(), generation, class, error, Utc::now());
                self.house.storage.create_marker(&marker).await?;
            }
        }
        let reconciled = match self.options.extract {
            true => self.house.reconcile(board).await.map(drop),
            false => reconcile::refresh_markers(&self.house.storage, board).await.map(drop),
        };
        self.bear(reconciled)
    }
}

fn voided_too_often(reason: VoidReason, detail: &str) -> String {
    match reason {
        VoidReason::Outdated => format!(
            "{VOIDS} extractions of it were older than loaded data that covers a part of it, the last time: {detail}; the \
             clock that orders extractions was ahead for a while: load its days by a run of their own, later"
        ),
        VoidReason::Damaged | VoidReason::Retried => {
            format!("its stored file was damaged {VOIDS} times, the last time: {detail}; check the disk")
        }
    }
}
