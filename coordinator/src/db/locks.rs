//! Advisory locks, held to the end of a transaction: on a run (loads against cancel) and on a target.

use nstore_shared::{chunk::RunId, guard::Guard};
use tokio_postgres::{Error as PgError, GenericClient, types::Type};

use super::ident::Target;

/// What is locked.
pub(crate) enum Lock<'a> {
    /// Loads of a run hold it shared; cancel takes it alone, once.
    Run(&'a RunId),
    /// Appends hold it shared; what deletes rows takes it alone.
    Target(&'a Target),
    /// Making a table and claiming days: one run at a time.
    Register(&'a Target),
}

impl Lock<'_> {
    fn key(&self) -> String {
        match self {
            Self::Run(run) => format!("nstore run {run}"),
            Self::Target(target) => format!("nstore target {}", target.name()),
            Self::Register(target) => format!("nstore register {}", target.name()),
        }
    }

    /// A test build does without it.
    fn is_no_guard(&self) -> bool {
        matches!(self, Self::Run(_)) && !Guard::RunLock.stands()
    }

    /// Beside others.
    pub(crate) async fn shared(&self, client: &impl GenericClient) -> Result<(), PgError> {
        if self.is_no_guard() {
            return Ok(());
        }
        let lock = include_str!("sql/lock_shared.sql");
        client.execute_typed(lock, &[(&self.key(), Type::TEXT)]).await.map(drop)
    }

    /// Alone.
    pub(crate) async fn exclusive(&self, client: &impl GenericClient) -> Result<(), PgError> {
        if self.is_no_guard() {
            return Ok(());
        }
        let lock = include_str!("sql/lock_exclusive.sql");
        client.execute_typed(lock, &[(&self.key(), Type::TEXT)]).await.map(drop)
    }

    /// Ends the sessions of our role that hold it; answers how many.
    pub(crate) async fn end_holders(&self, client: &impl GenericClient) -> Result<i64, PgError> {
        let holders = include_str!("sql/end_holders.sql");
        Ok(client.query_typed_one(holders, &[(&self.key(), Type::TEXT)]).await?.get(0))
    }
}
