//! The table where the rows of a chunk wait, with the column types of the target and the number of each row.

use std::ops::RangeInclusive;

use nstore_shared::storage::{
    Storage,
    marker::{Committed, Marker},
};
use tokio_postgres::Transaction;

use super::{
    careful::Defaulted,
    copy,
    sift::{self, Limit, RefusedRow},
    stop::Stop,
};
use crate::db::{
    DbError,
    error::Failure,
    ident::{self, Ident, Target},
    ledger::Entry,
    tables::{Table, TableColumn},
};

/// Where rows wait; names of the session's own.
const STAGE: &str = "pg_temp.nstore_stage";
const RAW: &str = "pg_temp.nstore_raw";
/// The number of a row in the artifact, from 1.
pub(super) const LINE: &str = "nstore_line";

/// What is known of the columns that a chunk brings.
pub(super) struct Stage {
    target: Target,
    names: Vec<String>,
    columns: Vec<StageColumn>,
    /// The key of the mapping, quoted; empty when there is none.
    key: Vec<String>,
    /// The key is unique in the target, so that ON CONFLICT may name it.
    unique: bool,
}

struct StageColumn {
    /// As the mapping calls it.
    plain: String,
    /// Quoted.
    name: String,
    /// The type without its domain, as SQL.
    stored: String,
    /// The default that stands in for a null.
    default: Option<String>,
    /// Takes text as it is: a cast would cut it.
    textual: bool,
    /// Its type has no equality of its own, or one that hides differences.
    by_text: bool,
    /// A domain: its rules hold for the target only.
    domain: bool,
}

impl StageColumn {
    fn new(entry: &Entry<'_>, column: &TableColumn) -> Result<Self, DbError> {
        let wanted = entry.plan.contract.column(&column.name);
        let optional = wanted.is_some_and(|wanted| !wanted.required);
        Ok(Self {
            plain: column.name.clone(),
            name: Ident::new(&column.name)?.to_string(),
            stored: column.stored.clone(),
            default: column.default_sql.clone().filter(|_| column.not_null && optional),
            textual: ["text", "varchar", "bpchar", "citext"].contains(&column.base.as_str()),
            by_text: ["json", "xml", "citext"].contains(&column.base.as_str()),
            domain: column.shown != column.stored,
        })
    }

    /// A value as it is compared: of the row `of`, with the default in its place where that is a constant.
    fn compared(&self, of: &str, with_default: bool) -> String {
        let value = format!("{of}.{}", self.name);
        let value = match &self.default {
            Some(default) if with_default => format!("coalesce({value}, {default})"),
            _ => value,
        };
        if self.by_text { format!("({value})::text") } else { value }
    }
}

/// A default that is the same each time can be compared with what is stored.
fn is_constant(default: &str) -> bool {
    let upper = default.to_uppercase();
    !default.contains('(') && !upper.starts_with("CURRENT") && !upper.starts_with("LOCAL")
}

impl Stage {
    /// What a chunk's rows need.
    pub(super) fn describe(entry: &Entry<'_>, table: &Table, committed: &Committed) -> Result<Self, Stop> {
        let mut columns = Vec::new();
        for name in &committed.columns {
            let Some(column) = table.columns.iter().find(|column| column.name == *name) else {
                let problems = vec![format!("column `{name}` is missing")];
                let table = entry.target.name();
                return Err(super::LoadError::Target { table, problems }.into());
            };
            columns.push(StageColumn::new(entry, column)?);
        }
        let key = &entry.plan.contract.key;
        let mut sorted = key.clone();
        sorted.sort_unstable();
        let quoted = |name: &String| Ident::new(name).map(|name| name.to_string());
        Ok(Self {
            target: entry.target.clone(),
            names: committed.columns.clone(),
            columns,
            key: key.iter().map(quoted).collect::<Result<_, _>>()?,
            unique: table.uniques.contains(&sorted),
        })
    }

    /// The mapping has a key.
    pub(super) fn keyed(&self) -> bool {
        !self.key.is_empty()
    }

    pub(super) fn key(&self) -> &[String] {
        &self.key
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The staging table's name.
    pub(super) fn table(&self) -> &'static str {
        STAGE
    }

    /// Where two rows have the same key.
    pub(super) fn same_key(&self, a: &str, b: &str) -> String {
        let equal: Vec<String> = self.key.iter().map(|name| format!("{a}.{name} = {b}.{name}")).collect();
        equal.join(" AND ")
    }

    /// Where a staged row has other values than `other`. A null that takes a default of the table counts as that
    /// default; where the default is another one each time, as whatever is present.
    pub(super) fn differs(&self, staged: &str, other: &str, other_is_staged: bool) -> String {
        let differs = self.columns.iter().filter(|column| !self.key.contains(&column.name)).map(|column| {
            let constant = column.default.as_deref().is_some_and(is_constant);
            let (a, b) =
                (column.compared(staged, constant), column.compared(other, constant && other_is_staged));
            let differs = format!("{a} IS DISTINCT FROM {b}");
            match column.default {
                Some(_) if !constant && !other_is_staged => {
                    format!("({staged}.{} IS NOT NULL AND {differs})", column.name)
                }
                _ => differs,
            }
        });
        let differs: Vec<String> = differs.collect();
        if differs.is_empty() { "false".into() } else { format!("({})", differs.join(" OR ")) }
    }

    /// A hash of the values of the row `of`, as an expression: equal for rows that are written alike. A null of a staged
    /// row that takes a default counts as that default, if it is a constant.
    pub(super) fn hash(&self, of: &str, staged: bool) -> String {
        let values = self.columns.iter().map(|column| {
            let constant = column.default.as_deref().is_some_and(is_constant);
            column.compared(of, staged && constant)
        });
        let values = values.collect::<Vec<_>>().join(", ");
        format!("sha256(convert_to(ROW({values})::text, 'UTF8'))")
    }

    /// Makes the staging table and copies the artifact into it; rows that have a value of the wrong form are refused.
    pub(super) async fn fill(
        &self,
        storage: &Storage,
        tx: &Transaction<'_>,
        marker: &Marker,
        committed: &Committed,
        limit: &Limit,
        refused: &mut Vec<RefusedRow>,
    ) -> Result<(), Stop> {
        drop_stage(tx).await?;
        let typed = self.columns.iter().map(|column| match column.domain {
            true => format!("{name}::{} AS {name}", column.stored, name = column.name),
            false => column.name.clone(),
        });
        let typed = typed.collect::<Vec<_>>().join(", ");
        // the table's own types and collations, so that a value is refused or taken as it would be there
        tx.batch_execute(&format!(
            "CREATE TEMP TABLE nstore_stage ON COMMIT DROP AS SELECT {typed} FROM {} WITH NO DATA;
             ALTER TABLE {STAGE} ADD COLUMN {LINE} bigserial;
             SAVEPOINT nstore_fill",
            self.target
        ))
        .await?;
        match copy::into(storage, tx, STAGE, marker, committed).await {
            Ok(_) => {}
            Err(stop) if stop.is_refusal() => {
                tx.batch_execute("ROLLBACK TO SAVEPOINT nstore_fill").await?;
                self.fill_by_row(storage, tx, marker, committed, limit, refused).await?;
            }
            Err(stop) => return Err(stop),
        }
        let key = if self.keyed() {
            format!("CREATE INDEX ON {STAGE} ({});", self.key.join(", "))
        } else {
            String::new()
        };
        Ok(tx.batch_execute(&format!("RELEASE SAVEPOINT nstore_fill; {key} ANALYZE {STAGE}")).await?)
    }

    async fn fill_by_row(
        &self,
        storage: &Storage,
        tx: &Transaction<'_>,
        marker: &Marker,
        committed: &Committed,
        limit: &Limit,
        refused: &mut Vec<RefusedRow>,
    ) -> Result<(), Stop> {
        let texts: Vec<String> = self.columns.iter().map(|column| format!("{} text", column.name)).collect();
        let texts = texts.join(", ");
        tx.batch_execute(&format!(
            "CREATE TEMP TABLE nstore_raw ({texts}, {LINE} bigserial PRIMARY KEY) ON COMMIT DROP"
        ))
        .await?;
        copy::into(storage, tx, RAW, marker, committed).await?;
        let columns = ident::columns(&self.names)?;
        let values = self.columns.iter().map(|column| match column.textual {
            true => column.name.clone(),
            false => format!("{}::{}", column.name, column.stored),
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO {STAGE} ({columns}, {LINE}) SELECT {values}, {LINE} FROM {RAW}");
        let insert = sift::Insert { insert, after: String::new() };
        sift::insert(tx, &insert, 1..=committed.rows, limit, refused).await?;
        Ok(tx.batch_execute(&format!("DROP TABLE {RAW}")).await?)
    }

    /// Rows that wait.
    pub(super) async fn waiting(&self, tx: &Transaction<'_>) -> Result<u64, Stop> {
        let row = tx.query_typed_one(&format!("SELECT count(*) FROM {STAGE}"), &[]).await?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// The numbers of the first and last row that waits.
    pub(super) async fn lines(&self, tx: &Transaction<'_>) -> Result<RangeInclusive<u64>, Stop> {
        let sql = format!("SELECT coalesce(min({LINE}), 1), coalesce(max({LINE}), 0) FROM {STAGE}");
        let row = tx.query_typed_one(&sql, &[]).await?;
        Ok(row.get::<_, i64>(0).unsigned_abs()..=row.get::<_, i64>(1).unsigned_abs())
    }

    /// Columns of the target that refuse a null and have a default, with the waiting rows that take it; and how many
    /// rows take any.
    pub(super) async fn defaulted(&self, tx: &Transaction<'_>) -> Result<(Vec<Defaulted>, u64), Stop> {
        let mut found = Vec::new();
        let nulls = self.columns.iter().filter(|column| column.default.is_some());
        let nulls: Vec<String> = nulls.map(|column| format!("{} IS NULL", column.name)).collect();
        if nulls.is_empty() {
            return Ok((found, 0));
        }
        for column in &self.columns {
            let Some(default) = &column.default else { continue };
            let sql = format!(
                "SELECT count(*), coalesce(min({LINE}), 0) FROM {STAGE} WHERE {} IS NULL",
                column.name
            );
            let row = tx.query_typed_one(&sql, &[]).await?;
            let (rows, first) = (row.get::<_, i64>(0).unsigned_abs(), row.get::<_, i64>(1).unsigned_abs());
            if rows > 0 {
                found.push(Defaulted { column: column.plain.clone(), default: default.clone(), rows, first });
            }
        }
        let all = format!("SELECT count(*) FROM {STAGE} WHERE {}", nulls.join(" OR "));
        let all = tx.query_typed_one(&all, &[]).await?.get::<_, i64>(0).unsigned_abs();
        Ok((found, all))
    }

    /// The statement that puts waiting rows into the target; a range of rows is added to it.
    pub(super) fn insert(&self) -> sift::Insert {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let values = self.columns.iter().map(|column| match &column.default {
            Some(default) => format!("coalesce({}, {default})", column.name),
            None => column.name.clone(),
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let insert =
            format!("INSERT INTO {} ({}) SELECT {values} FROM {STAGE}", self.target, columns.join(", "));
        // a row of another loader that came in meanwhile is no fault of this chunk: it is compared at the next try
        let after = match self.keyed() && self.unique {
            true => format!("ON CONFLICT ({}) DO NOTHING", self.key.join(", ")),
            false => String::new(),
        };
        sift::Insert { insert, after }
    }
}

/// Drops what an earlier chunk of the same transaction left.
pub(super) async fn drop_stage(tx: &Transaction<'_>) -> Result<(), Stop> {
    Ok(tx.batch_execute(&format!("DROP TABLE IF EXISTS {STAGE}, {RAW}")).await?)
}

/// Whether a failed statement says that rows are not what the table takes.
pub(super) fn refuses_rows(failure: Failure) -> bool {
    matches!(failure, Failure::Data | Failure::Duplicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_changes_is_not_compared() {
        for constant in ["0", "'open'::text", "'{}'::jsonb", "true", "NULL::text"] {
            assert!(is_constant(constant), "{constant}");
        }
        for changing in
            ["now()", "nextval('s'::regclass)", "CURRENT_TIMESTAMP", "LOCALTIME", "gen_random_uuid()"]
        {
            assert!(!is_constant(changing), "{changing}");
        }
    }
}
