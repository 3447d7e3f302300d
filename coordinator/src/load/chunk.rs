//! Chunks of one source, loaded by append, its reload, and replace_range: together where they can be, alone where one
//! of them stands out.

use std::ops::Range;

use nstore_shared::storage::{
    manifest::{Manifest, SourcePlan},
    marker::{Committed, Marker},
};

use super::{
    ChunkLoad, ChunkLoads, LoadError, Loader,
    batch::{Batch, How},
    enter::committed_of,
    stop::{COMMITS, Stop, Verdict},
};
use crate::db::ledger::Entry;

/// How often a load is repeated at once because another one brought the same keys in meanwhile.
const RACES: u32 = 3;

/// What came of chunks that were loaded by one transaction.
enum Together {
    /// What came of each, in their order.
    Done(Vec<ChunkLoad>),
    /// Something about one of them keeps the others from being committed.
    OneIsInTheWay,
    /// Rows are present: a repeated append finds that in most chunks, so each is loaded alone.
    RowsArePresent,
}

impl Loader {
    /// Loads committed chunks of one source of an append or replace_range, but those that the ledger has. As many as
    /// possible go in by one transaction; where one is in the way, the others are loaded without it.
    pub async fn load_chunks(
        &self,
        manifest: &Manifest,
        plan: &SourcePlan,
        markers: &[Marker],
    ) -> ChunkLoads {
        let mut loads = ChunkLoads::default();
        // from the end of the list: the first ones come first
        let mut open: Vec<Range<usize>> = std::iter::once(0..markers.len()).collect();
        while let Some(places) = open.pop() {
            let part = &markers[places.clone()];
            let result = match part {
                [] => Ok(Together::Done(vec![])),
                [one] => self.load_chunk(manifest, plan, one).await.map(|load| Together::Done(vec![load])),
                many => self.load_together(manifest, plan, many).await,
            };
            match result {
                Ok(Together::Done(done)) => loads.done.extend(places.zip(done)),
                Ok(Together::OneIsInTheWay) => {
                    let middle = places.start + places.len() / 2;
                    open.extend([middle..places.end, places.start..middle]);
                }
                Ok(Together::RowsArePresent) => open.extend(places.rev().map(|place| place..place + 1)),
                Err(error) => {
                    loads.error = Some(error);
                    break;
                }
            }
        }
        loads
    }

    /// Loads chunks by one transaction.
    async fn load_together(
        &self,
        manifest: &Manifest,
        plan: &SourcePlan,
        markers: &[Marker],
    ) -> Result<Together, LoadError> {
        let target = self.target(&plan.contract.table)?;
        let batch = Batch::new(manifest, plan, &target, markers)?;
        let bodies = match batch.read(&self.storage).await {
            Ok(bodies) => bodies,
            Err(stop) => return self.end_together(&batch, stop).await,
        };
        let mut commits = 0;
        let stop = loop {
            match self.attempt(&batch, How::Together(&bodies)).await {
                Ok(done) => return Ok(Together::Done(done)),
                // it may have happened: the ledger knows
                Err(Stop::Unknown(_)) if commits < COMMITS => commits += 1,
                Err(stop) => break stop,
            }
        };
        self.end_together(&batch, stop).await
    }

    /// What a stop means for chunks that were to be loaded together.
    async fn end_together(&self, batch: &Batch<'_>, stop: Stop) -> Result<Together, LoadError> {
        if stop.is_duplicate() {
            return Ok(Together::RowsArePresent);
        }
        let is_about_one = stop.is_refusal()
            || matches!(
                stop,
                Stop::Damaged(_) | Stop::Outdated(_) | Stop::Refused { .. } | Stop::Raced | Stop::NoStaging
            );
        let (false, Some((entry, committed))) = (is_about_one, batch.first()) else {
            return Ok(Together::OneIsInTheWay);
        };
        let load = self.conclude(entry, committed, stop).await?;
        Ok(Together::Done(vec![load; batch.len()]))
    }

    /// Loads one committed chunk of an append or replace_range, unless the ledger has it.
    ///
    /// # Errors
    /// When Postgres or storage fails (see [`LoadError::may_pass`]), the table is gone or no longer fits, or
    /// the run holds no claim on it.
    pub async fn load_chunk(
        &self,
        manifest: &Manifest,
        plan: &SourcePlan,
        marker: &Marker,
    ) -> Result<ChunkLoad, LoadError> {
        let target = self.target(&plan.contract.table)?;
        let batch = Batch::new(manifest, plan, &target, std::slice::from_ref(marker))?;
        let (mut how, mut commits, mut races) = (How::Streamed, 0, 0);
        let mut refusal = None;
        let stop = loop {
            match self.attempt(&batch, how).await {
                Ok(mut done) => return Ok(done.pop().unwrap_or(ChunkLoad::Already)),
                Err(stop) if stop.is_refusal() && how == How::Streamed => {
                    (how, refusal) = (How::Careful, Some(stop));
                }
                Err(Stop::Raced) if races < RACES => races += 1,
                Err(Stop::NoStaging) => break refusal.unwrap_or(Stop::NoStaging),
                Err(Stop::Unknown(_)) if commits < COMMITS => commits += 1,
                Err(stop) => break stop,
            }
        };
        let committed = committed_of(manifest, plan, marker)?;
        let entry = Entry { target: &target, plan, marker, rows: committed.rows };
        self.conclude(&entry, committed, stop).await
    }

    async fn conclude(
        &self,
        entry: &Entry<'_>,
        committed: &Committed,
        stop: Stop,
    ) -> Result<ChunkLoad, LoadError> {
        Ok(match self.judge(entry.target, entry.marker, committed, stop).await? {
            Verdict::Busy => ChunkLoad::Busy,
            Verdict::Cancelled => ChunkLoad::Cancelled,
            Verdict::Void { reason, detail } => {
                ChunkLoad::Void { generation: entry.marker.generation, reason, detail }
            }
            Verdict::Refused { error, row } => ChunkLoad::Refused { error, row },
        })
    }
}
