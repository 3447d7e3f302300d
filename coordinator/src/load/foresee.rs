//! What a table will do to the rows of a load, beyond its columns: row level security, triggers, rules, constraints,
//! partitions, the encoding of the database.

use std::collections::BTreeSet;

use chrono::{Days, Duration, NaiveDate};
use nstore_shared::{
    chunk::{ChunkRange, UploadMode, start_of_day},
    contract::ColumnType,
    storage::manifest::SourcePlan,
};
use tokio_postgres::GenericClient;

use super::{fit::Findings, spans};
use crate::db::{
    DbError,
    partitions::{Partitioning, Values},
    tables::{Cascades, Table},
};

/// Everything that can be said of a table before rows come.
pub(super) fn check(table: &Table, found: &mut Findings) {
    if table.row_security {
        found.problem(format!(
            "row level security holds for role {role}, and COPY does not work with it: \
             ALTER ROLE {role} BYPASSRLS, or load as the owner of the table",
            role = table.role
        ));
    }
    if table.encoding != "UTF8" {
        found.note(format!(
            "the database's encoding is {}, not UTF8: rows with characters that it lacks are refused",
            table.encoding
        ));
    }
    for (stops, remark) in &table.remarks {
        if *stops { found.problem(remark.clone()) } else { found.note(remark.clone()) }
    }
}

/// What a load that deletes may meet, where nothing is changed by it.
pub(super) fn note_restricts(cascades: &Cascades, mode: UploadMode, found: &mut Findings) {
    let but = if mode == UploadMode::Replace { ", unless the run brings them with equal values" } else { "" };
    for what in &cascades.restricts {
        found.note(format!(
            "{what} keeps rows from being deleted that it refers to: the load fails on them{but}"
        ));
    }
}

/// Finds days of the plan for which a partitioned table has no partition.
pub(super) async fn check_partitions(
    client: &impl GenericClient,
    plan: &SourcePlan,
    table: &Table,
    found: &mut Findings,
) -> Result<(), DbError> {
    let Some(partitioning) = table.partitioning.as_ref().filter(|cut| !cut.has_default) else {
        return Ok(());
    };
    let Some((column, days)) = probed(plan, partitioning) else {
        found.note(format!(
            "it is partitioned by {} without a default partition: rows without a partition are refused",
            partitioning.key
        ));
        return Ok(());
    };
    let kind = table.columns.iter().find(|known| known.name == column).map(|known| known.base.as_str());
    let (values, of) = match kind {
        Some("date") => (Values::Days(days.clone()), days),
        Some("timestamptz") => {
            let zone = plan.zone();
            let last = |day: NaiveDate| {
                start_of_day(day.checked_add_days(Days::new(1)).unwrap_or(day), zone)
                    - Duration::microseconds(1)
            };
            let instants = days.iter().flat_map(|day| [start_of_day(*day, zone), last(*day)]);
            (Values::Instants(instants.collect()), days.iter().flat_map(|day| [*day, *day]).collect())
        }
        _ => return Ok(()),
    };
    let missing = partitioning.without_partition(client, column, &values).await?;
    let missing: BTreeSet<NaiveDate> =
        missing.into_iter().filter_map(|place| of.get(place).copied()).collect();
    if !missing.is_empty() {
        found.problem(format!(
            "it is partitioned by {} and has no partition for {}: create the partitions, or a DEFAULT partition",
            partitioning.key,
            spans::text_of(missing)
        ));
    }
    Ok(())
}

/// The column that rows are partitioned by and the days it will have, where that can be known.
fn probed<'a>(plan: &'a SourcePlan, partitioning: &Partitioning) -> Option<(&'a str, Vec<NaiveDate>)> {
    let column = plan.contract.range_column.as_deref().and_then(|name| plan.contract.column(name))?;
    let alone = partitioning.columns.len() == 1 && partitioning.columns[0].as_ref() == Some(&column.name);
    let whole = plan.chunks.iter().all(|range| matches!(range, ChunkRange::Days { .. }));
    let dated = matches!(column.kind, ColumnType::Date | ColumnType::Timestamptz);
    if !(alone && whole && dated) {
        return None;
    }
    let days = spans::days_of(plan)?;
    Some((&column.name, days.start.iter_days().take_while(|day| *day < days.end).collect()))
}
