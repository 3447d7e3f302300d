//! What a table must hold: rows and checksum by day, and the SQL that asks a table for the same.

use chrono::NaiveDate;
use chrono_tz::Tz;
use nstore_shared::contract::{Ambiguous, Column, ColumnType, Contract, NulPolicy, RejectLimit};
use serde::{Deserialize, Serialize};

/// What a range of days of one source holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The source.
    pub source: String,
    /// Days with at least one row, in order.
    pub days: Vec<DayTruth>,
    /// Rows in all.
    pub rows: u64,
    /// Sum of the checksums of all rows, as a decimal number.
    pub checksum: String,
}

/// What one day holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTruth {
    /// The day in the source's zone.
    pub day: NaiveDate,
    /// Its rows.
    pub rows: u64,
    /// Sum of the checksums of its rows, as a decimal number.
    pub checksum: String,
}

impl Truth {
    /// Adds up days of (day, rows, checksum); empty days are left out.
    pub(crate) fn of(source: &str, days: impl IntoIterator<Item = (NaiveDate, u64, u128)>) -> Self {
        let days: Vec<_> = days.into_iter().filter(|&(_, rows, _)| rows > 0).collect();
        Self {
            source: source.to_owned(),
            rows: days.iter().map(|&(_, rows, _)| rows).sum(),
            checksum: days.iter().map(|&(_, _, checksum)| checksum).sum::<u128>().to_string(),
            days: days
                .into_iter()
                .map(|(day, rows, checksum)| DayTruth { day, rows, checksum: checksum.to_string() })
                .collect(),
        }
    }

    /// The days of a table that differ from this: a line each, none when all agree.
    pub fn differences(&self, found: &[DayTruth]) -> Vec<String> {
        let of = |days: &[DayTruth], day| days.iter().find(|d| d.day == day).cloned();
        let mut days: Vec<NaiveDate> = self.days.iter().chain(found).map(|d| d.day).collect();
        days.sort_unstable();
        days.dedup();
        days.into_iter()
            .filter_map(|day| match (of(&self.days, day), of(found, day)) {
                (Some(wanted), Some(found)) if wanted == found => None,
                (Some(wanted), Some(found)) if wanted.rows == found.rows => {
                    Some(format!("{day}: {} rows, but not the same ones", found.rows))
                }
                (wanted, found) => Some(format!(
                    "{day}: {} rows instead of {}",
                    found.map_or(0, |d| d.rows),
                    wanted.map_or(0, |d| d.rows)
                )),
            })
            .collect()
    }
}

/// A contract with these columns, as far as a comparison needs one.
pub(crate) fn contract_of(table: &str, range_column: &str, columns: &[(&str, ColumnType)]) -> Contract {
    Contract {
        table: table.to_owned(),
        key: vec![],
        range_column: Some(range_column.to_owned()),
        rejects: RejectLimit::Rows(0),
        nul: NulPolicy::Reject,
        ambiguous: Ambiguous::First,
        columns: columns.iter().map(|&(name, kind)| Column::new(name, kind)).collect(),
    }
}

/// The query that gives day, rows and checksum of a table, in the form of [`DayTruth`].
pub fn checksum_sql(contract: &Contract, schema: &str, zone: Tz) -> String {
    let day = contract.range_column.as_deref().map_or_else(
        || "NULL::date".to_owned(),
        |name| match contract.column(name).map(|column| column.kind) {
            Some(ColumnType::Timestamptz) => format!("({} AT TIME ZONE '{zone}')::date", quoted(name)),
            _ => format!("{}::date", quoted(name)),
        },
    );
    let row: Vec<String> = contract.columns.iter().map(column_sql).collect();
    include_str!("checksum.sql")
        .replace("{day}", &day)
        .replace("{row}", &row.join(" ||\n        "))
        .replace("{table}", &format!("{}.{}", quoted(schema), quoted(&contract.table)))
}

fn column_sql(column: &Column) -> String {
    let name = quoted(&column.name);
    let text = match column.kind {
        ColumnType::Timestamptz => format!("(extract(epoch FROM {name}) * 1000000)::bigint::text"),
        ColumnType::Date => format!("to_char({name}, 'YYYY-MM-DD')"),
        _ => format!("{name}::text"),
    };
    format!("coalesce('V' || octet_length({text}) || ':' || {text} || ';', 'N;')")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_the_day() {
        let day = |n| NaiveDate::from_ymd_opt(2025, 8, n).unwrap();
        let truth = Truth::of("s", [(day(1), 2, 7), (day(2), 0, 0), (day(3), 1, 1)]);
        assert_eq!(truth.days.len(), 2);
        assert!(truth.differences(&truth.days).is_empty());
        let other = Truth::of("s", [(day(1), 2, 8), (day(4), 5, 1)]);
        let lines = truth.differences(&other.days);
        assert_eq!(
            lines,
            [
                "2025-08-01: 2 rows, but not the same ones",
                "2025-08-03: 0 rows instead of 1",
                "2025-08-04: 5 rows instead of 0"
            ]
        );
    }
}
