//! Columns whose field is in no record of a chunk, although earlier chunks of the table had it: the source may have
//! renamed it, and each row would hold a null instead of a value.

use std::collections::BTreeSet;

use nstore_shared::{
    contract::OnAbsent,
    storage::marker::{ChunkWarning, Committed},
};
use tokio_postgres::Transaction;

use super::stop::Stop;
use crate::db::{
    fields::{self, KnownField},
    ledger::Entry,
};

/// The columns whose field no record of a chunk has, with the field's path and what may have been meant.
fn absent(committed: &Committed) -> Vec<(&str, &str, Option<&str>)> {
    committed
        .warnings
        .iter()
        .filter_map(|warning| match warning {
            ChunkWarning::FieldAbsent { column, path, hint } => {
                Some((column.as_str(), path.as_str(), hint.as_deref()))
            }
            _ => None,
        })
        .collect()
}

/// Refuses a chunk that lacks a field which was there before.
pub(super) async fn check(
    tx: &Transaction<'_>,
    entry: &Entry<'_>,
    committed: &Committed,
) -> Result<(), Stop> {
    let fails = |column: &str| {
        entry.plan.contract.column(column).is_some_and(|column| column.on_absent == OnAbsent::Fail)
    };
    let absent: Vec<_> = absent(committed).into_iter().filter(|(column, _, _)| fails(column)).collect();
    if absent.is_empty() || committed.rows == 0 {
        return Ok(());
    }
    let known = fields::known(tx, entry.target, entry.plan.source.as_str()).await?;
    let gone = absent.iter().find_map(|(column, path, hint)| {
        let known = known.iter().find(|field| field.column == *column)?;
        Some(text(column, path, *hint, known))
    });
    gone.map_or(Ok(()), |error| Err(Stop::Refused { error, row: None }))
}

fn text(column: &str, path: &str, hint: Option<&str>, known: &KnownField) -> String {
    let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    format!(
        "column `{column}`: no record of this chunk has the field `{path}`{hint}, but earlier chunks had it, such as \
         {} of run {}; has the source renamed it? Correct `from` in the mapping and extract again, or set \
         `on_absent: warn` on the column",
        known.chunk, known.run
    )
}

/// Records the columns whose field some record of the loaded chunks has, with the first chunk that has it. Called last in
/// the transaction: another load of the same columns waits for its end.
pub(super) async fn record(tx: &Transaction<'_>, chunks: &[(Entry<'_>, &Committed)]) -> Result<(), Stop> {
    let mut known: Option<BTreeSet<String>> = None;
    for (entry, committed) in chunks {
        if committed.rows == 0 {
            continue;
        }
        let known = match &mut known {
            Some(known) => known,
            none => {
                let fields = fields::known(tx, entry.target, entry.plan.source.as_str()).await?;
                none.insert(fields.into_iter().map(|field| field.column).collect())
            }
        };
        let absent: BTreeSet<&str> = absent(committed).into_iter().map(|(column, _, _)| column).collect();
        let present = committed.columns.iter().map(String::as_str);
        let new: Vec<&str> =
            present.filter(|column| !absent.contains(column) && !known.contains(*column)).collect();
        if !new.is_empty() {
            fields::put(tx, entry.target, &entry.marker.chunk, &new).await?;
            known.extend(new.into_iter().map(str::to_owned));
        }
    }
    Ok(())
}
