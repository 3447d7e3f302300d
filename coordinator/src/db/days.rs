//! `nstore.days`: days that belong to one run of an append without a key, and days that a target holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::{DateTime, NaiveDate, Utc};
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

/// Days for which a run has ledger rows of its own, whatever became of them.
pub(crate) async fn decided(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
) -> Result<BTreeSet<NaiveDate>, PgError> {
    let sql = include_str!("sql/days_decided.sql");
    let rows = client.query_typed(sql, &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
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

/// Claims, for the runs that loaded them, the days beside some days that share a ledger row with them; `keyless`: only
/// rows of appends without a key count.
pub(crate) async fn keep_neighbours(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &Range<NaiveDate>,
    keyless: bool,
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
                (&keyless, Type::BOOL),
            ],
        )
        .await
        .map(drop)
}

/// Claims what is free of some days; `deletes`: for a load that deletes rows.
pub(crate) async fn claim(
    client: &impl GenericClient,
    target: &Target,
    source: &SourceId,
    run: &RunId,
    days: &Range<NaiveDate>,
    deletes: bool,
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
                (&deletes, Type::BOOL),
            ],
        )
        .await
        .map(drop)
}

/// Whether a run holds all of some days, each named once.
pub(crate) async fn owns(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: &[NaiveDate],
) -> Result<bool, PgError> {
    let owned = include_str!("sql/days_owned.sql");
    let row = client
        .query_typed_one(
            owned,
            &[(&target.name(), Type::TEXT), (&run.as_str(), Type::TEXT), (&days, Type::DATE_ARRAY)],
        )
        .await?;
    Ok(usize::try_from(row.get::<_, i64>(0)) == Ok(days.len()))
}

/// A day that a run claims, with what it has loaded that overlaps the day, in order of the starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) day: NaiveDate,
    pub(crate) run: String,
    pub(crate) loaded: Vec<Range<DateTime<Utc>>>,
}

/// The claims of other runs that are not cancelled; on some days, or on all.
pub(crate) async fn claims_of_others(
    client: &impl GenericClient,
    target: &Target,
    run: &RunId,
    days: Option<&Range<NaiveDate>>,
) -> Result<Vec<Claim>, PgError> {
    let (first, end) = (days.map(|days| days.start), days.map(|days| days.end));
    let rows = client
        .query_typed(
            include_str!("sql/days_claims.sql"),
            &[
                (&target.name(), Type::TEXT),
                (&run.as_str(), Type::TEXT),
                (&first, Type::DATE),
                (&end, Type::DATE),
            ],
        )
        .await?;
    let mut claims: Vec<Claim> = Vec::new();
    for row in &rows {
        let (day, run): (NaiveDate, String) = (row.get(0), row.get(1));
        let bounds: (Option<DateTime<Utc>>, Option<DateTime<Utc>>) = (row.get(2), row.get(3));
        if claims.last().is_none_or(|last| last.day != day || last.run != run) {
            claims.push(Claim { day, run, loaded: vec![] });
        }
        if let (Some(last), (Some(start), Some(end))) = (claims.last_mut(), bounds) {
            last.loaded.push(start..end);
        }
    }
    Ok(claims)
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
