//! How a partitioned table is cut, and which values have no partition.

use chrono::{DateTime, NaiveDate, Utc};
use tokio_postgres::{
    Error as PgError, GenericClient,
    types::{ToSql, Type},
};

use super::{DbError, ident::Ident};

/// How a table is cut into partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partitioning {
    /// `RANGE (created_at)`.
    pub(crate) key: String,
    /// Some partition takes what no other takes.
    pub(crate) has_default: bool,
    /// The columns of the key; `None` for an expression.
    pub(crate) columns: Vec<Option<String>>,
    /// The conditions of the partitions, as expressions over the columns.
    conditions: Vec<Option<String>>,
}

/// Looks at how a table is cut; `None` when it is not partitioned.
pub(crate) async fn partitioning(
    client: &impl GenericClient,
    oid: u32,
) -> Result<Option<Partitioning>, PgError> {
    let sql = include_str!("sql/table_partitions.sql");
    let row = client.query_typed_opt(sql, &[(&oid, Type::OID)]).await?;
    Ok(row.map(|row| Partitioning {
        key: row.get(0),
        has_default: row.get(1),
        columns: row.get(2),
        conditions: row.get(3),
    }))
}

/// Values of the column that partitions are cut by.
pub(crate) enum Values {
    /// Of a date column.
    Days(Vec<NaiveDate>),
    /// Of a timestamptz column.
    Instants(Vec<DateTime<Utc>>),
}

impl Partitioning {
    /// Which of the values no partition takes, by their place; all columns of the key must be this one.
    ///
    /// # Errors
    /// When Postgres fails.
    pub(crate) async fn without_partition(
        &self,
        client: &impl GenericClient,
        column: &str,
        values: &Values,
    ) -> Result<Vec<usize>, DbError> {
        let ident = Ident::new(column)?;
        // a default partition alone has no condition, and takes everything
        let taken: Vec<String> =
            self.conditions.iter().map(|text| text.clone().unwrap_or_else(|| "true".into())).collect();
        let taken = if taken.is_empty() { "false".to_owned() } else { taken.join(" OR ") };
        let (values, kind): (&(dyn ToSql + Sync), Type) = match values {
            Values::Days(days) => (days, Type::DATE_ARRAY),
            Values::Instants(instants) => (instants, Type::TIMESTAMPTZ_ARRAY),
        };
        let sql = format!(
            "SELECT place FROM unnest($1) WITH ORDINALITY AS probe ({ident}, place) WHERE NOT coalesce({taken}, false) \
             ORDER BY place"
        );
        let rows = client
            .query_typed(&sql, &[(values, kind)])
            .await
            .map_err(|e| DbError::query("looking at the partitions", &e))?;
        let place = |place: i64| usize::try_from(place - 1).unwrap_or_default();
        Ok(rows.iter().map(|row| place(row.get(0))).collect())
    }
}
