//! Before the first chunk: tables made, their identity recorded, days claimed.

use std::{collections::BTreeSet, time::Duration};

use chrono::NaiveDate;
use nstore_shared::{
    chunk::UploadMode,
    contract::Contract,
    guard::Guard,
    storage::manifest::{Manifest, SourcePlan},
};
use tokio_postgres::Transaction;

use super::{
    LoadError, Loader, claims, spans,
    stop::{Stop, recreated},
};
use crate::db::{
    DbError, days,
    error::Failure,
    ident::{self, Ident, Target},
    locks::Lock,
    session, tables,
    targets::{self, Identity, RunRecord},
};

/// A reload waits for the appends of others that hold its target.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

impl Loader {
    /// Records the run, makes absent tables, claims the days of appends without a key. May be repeated.
    ///
    /// # Errors
    /// When the run is cancelled, a table is another one than before, another run holds days, or Postgres or
    /// storage fails; then nothing of it happened.
    pub async fn register(&self, manifest: &Manifest) -> Result<(), LoadError> {
        self.register_once(manifest).await.map_err(|stop| {
            let doing = || format!("registering run {}", manifest.run);
            match stop {
                Stop::Load(e) => e,
                Stop::Cancelled => LoadError::Cancelled { run: manifest.run.clone() },
                Stop::Pg(e) if Failure::of(&e) == Failure::Busy => {
                    LoadError::Busy { what: format!("a table of run {}", manifest.run) }
                }
                Stop::Pg(e) | Stop::Unknown(e) => DbError::query(doing(), &e).into(),
                Stop::Damaged(reason) | Stop::Outdated(reason) | Stop::Refused { error: reason, .. } => {
                    DbError::Query { doing: doing(), reason, code: None, may_pass: false }.into()
                }
                Stop::Raced | Stop::NoStaging => {
                    LoadError::Busy { what: format!("a table of run {}", manifest.run) }
                }
            }
        })
    }

    async fn register_once(&self, manifest: &Manifest) -> Result<(), Stop> {
        let mut plans = Vec::new();
        for plan in &manifest.sources {
            plans.push((self.target(&plan.contract.table)?, plan));
        }
        // one order for all runs, so that two of them never wait for each other
        plans.sort_by(|a, b| a.0.cmp(&b.0));
        let mut client = self.db.client().await?;
        let tx = session::begin(&mut client, LOCK_TIMEOUT).await?;
        Lock::Run(&manifest.run).shared(&tx).await?;
        if self.is_cancelled(&manifest.run).await? {
            return Err(Stop::Cancelled);
        }
        let installation = self.storage.identify().await?;
        match targets::record_run(&tx, manifest, &installation).await? {
            RunRecord::Same => {}
            RunRecord::OtherPlan => return Err(LoadError::OtherPlan { run: manifest.run.clone() }.into()),
            RunRecord::OtherInstallation => {
                return Err(LoadError::OtherInstallation { run: manifest.run.clone() }.into());
            }
        }
        for (target, plan) in plans {
            Lock::Register(&target).exclusive(&tx).await?;
            stand(&tx, &target, &plan.contract).await?;
            if plan.is_keyless_append() {
                claim(&tx, manifest, plan, &target).await?;
            } else if plan.upload_mode != UploadMode::Append {
                claim_to_delete(&tx, manifest, plan, &target).await?;
            }
        }
        // an unknown outcome is an error: whoever called does it again, and meets its own rows
        Ok(tx.commit().await?)
    }
}

/// Makes the table stand, and records which one it is.
async fn stand(tx: &Transaction<'_>, target: &Target, contract: &Contract) -> Result<(), Stop> {
    match targets::identity(tx, target).await? {
        Identity::Same => return Ok(()),
        Identity::Changed => return Err(recreated(target).into()),
        Identity::Unknown => {}
    }
    let made = !tables::exists(tx, target).await?;
    if made {
        make(tx, target, contract).await?;
    }
    Ok(targets::record(tx, target, made).await?)
}

async fn make(tx: &Transaction<'_>, target: &Target, contract: &Contract) -> Result<(), Stop> {
    if tables::schema(tx, &target.schema).await?.may_create_table.is_none() {
        tx.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", target.schema)).await?;
    }
    let statements = create_statements(target, contract)?;
    tx.batch_execute(&statements).await?;
    tracing::info!(table = target.name(), "made");
    Ok(())
}

/// The table as the mapping describes it.
fn create_statements(target: &Target, contract: &Contract) -> Result<String, DbError> {
    let mut lines = Vec::new();
    for column in &contract.columns {
        let required = if column.required { " NOT NULL" } else { "" };
        lines.push(format!("{} {}{required}", Ident::new(&column.name)?, column.kind));
    }
    if !contract.key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", ident::columns(&contract.key)?));
    }
    let mut statements = format!("CREATE TABLE {target} (\n    {}\n);\n", lines.join(",\n    "));
    // a chunk's rows lie together, so a block range index finds them at next to no cost for the load
    if let Some(column) = contract.range_column.as_ref().filter(|name| contract.key.first() != Some(*name)) {
        statements += &format!(
            "CREATE INDEX ON {target} USING brin ({}) WITH (pages_per_range = 32, autosummarize = on);\n",
            Ident::new(column)?
        );
    }
    Ok(statements)
}

/// Claims the plan's days; with `--reload` takes them from older runs. Their rows stay until each chunk's own
/// load replaces them.
async fn claim(
    tx: &Transaction<'_>,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
) -> Result<(), Stop> {
    let Some(wanted) = spans::days_of(plan) else { return Ok(()) };
    let run = &manifest.run;
    let held = claims::held_by_others(tx, manifest, plan, target).await?;
    if manifest.upload.reload && !held.is_empty() {
        // loads of the other runs hold it shared: none of them is in the middle of these days
        Lock::Target(target).exclusive(tx).await?;
        if let Some(refusal) = claims::untakeable(tx, manifest, plan, target).await? {
            return Err(refusal.into());
        }
        days::release(tx, target, run, &wanted).await?;
    } else if let Some(refusal) = claims::days_held(plan, target, held) {
        return Err(refusal.into());
    }
    // the loads of a reload delete what others bring in meanwhile
    days::claim(tx, target, &plan.source, run, &wanted, manifest.upload.reload).await?;
    let decided =
        if manifest.upload.reload { BTreeSet::new() } else { days::decided(tx, target, run).await? };
    let days = wanted.start.iter_days().take_while(|day| *day < wanted.end);
    let days: Vec<NaiveDate> = days.filter(|day| !decided.contains(day)).collect();
    if days::owns(tx, target, run, &days).await? || !Guard::ClaimedDays.stands() {
        return Ok(());
    }
    // taken between the look and the claim
    let held = claims::held_by_others(tx, manifest, plan, target).await?;
    Err(claims::days_held(plan, target, held)
        .unwrap_or_else(|| LoadError::Unregistered { run: run.clone(), table: target.name() })
        .into())
}

/// Claims the days of loads that delete rows, so that no append without a key begins on them. Days that such an append
/// has claimed and not loaded yet are refused.
async fn claim_to_delete(
    tx: &Transaction<'_>,
    manifest: &Manifest,
    plan: &SourcePlan,
    target: &Target,
) -> Result<(), Stop> {
    if let Some(refusal) = claims::claimed_by_appends(tx, plan, target, &manifest.run).await? {
        return Err(refusal.into());
    }
    let Some(wanted) = spans::days_of(plan) else { return Ok(()) };
    Ok(days::claim(tx, target, &plan.source, &manifest.run, &wanted, true).await?)
}

#[cfg(test)]
mod tests {
    use nstore_shared::contract::{Ambiguous, Column, ColumnType, NulPolicy, RejectLimit};

    use super::*;

    #[test]
    fn a_table_is_made_as_the_mapping_says() {
        let column = |name: &str, kind, required| Column { required, ..Column::new(name, kind) };
        let mut contract = Contract {
            table: "odd \"table\"".into(),
            key: vec!["id".into()],
            range_column: Some("at".into()),
            rejects: RejectLimit::Rows(0),
            nul: NulPolicy::Reject,
            ambiguous: Ambiguous::First,
            columns: vec![
                column("id", ColumnType::Text, true),
                column("at", ColumnType::Timestamptz, true),
                column("amount", ColumnType::Numeric { precision: 12, scale: 2 }, false),
            ],
        };
        let target = Target::new(Ident::new("public").unwrap(), Ident::new(&contract.table).unwrap());
        insta::assert_snapshot!(create_statements(&target, &contract).unwrap(), @r#"
        CREATE TABLE "public"."odd ""table""" (
            "id" text NOT NULL,
            "at" timestamptz NOT NULL,
            "amount" numeric(12,2),
            PRIMARY KEY ("id")
        );
        CREATE INDEX ON "public"."odd ""table""" USING brin ("at") WITH (pages_per_range = 32, autosummarize = on);
        "#);
        contract.key = vec!["at".into()];
        assert!(!create_statements(&target, &contract).unwrap().contains("INDEX"));
    }
}
