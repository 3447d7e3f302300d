//! Will it fit: everything that can be said before anything is extracted.

use nstore_shared::{
    chunk::UploadMode,
    storage::manifest::{Manifest, SourcePlan},
};
use tokio_postgres::Client;

use super::{
    LoadError, Loader, Preflight, PreflightReport, RefusedSource, cascade, claims,
    fit::{self, Findings, skips},
    foresee, spans,
    stop::recreated,
};
use crate::db::{
    DbError,
    ident::{Ident, Target},
    tables,
    targets::{self, Identity},
};

impl Loader {
    /// Looks at the target of every source, changes nothing, and tells which sources can be loaded.
    ///
    /// # Errors
    /// When Postgres or storage fails. What is wrong with a source is a part of the answer.
    pub async fn preflight(&self, manifest: &Manifest) -> Result<PreflightReport, LoadError> {
        let client = self.db.client().await?;
        let mut report = PreflightReport::default();
        // a database that nstore has never loaded into knows of no earlier loads
        let loaded_before = targets::are_recorded(&**client)
            .await
            .map_err(|e| DbError::query("looking for the schema nstore", &e))?;
        for plan in &manifest.sources {
            match self.look_at(&client, manifest, plan, loaded_before).await {
                Ok(preflight) => report.ready.push(preflight),
                Err(e @ (LoadError::Storage(_) | LoadError::Db(DbError::Query { .. }))) => return Err(e),
                Err(error) => report.refused.push(RefusedSource { source: plan.source.clone(), error }),
            }
        }
        Ok(report)
    }

    async fn look_at(
        &self,
        client: &Client,
        manifest: &Manifest,
        plan: &SourcePlan,
        loaded_before: bool,
    ) -> Result<Preflight, LoadError> {
        let target = self.target(&plan.contract.table)?;
        let failed = |e| DbError::query(format!("looking at table {}", target.name()), &e);
        let mut found = Findings::default();
        fit::check_plan(plan, &manifest.upload, &mut found);
        check_names(plan, &mut found);
        check_neighbours(manifest, plan, &mut found);
        if loaded_before && targets::identity(client, &target).await.map_err(failed)? == Identity::Changed {
            return Err(recreated(&target));
        }
        let table = tables::table(client, &target).await.map_err(failed)?;
        match &table {
            Some(table) => {
                fit::check_table(plan, &manifest.upload, table, &mut found);
                foresee::check(table, &mut found);
                foresee::check_partitions(client, plan, table, &mut found).await?;
            }
            None => check_schema(client, &target, &mut found).await.map_err(failed)?,
        }
        check_staging(client, plan, &mut found).await.map_err(failed)?;
        if !found.problems.is_empty() {
            return Err(LoadError::Target { table: target.name(), problems: found.problems });
        }
        if fit::deletes(plan, &manifest.upload) {
            let cascades = cascade::find(client, &target, plan).await.map_err(failed)?;
            if let Some(refusal) = cascade::refusal(&target, plan, &cascades) {
                return Err(refusal);
            }
            foresee::note_restricts(&cascades, plan.upload_mode, &mut found);
        }
        if loaded_before {
            check_days(client, manifest, plan, &target, &mut found).await?;
        }
        let (source, table_name) = (plan.source.clone(), target.name());
        Ok(Preflight { source, table: table_name, exists: table.is_some(), notes: found.notes })
    }
}

/// Days that would be lost or doubled.
async fn check_days(
    client: &Client,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
    found: &mut Findings,
) -> Result<(), LoadError> {
    let failed = |e| DbError::query(format!("looking at the days of {}", target.name()), &e);
    if let Some(shrink) = claims::shrink(client, manifest, plan, target).await.map_err(failed)? {
        return Err(shrink);
    }
    if plan.upload_mode != UploadMode::Append
        && let Some(claimed) =
            claims::claimed_by_appends(client, plan, target, &manifest.run).await.map_err(failed)?
    {
        return Err(claimed);
    }
    if !plan.is_keyless_append() {
        return Ok(());
    }
    let held = claims::held_by_others(client, manifest, plan, target).await.map_err(failed)?;
    if !manifest.upload.reload {
        return claims::days_held(plan, target, held).map_or(Ok(()), Err);
    }
    if let Some(refusal) = claims::untakeable(client, manifest, plan, target).await.map_err(failed)? {
        return Err(refusal);
    }
    for (run, days) in claims::by_run(held) {
        let days = spans::text_of(days);
        found
            .notes
            .push(format!("{days} of run {run} will be replaced, chunk by chunk as they are loaded again"));
    }
    Ok(())
}

/// Names that Postgres would cut or refuse.
fn check_names(plan: &SourcePlan, found: &mut Findings) {
    let names = plan.contract.columns.iter().filter_map(|column| Ident::new(&column.name).err());
    found.problems.extend(names.map(|e| e.to_string()));
}

/// Two sources of a run that would delete each other's rows.
fn check_neighbours(manifest: &Manifest, plan: &SourcePlan, found: &mut Findings) {
    let others = manifest.sources.iter().filter(|other| other.source != plan.source);
    for other in others.filter(|other| other.contract.table == plan.contract.table) {
        if plan.upload_mode != UploadMode::Append {
            let (mode, other) = (plan.upload_mode, &other.source);
            found.problems.push(format!("{mode} would delete the rows of {other}, which has the same table"));
        }
    }
}

/// Whether a chunk with rows that are there already could be staged beside the table.
async fn check_staging(
    client: &Client,
    plan: &SourcePlan,
    found: &mut Findings,
) -> Result<(), tokio_postgres::Error> {
    if !skips(plan) {
        return Ok(());
    }
    if let Some((database, role)) = tables::no_temp(client).await? {
        found.problems.push(format!(
            "append with a key needs temporary tables, and role {role} may not make them: \
             GRANT TEMPORARY ON DATABASE {database} TO {role}"
        ));
    }
    Ok(())
}

/// Whether the table can be made.
async fn check_schema(
    client: &Client,
    target: &Target,
    found: &mut Findings,
) -> Result<(), tokio_postgres::Error> {
    let schema = tables::schema(client, &target.schema).await?;
    let (name, role) = (target.schema.as_str(), &schema.role);
    match schema.may_create_table {
        Some(true) => found.notes.push("it will be made from the mapping".into()),
        Some(false) => {
            found.problems.push(format!("it is not there, and role {role} may not make tables in {name}"));
        }
        None if schema.may_create_schema => {
            found.notes.push(format!("it will be made from the mapping, and the schema {name} with it"));
        }
        None => found.problems.push(format!("there is no schema {name}, and role {role} may not make one")),
    }
    Ok(())
}
