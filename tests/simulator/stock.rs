//! All that the marketplace holds, from wherever it comes: slices of it, pages of a slice, the truth about it.

use std::{collections::BTreeMap, ops::Range, path::Path};

use chrono::NaiveDate;
use nstore_shared::contract::Contract;
use serde_json::{Map, Value};

use super::{
    calendar::{Shelf, Slice, days},
    cell::row_checksum,
    files::Table,
    rows::{Api, Generated, Row, World},
    truth::Truth,
};

/// The rows of all six sources.
pub(crate) enum Stock {
    /// Made when asked for.
    World(World),
    /// Read from files; a source without a file has no rows.
    Files(BTreeMap<Api, Table>),
}

impl Stock {
    /// Reads `<source>.csv` for each source that has one.
    pub(crate) fn read(dir: &Path, date_column: &str) -> anyhow::Result<Self> {
        let mut tables = BTreeMap::new();
        for api in Api::ALL {
            let file = dir.join(api.name()).with_extension("csv");
            if file.exists() {
                tables.insert(api, Table::read(&file, date_column)?);
            }
        }
        anyhow::ensure!(!tables.is_empty(), "{} holds no <source>.csv", dir.display());
        Ok(Self::Files(tables))
    }

    /// The columns of an API's table.
    pub(crate) fn contract(&self, api: Api) -> Contract {
        match self {
            Self::World(_) => api.contract(),
            Self::Files(tables) => {
                tables.get(&api).map_or_else(|| api.contract(), |table| table.contract(api.name()))
            }
        }
    }

    /// The rows of an API within `[start, end)` milliseconds since 1970.
    pub(crate) fn slice(&self, api: Api, range: Range<i64>) -> Option<Slice> {
        match self {
            Self::World(world) => Generated(world, api).slice(range),
            Self::Files(tables) => match tables.get(&api) {
                Some(table) => table.slice(range),
                None => Some(Slice::default()),
            },
        }
    }

    fn count(&self, api: Api, day: NaiveDate) -> u64 {
        match self {
            Self::World(world) => world.count(api, day),
            Self::Files(tables) => tables.get(&api).map_or(0, |table| table.count(day)),
        }
    }

    /// One row.
    pub(crate) fn row(&self, api: Api, day: NaiveDate, index: u64) -> Option<Row> {
        match self {
            Self::World(world) => Some(world.row(api, day, index)),
            Self::Files(tables) => tables.get(&api)?.row(day, index),
        }
    }

    /// What the table of an API must hold for these days, both included.
    pub(crate) fn truth(&self, api: Api, first: NaiveDate, last: NaiveDate) -> Truth {
        let by_day = days(first, last).map(|day| {
            let rows = self.count(api, day);
            let checksum = (0..rows)
                .filter_map(|index| self.row(api, day, index))
                .map(|row| u128::from(row_checksum(&row.cells)))
                .sum::<u128>();
            (day, rows, checksum)
        });
        Truth::of(api.name(), by_day)
    }
}

/// The rows that one request asks about.
pub(crate) struct View<'a> {
    pub(crate) stock: &'a Stock,
    pub(crate) api: Api,
    pub(crate) slice: Slice,
}

impl View<'_> {
    /// Rows in all.
    pub(crate) fn total(&self) -> u64 {
        self.slice.total
    }

    /// Up to `limit` records after `offset`, oldest first.
    pub(crate) fn records(&self, offset: u64, limit: u64) -> Vec<Map<String, Value>> {
        let rows = self.slice.page(offset, limit);
        rows.into_iter()
            .filter_map(|(day, index)| Some(self.stock.row(self.api, day, index)?.record))
            .collect()
    }

    /// Up to `limit` records after `offset`, newest first.
    pub(crate) fn newest_first(&self, offset: u64, limit: u64) -> Vec<Map<String, Value>> {
        let end = self.total().saturating_sub(offset);
        let start = end.saturating_sub(limit);
        let mut records = self.records(start, end - start);
        records.reverse();
        records
    }
}
