//! One grant -> one outcome: look for a marker, extract, store, mark.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, Generation},
    config::{secrets, spec::SecretRef},
    guard::Guard,
    proven,
    redis::queue::{Fact, GiveBack, Grant},
    retry::FailureClass,
    storage::{
        Created, StorageError,
        current::Current,
        manifest::SourcePlan,
        marker::{Committed, MARKER_VERSION, Marker, Outcome},
    },
};

use super::{
    bench::Bench,
    extraction::{Failure, Try, Unfinished},
    halves,
    lease::{Ended, Lease},
    paused::{self, Stopped},
    split,
    verdict::{Decision, decide},
};
use crate::extract::{ExtractError, Split};

/// Tries to write a marker; its rows are stored by then, and would have to be extracted anew.
const MARKER_TRIES: u32 = 4;
/// The wait between them, growing.
const MARKER_WAIT: Duration = Duration::from_millis(200);

/// What a grant came to.
#[derive(Debug)]
pub(super) enum Done {
    /// A marker that stands proves it.
    Fact(Fact),
    /// It is given back.
    Back(GiveBack),
    /// The lease was lost: there is nothing to say.
    Silence,
}

/// What keeps a worker from working at all; no chunk is to blame.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("storage at {url} has no manifest with {chunk}: is it the coordinator's storage?")]
    Unplanned { url: String, chunk: Chunk },
    #[error(
        "redis wants outcome {granted} of {chunk}, and storage at {url} has no void of the one before: \
         is it the coordinator's storage?"
    )]
    Disagree { url: String, chunk: Chunk, granted: Generation },
    #[error("{0}")]
    Host(String),
}

/// Works a grant off.
pub(super) async fn execute(bench: &Arc<Bench>, grant: &Grant, lease: &Lease) -> Result<Done, Fault> {
    let _room = match lease.gate().through(bench.room(grant.alone)).await {
        Ok(room) => room,
        Err(how) => return Ok(ended(grant, how)),
    };
    let began = Instant::now();
    let (storage, chunk) = (&bench.storage, &grant.chunk);
    let unplanned = || Fault::Unplanned { url: storage.url().to_owned(), chunk: chunk.clone() };
    let known = bench.plans.get(storage, grant).await?.ok_or_else(unplanned)?;
    let plan = &known.plan;
    bench.secrets.note_user_names(plan.spec.user_names());
    // all that may keep it from being worked on, asked for at once
    let (stopped, current) =
        tokio::try_join!(paused::look(bench, chunk), storage.current(chunk, grant.generation))?;
    if stopped == Some(Stopped::Cancelled) {
        // the queue had not heard of it, or has forgotten it
        return Ok(ended(grant, Ended::Cancelled));
    }
    let generation = match current {
        Current::Stands(marker) => {
            tell!(info, grant, "reported: its outcome stands already");
            halves::enqueue(bench, plan, &marker).await;
            return Ok(Done::Fact(proven::fact(&marker, Some(&grant.by))));
        }
        Current::Open(generation) => generation,
    };
    if stopped == Some(Stopped::Paused) {
        tell!(info, grant, "released: its run or its source is paused");
        return Ok(Done::Back(GiveBack::Release));
    }
    let granted = grant.generation;
    if generation < granted {
        return Err(Fault::Disagree { url: storage.url().to_owned(), chunk: chunk.clone(), granted });
    }
    let started_at = known.order_time(grant);
    Work { bench, grant, lease, plan, digest: &known.digest, generation, began, started_at }.run().await
}

/// A grant whose outcome is still to be made.
struct Work<'a> {
    bench: &'a Arc<Bench>,
    grant: &'a Grant,
    lease: &'a Lease,
    plan: &'a SourcePlan,
    digest: &'a str,
    generation: Generation,
    began: Instant,
    /// By the clock of Redis, see [`Marker::started_at`].
    started_at: DateTime<Utc>,
}

impl Work<'_> {
    async fn run(&self) -> Result<Done, Fault> {
        if let Some(reason) = &self.grant.discard {
            let error = ExtractError::new(FailureClass::Poison, reason.clone());
            return self.discard(Failure { error, rejects: None }, None).await;
        }
        if self.bench.lacks_secret(&self.grant.chunk.source, &self.plan.spec) {
            return Ok(Done::Back(GiveBack::Release));
        }
        match self.extract().await {
            Ok(committed) => self.commit(committed).await,
            Err(Unfinished::Failed(failure)) => self.fail(failure).await,
            Err(Unfinished::Ended(how)) => Ok(ended(self.grant, how)),
            Err(Unfinished::Storage(error)) => Err(error.into()),
        }
    }

    async fn extract(&self) -> Result<Committed, Unfinished> {
        let secret = |name: &SecretRef| self.bench.secrets.get(name);
        let extractor = self.bench.host.extractor(
            &self.plan.spec.extract,
            &self.plan.contract,
            Some(self.digest),
            &secret,
        )?;
        let Self { bench, grant, lease, plan, generation, .. } = *self;
        Try { bench, grant, generation, plan, lease }.run(extractor).await
    }

    async fn commit(&self, committed: Committed) -> Result<Done, Fault> {
        let mut files = vec![committed.artifact.name.clone()];
        files.extend(committed.quality.rejects.iter().map(|file| file.name.clone()));
        self.mark(Outcome::Committed(Box::new(committed)), files).await
    }

    /// What follows from a failed try.
    async fn fail(&self, mut failure: Failure) -> Result<Done, Fault> {
        let last = self.grant.by.attempt >= self.grant.attempts;
        if failure.error.split == Split::AtOnce || (failure.error.split == Split::AtLast && last) {
            let Self { bench, grant, plan, generation, .. } = *self;
            match split::of(&bench.storage, plan, (&grant.chunk, generation), failure.error.answer.take())
                .await?
            {
                Ok(outcome) => {
                    let error = self.bench.fit_to_tell(&failure.error.message);
                    tell!(info, self.grant, error, "to be split");
                    return self.mark(outcome, vec![]).await;
                }
                Err(why) => {
                    failure.error.message =
                        format!("{}; the chunk is not split: {why}", failure.error.message);
                    if why.is_final() {
                        failure.error.class = FailureClass::Config;
                    }
                }
            }
        }
        let bundle = self.keep(&mut failure.error).await;
        let ExtractError { class, excuse, .. } = failure.error;
        let (attempt, attempts) = (self.grant.by.attempt, self.grant.attempts);
        match decide(class, attempt, attempts, excuse) {
            Decision::Discard => self.discard(failure, bundle).await,
            Decision::Defer(wait) => {
                let seconds = wait.as_secs_f64();
                let error = self.bench.fit_to_tell(&failure.error.message);
                tell!(info, self.grant, seconds, error, "deferred: no try is counted");
                Ok(Done::Back(GiveBack::Defer { wait, error }))
            }
            Decision::LeaveToOthers => Err(Fault::Host(self.bench.fit_to_tell(&failure.error.message))),
            Decision::Retry => {
                let wait = self.plan.spec.chunk_backoff.wait(attempt, fastrand::f64());
                let error = self.bench.fit_to_tell(&failure.error.message);
                tell!(warn, self.grant, %class, attempts, seconds = wait.as_secs_f64(), error, "retried");
                Ok(Done::Back(GiveBack::Retry { wait, error }))
            }
        }
    }

    /// Keeps what a failed try looked like, and says where.
    async fn keep(&self, error: &mut ExtractError) -> Option<String> {
        let bundle = error.bundle.take()?;
        let redact = |text: String| secrets::redact(&text, &self.bench.secrets);
        let texts = bundle.texts.into_iter().map(|(name, text)| (name, Bytes::from(redact(text))));
        let picture = bundle.picture.map(|picture| ("screenshot.png", picture));
        let files: Vec<(&str, Bytes)> = texts.chain(picture).collect();
        let (storage, by) = (&self.bench.storage, &self.grant.by);
        match storage.put_bundle(&self.grant.chunk, self.generation, by, &files).await {
            Ok(folder) => {
                error.message =
                    format!("{}; what it looked like: {}", error.message, storage.url_of(&folder));
                Some(folder)
            }
            Err(failed) => {
                tell!(warn, self.grant, %failed, "what the failed try looked like is not kept");
                None
            }
        }
    }

    /// Ends the chunk for good.
    async fn discard(&self, failure: Failure, bundle: Option<String>) -> Result<Done, Fault> {
        let outcome = Outcome::Discarded {
            class: failure.error.class,
            error: self.bench.fit_to_tell(&failure.error.message),
            attempts: self.grant.by.attempt,
            rejects: failure.rejects.clone(),
            bundle,
        };
        self.mark(outcome, failure.rejects.into_iter().collect()).await
    }

    /// Writes the marker, unless another stands: then that one is reported, and what it does not name of this
    /// grant's files goes.
    async fn mark(&self, outcome: Outcome, files: Vec<String>) -> Result<Done, Fault> {
        let marker = Marker {
            version: MARKER_VERSION,
            chunk: self.grant.chunk.clone(),
            generation: self.generation,
            grant: self.grant.by.clone(),
            started_at: self.started_at,
            finished_at: self.started_at + self.began.elapsed(),
            outcome,
        };
        if let Err(how) = self.lease.gate().pass().await {
            self.remove(files.iter()).await;
            return Ok(ended(self.grant, how));
        }
        match self.create(&marker).await? {
            Ok(Created::Mine) => {
                tell_outcome(self.grant, &marker);
                halves::enqueue(self.bench, self.plan, &marker).await;
                Ok(Done::Fact(proven::fact(&marker, Some(&self.grant.by))))
            }
            Ok(Created::Other(stands)) => {
                let named = if Guard::ReadBack.stands() { names(&stands) } else { vec![] };
                self.remove(files.iter().filter(|file| !named.contains(&file.as_str()))).await;
                tell!(info, self.grant, "reported: another worker's outcome stands");
                halves::enqueue(self.bench, self.plan, &stands).await;
                Ok(Done::Fact(proven::fact(&stands, Some(&self.grant.by))))
            }
            Err(how) => Ok(ended(self.grant, how)),
        }
    }

    /// Tries more than once. A try whose answer was lost may have written the marker: the files stay then.
    async fn create(&self, marker: &Marker) -> Result<Result<Created<Marker>, Ended>, StorageError> {
        let mut gate = self.lease.gate();
        let mut tries = 1;
        loop {
            match self.bench.storage.create_marker(marker).await {
                Err(error) if tries < MARKER_TRIES => self.bench.stored.failed(&error),
                answer => return answer.map(Ok),
            }
            tokio::time::sleep(MARKER_WAIT * tries).await;
            tries += 1;
            if let Err(how) = gate.pass().await {
                return Ok(Err(how));
            }
        }
    }

    /// Removes own files that no marker names; one that stays is found as an orphan later.
    async fn remove(&self, files: impl Iterator<Item = &String>) {
        for file in files {
            drop(self.bench.storage.delete_artifact(&self.grant.chunk, file).await);
        }
    }
}

/// The files that a marker names.
fn names(marker: &Marker) -> Vec<&str> {
    match &marker.outcome {
        Outcome::Committed(c) => {
            let rejects = c.quality.rejects.iter().map(|file| file.name.as_str());
            rejects.chain([c.artifact.name.as_str()]).collect()
        }
        Outcome::Discarded { rejects, .. } => rejects.iter().map(String::as_str).collect(),
        Outcome::Split { .. } => vec![],
    }
}

/// What is said of a grant whose lease ended before its work did.
fn ended(grant: &Grant, how: Ended) -> Done {
    match how {
        Ended::Lost => {
            tell!(warn, grant, "lost: another worker has it, or it has ended");
            Done::Silence
        }
        Ended::Cancelled => {
            tell!(info, grant, "cancelled");
            Done::Back(GiveBack::Release)
        }
        Ended::Halted => {
            tell!(info, grant, "released: this worker ends");
            Done::Back(GiveBack::Release)
        }
    }
}

fn tell_outcome(grant: &Grant, marker: &Marker) {
    match &marker.outcome {
        Outcome::Committed(c) => {
            let (bytes, rejected) = (c.artifact.bytes, c.quality.rejected);
            let seconds = (marker.finished_at - marker.started_at).as_seconds_f64();
            tell!(info, grant, rows = c.rows, bytes, pages = c.pages, rejected, seconds, "committed");
        }
        Outcome::Discarded { class, error, .. } => tell!(error, grant, %class, error, "discarded"),
        Outcome::Split { .. } => tell!(info, grant, "split"),
    }
}
