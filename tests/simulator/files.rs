//! Rows from CSV files instead of generated ones: every value a text, an empty one null.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, anyhow};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use nstore_shared::contract::{ColumnType, Contract};
use serde_json::Value;

use super::{
    calendar::{DAY_MS, Shelf, day_of, from_local, midnight},
    cell::Cell,
    rows::Row,
    truth::contract_of,
};

/// One file, its rows by day and in order of time.
pub(crate) struct Table {
    header: Vec<String>,
    date_column: usize,
    days: BTreeMap<NaiveDate, Vec<(i64, Vec<String>)>>,
}

impl Table {
    /// Reads `file`, whose column `date_column` says when each row happened; times without an offset are local.
    pub(crate) fn read(file: &Path, date_column: &str) -> anyhow::Result<Self> {
        let mut reader =
            csv::Reader::from_path(file).with_context(|| format!("cannot read {}", file.display()))?;
        let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let at = header.iter().position(|name| name == date_column).ok_or_else(|| {
            anyhow!("{} has no column `{date_column}`; name another with --date-column", file.display())
        })?;
        let mut days: BTreeMap<NaiveDate, Vec<_>> = BTreeMap::new();
        for (n, record) in reader.into_records().enumerate() {
            let values: Vec<String> = record?.iter().map(str::to_owned).collect();
            let millis = parse_time(&values[at]).ok_or_else(|| {
                anyhow!("{} row {}: `{}` is not a time that is known here", file.display(), n + 1, values[at])
            })?;
            let day =
                day_of(millis).ok_or_else(|| anyhow!("{} row {}: no such day", file.display(), n + 1))?;
            days.entry(day).or_default().push((millis - midnight(day), values));
        }
        days.values_mut().for_each(|rows| rows.sort_by_key(|(millis, _)| *millis));
        Ok(Self { header, date_column: at, days })
    }

    /// All columns text, but for the one that says when.
    pub(crate) fn contract(&self, table: &str) -> Contract {
        let kind = |n| if n == self.date_column { ColumnType::Timestamptz } else { ColumnType::Text };
        let columns: Vec<_> =
            self.header.iter().enumerate().map(|(n, name)| (name.as_str(), kind(n))).collect();
        contract_of(table, &self.header[self.date_column], &columns)
    }

    pub(crate) fn row(&self, day: NaiveDate, index: u64) -> Option<Row> {
        let (millis, values) = self.days.get(&day)?.get(usize::try_from(index).ok()?)?;
        let value = |text: &String| if text.is_empty() { Value::Null } else { Value::from(text.as_str()) };
        let cells = values
            .iter()
            .enumerate()
            .map(|(n, text)| match () {
                () if n == self.date_column => Cell::Time((midnight(day) + millis) * 1000),
                () if text.is_empty() => Cell::Null,
                () => Cell::Text(text.clone()),
            })
            .collect();
        let record = self.header.iter().cloned().zip(values.iter().map(value)).collect();
        Some(Row { record, cells })
    }
}

impl Shelf for Table {
    fn count(&self, day: NaiveDate) -> u64 {
        self.days.get(&day).map_or(0, |rows| rows.len() as u64)
    }

    fn millis(&self, day: NaiveDate, index: u64) -> i64 {
        let row = self.days.get(&day).and_then(|rows| rows.get(usize::try_from(index).ok()?));
        row.map_or(DAY_MS, |(millis, _)| *millis)
    }
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%m/%d/%Y %I:%M:%S %p"];
    let naive = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(from_local(naive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_into_days() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        std::fs::write(&file, "id,created_at\n2,2025-08-01 23:59:59\n1,2025-08-01\n,2025-08-02T10:00:00Z\n")
            .unwrap();
        let table = Table::read(&file, "created_at").unwrap();
        let day = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        let slice = table.slice(midnight(day)..midnight(day) + 3 * DAY_MS).unwrap();
        let ids: Vec<Value> = slice
            .page(0, 9)
            .into_iter()
            .map(|(day, n)| table.row(day, n).unwrap().record["id"].clone())
            .collect();
        assert_eq!(ids, [Value::from("1"), Value::from("2"), Value::Null]);
        let error = Table::read(&file, "when").err().unwrap().to_string();
        assert!(error.contains("--date-column"), "{error}");
    }
}
