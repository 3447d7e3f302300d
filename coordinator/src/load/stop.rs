//! How a load's transaction ends early, and what that means for the chunk.

use nstore_shared::{
    chunk::Chunk,
    storage::{
        StorageError,
        marker::{Committed, Marker, VoidReason},
    },
};
use tokio_postgres::Error as PgError;

use super::{LoadError, Loader, copy, stage::refuses_rows};
use crate::db::{
    DbError,
    error::{Failure, text_of},
    failures,
    ident::Target,
};

/// How often a COMMIT without an answer is followed by the same transaction again.
pub(super) const COMMITS: u32 = 3;

/// Why a transaction was not committed.
pub(super) enum Stop {
    /// A statement failed.
    Pg(PgError),
    /// The connection went away around COMMIT: it may have happened.
    Unknown(PgError),
    /// Something else failed.
    Load(LoadError),
    /// The run is cancelled.
    Cancelled,
    /// The artifact is not what its marker says.
    Damaged(String),
    /// Newer extractions cover the chunk, or a part of it, and its rows cannot be set aside.
    Outdated(String),
    /// The rows are not what the table takes, or contradict what it holds.
    Refused {
        /// What is wrong, and what to do.
        error: String,
        /// The offending row.
        row: Option<String>,
    },
    /// Another loader brought rows of the same keys in meanwhile.
    Raced,
    /// Rows cannot be staged: our role may make no temporary tables.
    NoStaging,
}

impl From<PgError> for Stop {
    fn from(e: PgError) -> Self {
        Self::Pg(e)
    }
}

impl From<LoadError> for Stop {
    fn from(e: LoadError) -> Self {
        Self::Load(e)
    }
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Self::Load(e.into())
    }
}

impl From<StorageError> for Stop {
    fn from(e: StorageError) -> Self {
        Self::Load(e.into())
    }
}

impl Stop {
    /// What a failed COMMIT means.
    pub(super) fn at_commit(e: PgError) -> Self {
        if Failure::of(&e) == Failure::Lost { Self::Unknown(e) } else { Self::Pg(e) }
    }

    /// True when the server says that a row is present already.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Pg(e) if Failure::of(e) == Failure::Duplicate)
    }

    /// True when the server says that rows are not what the table takes, or are present already.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Pg(e) if refuses_rows(Failure::of(e)))
    }
}

/// What a stop means, once all that follows from it is done.
pub(super) enum Verdict {
    Busy,
    Cancelled,
    Void { reason: VoidReason, detail: String },
    Refused { error: String, row: Option<String> },
}

impl Loader {
    /// Draws the consequences of a stop: voids, records, or hands the error on. `at` is the chunk that was
    /// being loaded, if it had come to one.
    pub(super) async fn judge(
        &self,
        target: &Target,
        at: &Marker,
        committed: &Committed,
        stop: Stop,
    ) -> Result<Verdict, LoadError> {
        match stop {
            Stop::Cancelled => Ok(Verdict::Cancelled),
            Stop::Damaged(detail) => self.void(at, VoidReason::Damaged, detail).await,
            Stop::Outdated(detail) => self.void(at, VoidReason::Outdated, detail).await,
            Stop::Refused { error, row } => self.refuse(&at.chunk, target, error, row).await,
            Stop::Raced => Ok(Verdict::Busy),
            // the load that had no staging to fall back on ends by its own refusal
            Stop::NoStaging => {
                let error = "rows cannot be staged: the role may make no temporary tables".to_owned();
                self.refuse(&at.chunk, target, error, None).await
            }
            Stop::Load(LoadError::Db(e)) if e.may_pass() => self.lost(&at.chunk, e).await,
            Stop::Load(e) => Err(e),
            Stop::Unknown(e) => self.lost(&at.chunk, failed(at, target, &e)).await,
            Stop::Pg(e) => self.judge_statement(target, at, committed, &e).await,
        }
    }

    async fn judge_statement(
        &self,
        target: &Target,
        at: &Marker,
        committed: &Committed,
        e: &PgError,
    ) -> Result<Verdict, LoadError> {
        match Failure::of(e) {
            Failure::Busy => Ok(Verdict::Busy),
            Failure::Lost | Failure::Stopped => self.lost(&at.chunk, failed(at, target, e)).await,
            Failure::Data | Failure::Duplicate => {
                let row = copy::offending_line(&self.storage, at, committed, e).await?;
                self.refuse(&at.chunk, target, text_of(e), row).await
            }
            Failure::NoTable => Err(recreated(target)),
            Failure::Shape => Err(LoadError::Target { table: target.name(), problems: vec![text_of(e)] }),
            Failure::Full | Failure::Other => Err(failed(at, target, e).into()),
        }
    }

    /// A connection that went away: by cancel's hand, or it may pass.
    async fn lost(&self, chunk: &Chunk, e: DbError) -> Result<Verdict, LoadError> {
        if self.is_cancelled(&chunk.run).await? { Ok(Verdict::Cancelled) } else { Err(e.into()) }
    }

    /// Voids a chunk's outcome, so that it is extracted again.
    pub(super) async fn void(
        &self,
        at: &Marker,
        reason: VoidReason,
        detail: String,
    ) -> Result<Verdict, LoadError> {
        tracing::warn!(chunk = %at.chunk, generation = at.generation, ?reason, detail, "voided");
        self.storage.void(&at.chunk, at.generation, reason, &detail).await?;
        Ok(Verdict::Void { reason, detail })
    }

    async fn refuse(
        &self,
        chunk: &Chunk,
        target: &Target,
        error: String,
        row: Option<String>,
    ) -> Result<Verdict, LoadError> {
        let client = self.db.client().await?;
        failures::put(&**client, chunk, &target.name(), &error, row.as_deref())
            .await
            .map_err(|e| DbError::query("recording a load failure", &e))?;
        tracing::warn!(%chunk, table = target.name(), error, "the table refused rows");
        Ok(Verdict::Refused { error, row })
    }
}

fn failed(at: &Marker, target: &Target, e: &PgError) -> DbError {
    DbError::query(format!("loading chunk {} into {}", at.chunk, target.name()), e)
}

/// The clear word on a table that other hands took away.
pub(super) fn recreated(target: &Target) -> LoadError {
    LoadError::Recreated { table: target.name(), name: target.table.as_str().to_owned() }
}
