//! `nstore.runs` and `nstore.targets`: who loads, and which table was meant.

use nstore_shared::{chunk::RunId, storage::manifest::Manifest};
use tokio_postgres::{
    Error as PgError, GenericClient,
    types::{ToSql, Type},
};

use super::ident::Target;

/// What stands for a table name now, against what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Never recorded.
    Unknown,
    /// The same table.
    Same,
    /// Dropped, or another table of that name.
    Changed,
}

/// Whether nstore records targets here: false before the first load into a database.
pub(crate) async fn are_recorded(client: &impl GenericClient) -> Result<bool, PgError> {
    Ok(client.query_typed_one(include_str!("sql/loaded_before.sql"), &[]).await?.get(0))
}

/// Compares a table's oid with the recorded one.
pub(crate) async fn identity(client: &impl GenericClient, target: &Target) -> Result<Identity, PgError> {
    let oids = include_str!("sql/target_oids.sql");
    Ok(match client.query_typed_opt(oids, &[(&target.name(), Type::TEXT)]).await? {
        None => Identity::Unknown,
        Some(row) if row.get::<_, Option<u32>>(1) == Some(row.get::<_, u32>(0)) => Identity::Same,
        Some(_) => Identity::Changed,
    })
}

/// Whether a run was registered, and its target with it.
pub(crate) async fn registered(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<bool, PgError> {
    let registered = include_str!("sql/run_registered.sql");
    let (target, run) = (target.name(), run.as_str());
    Ok(client.query_typed_one(registered, &[(&target, Type::TEXT), (&run, Type::TEXT)]).await?.get(0))
}

/// Records a table that stands.
pub(crate) async fn record(client: &impl GenericClient, target: &Target, made: bool) -> Result<(), PgError> {
    let (schema, table) = (target.schema.as_str(), target.table.as_str());
    let insert = include_str!("sql/target_insert.sql");
    client
        .execute_typed(
            insert,
            &[(&target.name(), Type::TEXT), (&schema, Type::TEXT), (&table, Type::TEXT), (&made, Type::BOOL)],
        )
        .await
        .map(drop)
}

/// What went with a forgotten target: whether it was known, ledger rows, days.
pub(crate) async fn forget(
    client: &impl GenericClient,
    target: &Target,
) -> Result<(bool, i64, i64), PgError> {
    let forget = include_str!("sql/target_forget.sql");
    let row = client.query_typed_one(forget, &[(&target.name(), Type::TEXT)]).await?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// What [`record_run`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunRecord {
    /// It is recorded as it is.
    Same,
    /// A run of this name has loaded or claimed days by another plan.
    OtherPlan,
    /// A run of this name, of another installation, has loaded or claimed days.
    OtherInstallation,
}

/// Records a run, unless one of its name with another plan or of another installation has loaded or claimed anything.
pub(crate) async fn record_run(
    client: &impl GenericClient,
    manifest: &Manifest,
    installation: &str,
) -> Result<RunRecord, PgError> {
    let sources: Vec<&str> = manifest.sources.iter().map(|plan| plan.source.as_str()).collect();
    let (run, plan) = (manifest.run.as_str(), manifest.load_identity());
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&run, Type::TEXT),
        (&manifest.created_at, Type::TIMESTAMPTZ),
        (&manifest.start_date, Type::DATE),
        (&manifest.end_date, Type::DATE),
        (&sources, Type::TEXT_ARRAY),
        (&installation, Type::TEXT),
        (&plan, Type::TEXT),
    ];
    if client.execute_typed(include_str!("sql/run_insert.sql"), &values).await? == 1 {
        return Ok(RunRecord::Same);
    }
    let row = client.query_typed_one(include_str!("sql/run_identity.sql"), &[(&run, Type::TEXT)]).await?;
    let (of, planned, is_used): (Option<String>, Option<String>, bool) = (row.get(0), row.get(1), row.get(2));
    // a run that was recorded by an older nstore is known by its name alone
    let is_other = |known: Option<String>, ours: &str| known.is_some_and(|known| known != ours);
    let (moved, changed) = (is_other(of, installation), is_other(planned, &plan));
    match (moved, changed) {
        (true, _) if is_used => Ok(RunRecord::OtherInstallation),
        (_, true) if is_used => Ok(RunRecord::OtherPlan),
        _ => {
            if moved || changed {
                client.execute_typed(include_str!("sql/run_identify.sql"), &values).await?;
            }
            Ok(RunRecord::Same)
        }
    }
}

/// Notes that nothing more of a run is loaded.
pub(crate) async fn record_cancel(client: &impl GenericClient, run: &RunId) -> Result<(), PgError> {
    client
        .execute_typed(include_str!("sql/run_cancelled.sql"), &[(&run.as_str(), Type::TEXT)])
        .await
        .map(drop)
}
