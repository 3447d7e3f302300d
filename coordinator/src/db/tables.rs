//! What a table is like: columns, unique keys, our rights on it.

use tokio_postgres::{Error as PgError, GenericClient, Row, types::Type};

use super::{
    ident::{Ident, Target},
    partitions::{self, Partitioning},
};

/// A table as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// `r` and `p` take rows.
    pub(crate) kind: String,
    pub(crate) may_insert: bool,
    pub(crate) may_select: bool,
    pub(crate) may_delete: bool,
    /// Row level security holds for our role.
    pub(crate) row_security: bool,
    /// The encoding of the database: `UTF8`.
    pub(crate) encoding: String,
    pub(crate) role: String,
    /// How it is cut, when it is partitioned.
    pub(crate) partitioning: Option<Partitioning>,
    /// What may change or refuse rows that go in: `true` for what a load cannot live with.
    pub(crate) remarks: Vec<(bool, String)>,
    pub(crate) columns: Vec<TableColumn>,
    /// Columns of each unique index that ON CONFLICT can name, sorted.
    pub(crate) uniques: Vec<Vec<String>>,
}

/// One column of a table as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    /// `character varying(20)`.
    pub(crate) shown: String,
    /// The type below a domain: `varchar`.
    pub(crate) base: String,
    /// `e` for an enum.
    pub(crate) kind: String,
    /// The type's modifier, -1 for none.
    pub(crate) modifier: i32,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    pub(crate) generated: bool,
    pub(crate) always_identity: bool,
    /// Its type without the domain.
    pub(crate) stored: String,
    /// The expression of its default.
    pub(crate) default_sql: Option<String>,
}

/// What deleting rows of a table does besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cascades {
    /// What changes rows of other tables.
    pub(crate) changes: Vec<String>,
    /// What may keep rows from being deleted.
    pub(crate) restricts: Vec<String>,
}

/// Finds what a DELETE on a table does besides; `itself` counts foreign keys of the table on itself.
pub(crate) async fn cascades(
    client: &impl GenericClient,
    target: &Target,
    itself: bool,
) -> Result<Cascades, PgError> {
    let mut found = Cascades::default();
    let Some(facts) = facts(client, target).await? else { return Ok(found) };
    let (oid, sql) = (facts.get::<_, u32>(0), include_str!("sql/table_cascades.sql"));
    for row in client.query_typed(sql, &[(&oid, Type::OID), (&itself, Type::BOOL)]).await? {
        let what = row.get(1);
        if row.get(0) { found.changes.push(what) } else { found.restricts.push(what) }
    }
    Ok(found)
}

/// What we may do in the schema of the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) role: String,
    /// `None` when there is no such schema.
    pub(crate) may_create_table: Option<bool>,
    pub(crate) may_create_schema: bool,
}

/// Looks at a schema.
pub(crate) async fn schema(client: &impl GenericClient, schema: &Ident) -> Result<Schema, PgError> {
    let facts = include_str!("sql/schema_facts.sql");
    let row = client.query_typed_one(facts, &[(&schema.as_str(), Type::TEXT)]).await?;
    Ok(Schema { role: row.get(0), may_create_table: row.get(1), may_create_schema: row.get(2) })
}

/// The database and the role, when the role may make no temporary tables there.
pub(crate) async fn no_temp(client: &impl GenericClient) -> Result<Option<(String, String)>, PgError> {
    let row = client.query_typed_one(include_str!("sql/temp_facts.sql"), &[]).await?;
    let may: bool = row.get(0);
    Ok((!may).then(|| (row.get(1), row.get(2))))
}

/// Whether a table or anything else of that name stands.
pub(crate) async fn exists(client: &impl GenericClient, target: &Target) -> Result<bool, PgError> {
    Ok(facts(client, target).await?.is_some())
}

async fn facts(client: &impl GenericClient, target: &Target) -> Result<Option<Row>, PgError> {
    let (schema, table) = (target.schema.as_str(), target.table.as_str());
    let facts = include_str!("sql/table_facts.sql");
    client.query_typed_opt(facts, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await
}

/// Looks at a table; `None` when there is none.
pub(crate) async fn table(client: &impl GenericClient, target: &Target) -> Result<Option<Table>, PgError> {
    let Some(facts) = facts(client, target).await? else { return Ok(None) };
    let oid: u32 = facts.get(0);
    let columns = client.query_typed(include_str!("sql/table_columns.sql"), &[(&oid, Type::OID)]).await?;
    let columns = columns.iter().map(|row| TableColumn {
        name: row.get(0),
        shown: row.get(1),
        base: row.get(2),
        kind: row.get(3),
        modifier: row.get(4),
        not_null: row.get(5),
        has_default: row.get(6),
        generated: row.get(7),
        always_identity: row.get(8),
        stored: row.get(9),
        default_sql: row.get(10),
    });
    let remarks = client.query_typed(include_str!("sql/table_remarks.sql"), &[(&oid, Type::OID)]).await?;
    let uniques = client.query_typed(include_str!("sql/table_uniques.sql"), &[(&oid, Type::OID)]).await?;
    Ok(Some(Table {
        kind: facts.get(1),
        may_insert: facts.get(2),
        may_select: facts.get(3),
        may_delete: facts.get(4),
        row_security: facts.get(5),
        encoding: facts.get(6),
        role: facts.get(7),
        partitioning: partitions::partitioning(client, oid).await?,
        remarks: remarks.iter().map(|row| (row.get(0), row.get(1))).collect(),
        columns: columns.collect(),
        uniques: uniques.iter().map(|row| row.get(0)).collect(),
    }))
}
