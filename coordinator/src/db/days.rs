//! `nstore.days`: days that belong to one run of an append without a key, and days that a target holds.

use std::{collections::BTreeMap, ops::Range};

use chrono::NaiveDate;
use nstore_shared::{
    chunk::{RunId, SourceId},
    storage::manifest::Manifest,
};
use tokio_postgres::{Error as PgError, GenericClient, Row, types::Type};

use super::ident::Target;

/// Days by what run holds them.
pub(crate) type Held = BTreeMap<NaiveDate, String>;

fn held(rows: &[Row]) -> Held {
    rows.iter().map(|row| (row.get(1), row.get(0))).collect()
}

/// Days whose rows the target holds by the hands of other runs.
pub(crate) async fn loaded(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<Held, PgError> {
    let sql = include_str!("sql/days_loaded.sql");
    client
        .query_typed(sql, &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT)])
        .await
        .map(|rows| held(&rows))
}

/// Days that other runs have claimed, loaded or not.
pub(crate) async fn claimed(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<Held, PgError> {
    let sql = include_str!("sql/days_claimed.sql");
    client
        .query_typed(sql, &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT)])
        .await
        .map(|rows| held(&rows))
}

/// Of some days, those that a reload may not take from the runs that hold them.
pub(crate) async fn untakeable(
    client: &impl GenericClient,
    target: &Target,
    manifest: &Manifest,
    days: &Range<NaiveDate>,
) -> Result<Held, PgError> {
    let sql = include_str!("sql/days_untakeable.sql");
    let (run, made) = (manifest.run.as_str(), manifest.created_at);
    client
        .query_typed(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&run, Type::TEXT),
                (&made, Type::TIMESTAMPTZ),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await
        .map(|rows| held(&rows))
}

/// Claims, for the runs that loaded them, the days beside some days that share a ledger row with them.
pub(crate) async fn keep_neighbours(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<NaiveDate>,
) -> Result<(), PgError> {
    let sql = include_str!("sql/days_keep_neighbours.sql");
    client
        .execute_typed(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&run.as_str(), Type::TEXT),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await
        .map(drop)
}

/// Claims what is free of some days.
pub(crate) async fn claim(
    client: &impl GenericClient,
    target: &Target,
    source: &SourceId,
    run: &RunId,
    days: &Range<NaiveDate>,
) -> Result<(), PgError> {
    let sql = include_str!("sql/days_claim.sql");
    let (source, run) = (source.as_str(), run.as_str());
    client
        .execute_typed(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&source, Type::TEXT),
                (&run, Type::TEXT),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await
        .map(drop)
}

/// Whether a run holds all of some days.
pub(crate) async fn owns(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<NaiveDate>,
) -> Result<bool, PgError> {
    let owned = include_str!("sql/days_owned.sql");
    let row = client
        .query_typed_one(
            owned,
            &[
                (&target.name(), Type::TEXT),
                (&run.as_str(), Type::TEXT),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await?;
    Ok(row.get::<_, i64>(0) == (days.end - days.start).num_days())
}

/// Takes days from other runs.
pub(crate) async fn release(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<NaiveDate>,
) -> Result<(), PgError> {
    let sql = include_str!("sql/days_release.sql");
    client
        .execute_typed(
            sql,
            &[
                (&target.name(), Type::TEXT),
                (&run.as_str(), Type::TEXT),
                (&days.start, Type::DATE),
                (&days.end, Type::DATE),
            ],
        )
        .await
        .map(drop)
}

/// Takes the days from other runs whose rows are about to go with the whole table.
pub(crate) async fn release_loaded(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<(), PgError> {
    let sql = include_str!("sql/days_release_loaded.sql");
    client.execute_typed(sql, &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT)]).await.map(drop)
}

/// Gives back the claims of a run that led to no load; answers how many.
pub(crate) async fn give_back(client: &impl GenericClient, run: &RunId) -> Result<u64, PgError> {
    client.execute_typed(include_str!("sql/days_give_back.sql"), &[(&run.as_str(), Type::TEXT)]).await
}
