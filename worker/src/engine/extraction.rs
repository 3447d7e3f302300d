//! One try of a chunk: pages in, checked rows out into its files. Memory holds a few pages, whatever the chunk's size.

use std::sync::Arc;

use bytes::Bytes;
use nstore_shared::{
    chunk::{Generation, Kind},
    config::spec::ExtractSpec,
    redis::queue::{Grant, Tally},
    retry::FailureClass,
    storage::{
        StorageError,
        manifest::SourcePlan,
        marker::{Committed, Evidence},
    },
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::{
    bench::Bench,
    lease::{Ended, Gate, Lease},
    shelf::Shelf,
};
use crate::{
    extract::{ExtractError, Extracted, Extractor, Page, Sent, Span, api},
    refine::{PageFigures, RefineError, Refiner},
};

/// Pages that may wait for their refinement.
const PAGES_AHEAD: usize = 2;

/// How much of a rejected record goes into an error text.
const FIRST_REJECT_CHARS: usize = 500;

/// Why a source is on hold whose request waits for its next try.
const ASKED_FOR_PATIENCE: &str = "the source answered that it is asked too often";

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ExtractError,
    /// Rejected rows that were kept, by artifact name.
    pub(super) rejects: Option<String>,
}

/// Why a try has no rows to show.
#[derive(Debug)]
pub(super) enum Unfinished {
    /// It failed.
    Failed(Failure),
    /// Its lease ended.
    Ended(Ended),
    /// Storage failed: nobody's fault here, and no try of the chunk.
    Storage(StorageError),
}

impl From<StorageError> for Unfinished {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Ended> for Unfinished {
    fn from(how: Ended) -> Self {
        Self::Ended(how)
    }
}

impl From<ExtractError> for Unfinished {
    fn from(error: ExtractError) -> Self {
        Self::Failed(Failure { error, rejects: None })
    }
}

impl From<RefineError> for Unfinished {
    fn from(error: RefineError) -> Self {
        ExtractError::new(error.class(), error.to_string()).into()
    }
}

fn data(message: String) -> ExtractError {
    ExtractError::new(FailureClass::Data, message)
}

/// What a try works on.
pub(super) struct Try<'a> {
    pub(super) bench: &'a Arc<Bench>,
    pub(super) grant: &'a Grant,
    pub(super) generation: Generation,
    pub(super) plan: &'a SourcePlan,
    pub(super) lease: &'a Lease,
}

/// How far the rows are.
#[derive(Default)]
struct Progress {
    tally: Tally,
    records: u64,
    rejected: u64,
    outside: u64,
    /// The first reject's line, for the error text.
    first: Option<String>,
}

impl Try<'_> {
    /// Extracts, refines and stores; what comes back stands in storage, without a marker yet.
    pub(super) async fn run<E: Extractor + 'static>(&self, extractor: E) -> Result<Committed, Unfinished> {
        let (start, end) = self.grant.chunk.range.instants(self.plan.zone());
        let span = Span { start, end, zone: self.plan.zone() };
        let mut refiner = Refiner::new(&self.plan.contract, &self.plan.spec.extract.records(), span)?;
        if let ExtractSpec::Api(api) = &self.plan.spec.extract {
            refiner = refiner.expecting(&api::expected(api, span));
        }
        let mut progress = Progress::default();
        let (storage, chunk, by) = (&self.bench.storage, &self.grant.chunk, &self.grant.by);
        let mut shelf = Shelf::open(storage, chunk, self.generation, by);
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let source = Running::start(extractor, span, sender, self.lease.gate());
        let outcome = match self.drain(pages, refiner, &mut progress, &mut shelf).await {
            Ok(refiner) => source.outcome().await.map(|extracted| (extracted, refiner)),
            Err(unfinished) => Err(unfinished),
        };
        match outcome {
            Ok(_) if self.plan.contract.rejects.exceeded(progress.rejected, progress.records) => {
                let rejects = shelf.finish_rejects().await?.map(|file| file.name);
                let error = self.too_many(&progress, rejects.as_deref());
                Err(Unfinished::Failed(Failure { error, rejects }))
            }
            Ok((extracted, refiner)) => {
                let error = self.not_the_chunks(progress.outside).or_else(|| self.lacks_evidence(&extracted));
                if let Some(error) = error {
                    shelf.abort().await;
                    return Err(error.into());
                }
                if let Err(error) = refiner.check_window(progress.tally.rows) {
                    shelf.abort().await;
                    return Err(error.into());
                }
                self.finish(extracted, refiner, &progress, shelf).await
            }
            Err(unfinished) => {
                shelf.abort().await;
                Err(unfinished)
            }
        }
    }

    /// Takes pages until the extraction closes its end.
    async fn drain(
        &self,
        mut pages: mpsc::Receiver<Sent>,
        mut refiner: Refiner,
        progress: &mut Progress,
        shelf: &mut Shelf<'_>,
    ) -> Result<Refiner, Unfinished> {
        let mut gate = self.lease.gate();
        shelf.rows(refiner.header()).await?;
        while let Some(sent) = pages.recv().await {
            gate.pass().await?;
            match sent {
                Sent::Patience(wait) => {
                    let (bench, source) = (&self.bench, &self.grant.chunk.source);
                    bench.redis.once(bench.queue.hold(source, wait, ASKED_FOR_PATIENCE)).await;
                }
                Sent::Page(page) => {
                    let refined;
                    (refiner, refined) = refine(refiner, page).await?;
                    self.shelve(refined, progress, shelf).await?;
                }
            }
        }
        Ok(refiner)
    }

    async fn shelve(
        &self,
        refined: Refined,
        progress: &mut Progress,
        shelf: &mut Shelf<'_>,
    ) -> Result<(), StorageError> {
        if progress.first.is_none() && !refined.rejects.is_empty() {
            let line = refined.rejects.split(|byte| *byte == b'\n').next().unwrap_or_default();
            progress.first = Some(String::from_utf8_lossy(line).chars().take(FIRST_REJECT_CHARS).collect());
        }
        shelf.rows(refined.rows).await?;
        shelf.rejects(refined.rejects).await?;
        progress.records += refined.figures.records;
        progress.rejected += refined.figures.rejected;
        progress.outside += refined.figures.outside;
        progress.tally.pages += 1;
        progress.tally.rows += refined.figures.rows;
        progress.tally.bytes = shelf.bytes();
        self.lease.progress(progress.tally);
        Ok(())
    }

    async fn finish(
        &self,
        extracted: Extracted,
        refiner: Refiner,
        progress: &Progress,
        shelf: Shelf<'_>,
    ) -> Result<Committed, Unfinished> {
        let contract = &self.plan.contract;
        let (artifact, rejects) = shelf.finish().await?;
        let warnings = extracted.warnings.into_iter().chain(refiner.warnings()).collect();
        let mut quality = refiner.finish();
        quality.rejects = rejects;
        Ok(Committed {
            artifact,
            rows: progress.tally.rows,
            columns: contract.column_names(),
            contract: contract.version(),
            quality,
            evidence: extracted.evidence,
            warnings,
            pages: extracted.pages,
            lane: extracted.lane,
            browser: extracted.browser,
        })
    }

    /// A dashboard is filtered to the chunk: rows of other days are a filter that did not take.
    fn not_the_chunks(&self, outside: u64) -> Option<ExtractError> {
        if outside == 0 || self.plan.spec.kind() == Kind::Api {
            return None;
        }
        let range = self.grant.chunk.range;
        let message = format!("{outside} rows lie outside {range}: the page's filter was not the chunk's");
        Some(ExtractError::new(FailureClass::Transient, message))
    }

    /// Fails a chunk that nothing proves to be complete, where its source asks for proof.
    fn lacks_evidence(&self, extracted: &Extracted) -> Option<ExtractError> {
        if !self.plan.spec.require_evidence || extracted.evidence.iter().any(Evidence::is_proof) {
            return None;
        }
        Some(data(
            "nothing proves that this chunk is complete, and `require_evidence` asks for it; name what the source \
             says of the end of its list, such as `paginator.total_path`, or remove `require_evidence`"
                .to_owned(),
        ))
    }

    fn too_many(&self, progress: &Progress, file: Option<&str>) -> ExtractError {
        let Progress { rejected, records, first, .. } = progress;
        let kept = file.map_or_else(String::new, |name| format!("; they are kept in {name}"));
        let first = first.as_ref().map_or_else(String::new, |line| format!("; the first: {line}"));
        let table = &self.plan.contract.table;
        data(format!(
            "{rejected} of {records} records do not fit the mapping of table {table}, more than `rejects` allows: \
             correct the mapping or allow more{kept}{first}"
        ))
    }
}

/// An extraction that goes on in a task of its own, and ends with this value.
struct Running(JoinHandle<Result<Result<Extracted, ExtractError>, Ended>>);

impl Running {
    fn start<E: Extractor + 'static>(
        extractor: E,
        span: Span,
        pages: mpsc::Sender<Sent>,
        mut gate: Gate,
    ) -> Self {
        // the gate pauses it past the lease's deadline: no requests then
        Self(tokio::spawn(async move { gate.through(extractor.extract(span, pages)).await }))
    }

    async fn outcome(mut self) -> Result<Extracted, Unfinished> {
        match (&mut self.0).await {
            Ok(outcome) => Ok(outcome??),
            Err(broken) => Err(data(format!("the extractor broke down: {broken}")).into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A refined page.
struct Refined {
    rows: Bytes,
    rejects: Bytes,
    figures: PageFigures,
}

/// Refines a page on a thread that may be busy for a while.
async fn refine(mut refiner: Refiner, page: Page) -> Result<(Refiner, Refined), Unfinished> {
    let work = spawn_blocking(move || {
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        let figures = refiner.page(&page, &mut rows, &mut rejects)?;
        Ok((refiner, Refined { rows: rows.into(), rejects: rejects.into(), figures }))
    });
    work.await.unwrap_or_else(|broken| Err(data(format!("the refinement broke down: {broken}")).into()))
}
