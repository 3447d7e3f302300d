//! The transaction that loads chunks of one source: claims, ledger, deletes, COPY, and what goes with them.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use nstore_shared::{
    chunk::UploadMode,
    guard::Guard,
    storage::{
        Storage,
        manifest::{Manifest, SourcePlan},
        marker::{Committed, Marker},
    },
};
use tokio_postgres::Transaction;

use super::{
    ChunkLoad, LoadCounts, LoadError, Loader,
    careful::{self, Origin},
    cascade, claims, copy, delete,
    enter::committed_of,
    fields, rejects,
    spans::{self, Cover},
    stop::Stop,
};
use crate::db::{
    failures,
    ident::Target,
    ledger::{self, Entry, Newer},
    session,
};

/// Longer than a short statement of another loader, shorter than its COPY: there is other work to do.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Artifacts that are read at once.
const READS: usize = 8;

/// How rows reach the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How<'a> {
    /// One chunk's artifact by COPY, while it is read: one row that the table does not take refuses all.
    Streamed,
    /// The artifacts of all chunks by one COPY: their rows, without headers.
    Together(&'a [Bytes]),
    /// One chunk by way of staging, where each row is looked at.
    Careful,
}

/// Chunks of one source's part of a run that one transaction loads.
pub(super) struct Batch<'a> {
    manifest: &'a Manifest,
    plan: &'a SourcePlan,
    target: &'a Target,
    chunks: Vec<(Entry<'a>, &'a Committed)>,
    /// Rows of the days that other runs have loaded are replaced.
    reload: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        plan: &'a SourcePlan,
        target: &'a Target,
        markers: &'a [Marker],
    ) -> Result<Self, LoadError> {
        let mut chunks = Vec::with_capacity(markers.len());
        for marker in markers {
            let committed = committed_of(manifest, plan, marker)?;
            if plan.upload_mode == UploadMode::Replace {
                let reason = "its source replaces the whole table at once";
                return Err(LoadError::Marker { chunk: marker.chunk.to_string(), reason });
            }
            chunks.push((Entry { target, plan, marker, rows: committed.rows }, committed));
        }
        let reload = manifest.upload.reload && plan.is_keyless_append();
        Ok(Self { manifest, plan, target, chunks, reload })
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn first(&self) -> Option<(&Entry<'a>, &'a Committed)> {
        self.chunks.first().map(|(entry, committed)| (entry, *committed))
    }

    /// It deletes rows: nobody else loads into the table meanwhile.
    fn deletes(&self) -> bool {
        self.reload || self.plan.upload_mode == UploadMode::ReplaceRange
    }

    /// Without a key, only the ledger and the claims keep a chunk from doubling rows.
    fn is_guarded(&self) -> bool {
        self.plan.is_keyless_append() && Guard::ClaimedDays.stands()
    }

    fn entries(&self) -> Vec<Entry<'a>> {
        self.chunks.iter().map(|(entry, _)| *entry).collect()
    }

    /// Reads the artifacts and compares them with their markers; returns their rows without headers.
    pub(super) async fn read(&self, storage: &Storage) -> Result<Vec<Bytes>, Stop> {
        let columns = self.chunks.first().map(|(_, committed)| &committed.columns);
        if self.chunks.iter().any(|(_, committed)| Some(&committed.columns) != columns) {
            // all chunks of a plan have the same columns: a marker that differs was not written by nstore, and is loaded alone
            return Err(Stop::Damaged("its columns are not those of the other chunks".into()));
        }
        let mut reads = Vec::with_capacity(self.chunks.len());
        for (entry, committed) in &self.chunks {
            reads.push(copy::body(storage, entry.marker, committed));
        }
        futures::stream::iter(reads).buffered(READS).try_collect().await
    }
}

impl Loader {
    /// Loads chunks by one transaction. What came of each, in their order; all or none of it is committed.
    pub(super) async fn attempt(&self, batch: &Batch<'_>, how: How<'_>) -> Result<Vec<ChunkLoad>, Stop> {
        let mut client = self.db.client().await?;
        let tx = session::begin(&mut client, LOCK_TIMEOUT).await?;
        self.enter(&tx, batch.manifest, batch.plan, batch.target, batch.deletes()).await?;
        let entries = batch.entries();
        let mut loads = vec![ChunkLoad::Already; batch.len()];
        let fresh = fresh_places(&tx, &entries).await?;
        if fresh.is_empty() {
            return Ok(loads);
        }
        let superseded = superseded(&tx, batch, &entries, &fresh).await?;
        superseded.iter().for_each(|place| loads[*place] = ChunkLoad::Superseded);
        let open = register(&tx, batch, &entries, &fresh, &superseded).await?;
        if !open.is_empty() {
            let counts = self.put_in(&tx, batch, &open, how).await?;
            open.iter().zip(counts).for_each(|(place, counts)| loads[*place] = ChunkLoad::Loaded(counts));
        }
        tx.commit().await.map_err(Stop::at_commit)?;
        Ok(loads)
    }

    /// Deletes what the chunks replace, copies their rows, and records what goes with them.
    async fn put_in(
        &self,
        tx: &Transaction<'_>,
        batch: &Batch<'_>,
        open: &[usize],
        how: How<'_>,
    ) -> Result<Vec<LoadCounts>, Stop> {
        let chunks: Vec<(Entry<'_>, &Committed)> = open.iter().map(|place| batch.chunks[*place]).collect();
        let entries = chosen(&batch.entries(), open);
        for (entry, committed) in &chunks {
            fields::check(tx, entry, committed).await?;
        }
        if batch.deletes() {
            cascade::check(tx, batch.target, batch.plan).await?;
            if !batch.reload {
                claims::take(tx, &entries).await?;
            }
            delete::ranges(tx, &entries).await?;
        }
        let counts = self.copy(tx, batch, open, how).await?;
        for (entry, committed) in &chunks {
            rejects::keep(&self.storage, tx, batch.target, entry.marker, committed).await?;
        }
        let ranges: Vec<String> = entries.iter().map(|entry| entry.marker.chunk.range.to_string()).collect();
        failures::clear(tx, &batch.manifest.run, &batch.plan.source, &ranges).await?;
        fields::record(tx, &chunks).await?;
        Ok(counts)
    }

    async fn copy(
        &self,
        tx: &Transaction<'_>,
        batch: &Batch<'_>,
        open: &[usize],
        how: How<'_>,
    ) -> Result<Vec<LoadCounts>, Stop> {
        let table = batch.target.to_string();
        let chunks = || open.iter().map(|place| &batch.chunks[*place]);
        match how {
            How::Together(bodies) => {
                let (mut rows, mut columns) = (0, &[][..]);
                for (_, committed) in chunks() {
                    rows += committed.rows;
                    columns = &committed.columns;
                }
                let bodies = open.iter().map(|place| bodies[*place].clone()).collect();
                copy::bodies_into(tx, &table, columns, bodies, rows).await?;
                Ok(chunks().map(|(_, committed)| LoadCounts::plain(committed.rows)).collect())
            }
            How::Streamed => {
                let mut counts = Vec::new();
                for (entry, committed) in chunks() {
                    let rows = copy::into(&self.storage, tx, &table, entry.marker, committed).await?;
                    counts.push(LoadCounts::plain(rows));
                }
                Ok(counts)
            }
            How::Careful => {
                let mut all = Vec::new();
                for (entry, committed) in chunks() {
                    let (counts, settled) =
                        careful::load(&self.storage, tx, entry, committed, Origin::ByLedger).await?;
                    entry.settle(tx, "loaded", &settled).await?;
                    all.push(counts);
                }
                Ok(all)
            }
        }
    }
}

fn chosen<'a, 'p>(entries: &[Entry<'a>], places: impl IntoIterator<Item = &'p usize>) -> Vec<Entry<'a>> {
    places.into_iter().map(|place| entries[*place]).collect()
}

/// The places of chunks that the ledger does not have.
async fn fresh_places(tx: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<Vec<usize>, Stop> {
    let present = ledger::present(tx, entries).await?;
    let is_fresh = |place: &usize| {
        !present.contains(&entries[*place].marker.chunk.range.to_string()) || !Guard::LedgerKey.stands()
    };
    Ok((0..entries.len()).filter(is_fresh).collect())
}

/// Older data never overwrites newer, nor comes back after newer data has taken its place: a chunk that is covered as a
/// whole is set aside, one that is covered in part is extracted again. The places of those that are set aside.
async fn superseded(
    tx: &Transaction<'_>,
    batch: &Batch<'_>,
    entries: &[Entry<'_>],
    fresh: &[usize],
) -> Result<BTreeSet<usize>, Stop> {
    let mut covered = BTreeSet::new();
    if !Guard::Supersede.stands() {
        return Ok(covered);
    }
    let which = if batch.deletes() { Newer::OfSource } else { Newer::Deleting };
    for (nth, newer) in ledger::newer(tx, &chosen(entries, fresh), which).await? {
        match spans::cover(&entries[fresh[nth]].instants(), &newer) {
            Cover::None => {}
            Cover::Whole => {
                covered.insert(fresh[nth]);
            }
            Cover::Part => {
                let first = newer.first().map(|range| range.start.to_string()).unwrap_or_default();
                let detail = format!("newer extractions cover a part of it, from {first}");
                return Err(Stop::Outdated(detail));
            }
        }
    }
    Ok(covered)
}

/// Inserts the ledger rows; the places of chunks whose rows are to go into the table.
async fn register(
    tx: &Transaction<'_>,
    batch: &Batch<'_>,
    entries: &[Entry<'_>],
    fresh: &[usize],
    superseded: &BTreeSet<usize>,
) -> Result<Vec<usize>, Stop> {
    let loadable: Vec<usize> = fresh.iter().copied().filter(|place| !superseded.contains(place)).collect();
    if batch.reload {
        claims::take_loaded(tx, &chosen(entries, &loadable)).await?;
    }
    let is_superseded = |nth: usize| superseded.contains(&fresh[nth]);
    let inserted = ledger::insert(tx, &chosen(entries, fresh), is_superseded).await?;
    let is_new = |place: &usize| {
        inserted.contains(&entries[*place].marker.chunk.range.to_string()) || !Guard::LedgerKey.stands()
    };
    let (open, refused): (Vec<usize>, Vec<usize>) = loadable.into_iter().partition(is_new);
    if batch.is_guarded() {
        claims::check_present(tx, &chosen(entries, &refused)).await?;
        claims::check_owned(tx, &chosen(entries, &open)).await?;
        claims::check_doubles(tx, &chosen(entries, &open)).await?;
    }
    Ok(open)
}
