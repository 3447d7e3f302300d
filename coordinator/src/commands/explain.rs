//! The one place where errors become an exit code, a line and a hint.

use nstore_shared::{config::Faults, redis::RedisError, storage::StorageError};
use serde::Serialize;

use super::exit::{Exit, Refusal};
use crate::{
    db::DbError,
    load::LoadError,
    local::{LocalError, ServerError},
    plan::PlanError,
    run::RunError,
};

/// An error as users meet it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Said {
    /// The code.
    pub(super) exit: Exit,
    /// What failed, and where.
    pub(super) error: String,
    /// What to do next.
    pub(super) hint: Option<String>,
}

impl Said {
    /// The error, then the hint on a line of its own.
    pub(super) fn for_people(&self) -> String {
        // a list of faults has a heading of its own
        let text = self.error.trim_end();
        let mut said = if text.contains('\n') && text.contains("problem") {
            text.to_owned()
        } else {
            format!("error: {text}")
        };
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            said.push_str("\n  ");
            said.push_str(hint);
        }
        said
    }
}

/// What an error means for users.
pub(super) fn explain(error: &anyhow::Error) -> Said {
    let mut contexts = Vec::new();
    for cause in error.chain() {
        contexts.push(cause.to_string());
        if let Some((exit, hint)) = known(cause) {
            // what lies below is part of this text already
            return Said { exit, error: contexts.join(": "), hint };
        }
    }
    Said { exit: Exit::Failed, error: contexts.join(": "), hint: None }
}

type Meaning = (Exit, Option<String>);

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Meaning> {
    if let Some(refusal) = cause.downcast_ref::<Refusal>() {
        return Some((refusal.exit, refusal.hint.clone()));
    }
    if cause.is::<Faults>() || cause.is::<PlanError>() {
        return Some((Exit::Usage, None));
    }
    None.or_else(|| cause.downcast_ref().map(of_run))
        .or_else(|| cause.downcast_ref().map(of_redis))
        .or_else(|| cause.downcast_ref().map(of_storage))
        .or_else(|| cause.downcast_ref().map(of_db))
        .or_else(|| cause.downcast_ref().map(of_load))
        .or_else(|| cause.downcast_ref().map(of_local))
        .or_else(|| cause.downcast_ref().map(of_server))
}

fn of_run(error: &RunError) -> Meaning {
    match error {
        RunError::Unknown(_) => (Exit::Usage, Some("`nstore runs` shows those there are".into())),
        RunError::KeyTaken(run) => {
            let hint = format!(
                "use another --idempotency-key, or look at the run: nstore status {run} --show-config"
            );
            (Exit::Usage, Some(hint))
        }
        RunError::Cancelled { .. } => {
            (Exit::Usage, Some("a cancelled run stays cancelled: start a new one with nstore extract".into()))
        }
        RunError::NoLoader(_) => (Exit::Unreachable, Some(POSTGRES_HINT.into())),
        RunError::Storage(error) => of_storage(error),
        RunError::Redis(error) => of_redis(error),
        RunError::Load(error) => of_load(error),
    }
}

const POSTGRES_HINT: &str = "start PostgreSQL, or say where it is: NSTORE_POSTGRES_URL, or postgres.url in pipeline.yaml; \
                             on one machine without servers: nstore --local";

/// What to do about Redis.
fn of_redis(error: &RedisError) -> Meaning {
    match error {
        RedisError::Unreachable { .. } => {
            let hint = "start Redis, or say where it is: NSTORE_REDIS_URL, or redis.url in pipeline.yaml; \
                        on one machine without servers: nstore --local";
            (Exit::Unreachable, Some(hint.into()))
        }
        RedisError::Refused { .. } => {
            (Exit::Unreachable, Some("check user and password in NSTORE_REDIS_URL".into()))
        }
        RedisError::Url { .. } => (Exit::Usage, Some("such as redis://:password@127.0.0.1:6379".into())),
        RedisError::Unfit { .. } => {
            (Exit::Unreachable, Some("nstore needs Redis 7 or newer with maxmemory-policy noeviction".into()))
        }
        RedisError::Newer { .. } | RedisError::Protocol(_) => (Exit::Failed, None),
    }
}

/// What to do about storage.
fn of_storage(error: &StorageError) -> Meaning {
    let exit = match error {
        StorageError::Url { .. } => Exit::Usage,
        StorageError::Store { .. }
        | StorageError::Io { .. }
        | StorageError::Refused { .. }
        | StorageError::NoCredentials { .. }
        | StorageError::NotExclusive { .. } => Exit::Unreachable,
        StorageError::Document { .. } | StorageError::Version { .. } | StorageError::Bundle { .. } => {
            Exit::Failed
        }
    };
    (exit, error.hint())
}

/// What to do about PostgreSQL.
fn of_db(error: &DbError) -> Meaning {
    let exit = match error {
        DbError::Unreachable { .. } | DbError::Refused { .. } => Exit::Unreachable,
        DbError::Url { .. } | DbError::Name { .. } => Exit::Usage,
        DbError::Query { .. } => Exit::Failed,
    };
    (exit, error.hint())
}

/// What to do about a load. A no that another flag, table or date turns into a yes is the user's to decide.
fn of_load(error: &LoadError) -> Meaning {
    let exit = match error {
        LoadError::Db(error) => of_db(error).0,
        LoadError::Storage(error) => return of_storage(error),
        LoadError::Target { .. }
        | LoadError::Cascade { .. }
        | LoadError::Recreated { .. }
        | LoadError::Shrink { .. }
        | LoadError::DaysHeld { .. }
        | LoadError::DaysClaimed { .. }
        | LoadError::OtherPlan { .. }
        | LoadError::OtherInstallation { .. }
        | LoadError::Cancelled { .. } => Exit::Usage,
        LoadError::Incomplete { .. } => Exit::Partial,
        LoadError::Unregistered { .. } | LoadError::Busy { .. } | LoadError::Marker { .. } => Exit::Failed,
        LoadError::Several(all) => all.first().map_or(Exit::Failed, |first| of_load(first).0),
    };
    (exit, error.hint())
}

fn of_local(error: &LocalError) -> Meaning {
    match error {
        LocalError::Server(error) => of_server(error),
        LocalError::NoWorker { .. } => {
            let hint =
                "copy nstore-worker beside nstore, or build it: cargo build --release -p nstore-worker";
            (Exit::Unreachable, Some(hint.into()))
        }
        LocalError::WorkerDies { .. } => (
            Exit::Failed,
            Some("what is stored stays; when the cause is mended: nstore --local resume RUN".into()),
        ),
    }
}

fn of_server(error: &ServerError) -> Meaning {
    match error {
        ServerError::InUse { .. } => (
            Exit::Failed,
            Some("`nstore --local status` and `nstore --local cancel RUN` work beside it".into()),
        ),
        _ => (Exit::Unreachable, None),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn redis_away() -> RedisError {
        RedisError::Unreachable { url: "redis://127.0.0.1:1".into(), reason: "connection refused".into() }
    }

    #[test]
    fn a_typed_error_is_found_below_contexts_and_said_once() {
        let error = Err::<(), _>(RunError::Redis(redis_away())).context("cannot submit the run").unwrap_err();
        insta::assert_snapshot!(explain(&error).for_people());
        assert_eq!(explain(&error).exit, Exit::Unreachable);
    }

    #[test]
    fn faults_keep_their_own_heading() {
        let faults = PlanError(vec![crate::plan::PlanFault::Twice { flag: "--sources", name: "a".into() }]);
        let said = explain(&faults.into());
        assert_eq!(said.exit, Exit::Usage);
        assert_eq!(said.for_people(), "plan: 1 problem\n\n--sources: `a` is listed twice\n  name it once");
    }

    #[test]
    fn an_unknown_error_is_a_failure_with_all_its_causes() {
        let error = anyhow::anyhow!("disk on fire").context("cannot write");
        let said = explain(&error);
        assert_eq!((said.exit, said.error.as_str()), (Exit::Failed, "cannot write: disk on fire"));
    }
}
