//! Rows that leave out what repeats -> whole rows. Pure.
//!
//! A row with a schema sets the columns from there on. For column i from bit 0: `R` set repeats the logical value of
//! the row before, null included; `Ø` set is null; else the next value of `C`. Each level of the answer
//! (`DM0` outside, then `DM1`, …) has a schema and a row before of its own. The innermost level holds the detail,
//! to which the rows around it lend their values; rows further out are totals.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::{
    value::{self, Dictionaries},
    wire::{Column, Members, Row, Shape},
};

/// Columns that group rows are called `G0`, `G1`, …
const GROUP: char = 'G';

/// A column's name and its value in a row.
type Named = (String, Option<String>);

/// What a level remembers from row to row.
#[derive(Default)]
struct Level {
    columns: Vec<Column>,
    /// The logical values of the row before, one per column; `None` where there was none yet.
    before: Vec<Option<Option<String>>>,
}

/// Reads the rows of one shape.
pub(super) struct Rows<'r, 'a> {
    wanted: &'r [&'r str],
    lists: &'r Dictionaries<'a>,
    /// The innermost level.
    detail: usize,
    levels: HashMap<usize, Level>,
    /// Rows met so far, of all levels.
    met: usize,
    rows: Vec<Vec<Option<String>>>,
}

impl<'r, 'a> Rows<'r, 'a> {
    /// The wanted columns of all detail rows.
    pub(super) fn read(
        shape: &'r Shape<'a>,
        wanted: &'r [&'r str],
    ) -> Result<Vec<Vec<Option<String>>>, String> {
        let mut rows = Self {
            wanted,
            lists: &shape.dictionaries,
            detail: shape.members.iter().map(innermost).max().unwrap_or_default(),
            levels: HashMap::new(),
            met: 0,
            rows: Vec::new(),
        };
        rows.members(&shape.members, &[])?;
        Ok(rows.rows)
    }

    fn members(&mut self, members: &[Members<'a>], outer: &[Named]) -> Result<(), String> {
        for (level, rows) in members.iter().flat_map(|members| &members.0) {
            for row in rows {
                self.met += 1;
                let number = self.met;
                self.row(*level, row, outer).map_err(|why| match why {
                    Fault::Here(why) => format!("row {number}: {why}"),
                    Fault::Below(why) => why,
                })?;
            }
        }
        Ok(())
    }

    fn row(&mut self, level: usize, row: &Row<'a>, outer: &[Named]) -> Result<(), Fault> {
        let state = self.levels.entry(level).or_default();
        if let Some(columns) = &row.schema {
            state.change(columns);
        }
        state.take(row, self.lists)?;
        if level == self.detail {
            let whole = self.wanted.iter().map(|name| state.value(name, outer)).collect::<Result<_, _>>()?;
            self.rows.push(whole);
            return Ok(());
        }
        let Some(below) = &row.below else {
            return match state.columns.iter().find(|column| column.name.starts_with(GROUP)) {
                Some(group) => Err(Fault::Here(format!("the group `{}` has no detail rows", group.name))),
                None => Ok(()),
            };
        };
        let mut lent = state.named();
        lent.extend(outer.iter().filter(|(name, _)| state.place(name).is_none()).cloned());
        self.members(below, &lent).map_err(Fault::Below)
    }
}

/// What is wrong: in this row, or in one below it, told with its number already.
enum Fault {
    Here(String),
    Below(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Here(why)
    }
}

impl Level {
    /// Sets the columns. A column that stays has its row before still.
    fn change(&mut self, columns: &[Column]) {
        let before = |column: &Column| {
            let place = self.place(&column.name)?;
            self.before[place].clone()
        };
        self.before = columns.iter().map(before).collect();
        self.columns = columns.to_vec();
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Reads a row into `before`, where the next one finds it.
    fn take(&mut self, row: &Row<'_>, lists: &Dictionaries<'_>) -> Result<(), String> {
        if self.columns.is_empty() && row.values.as_ref().is_none_or(|values| !values.is_empty()) {
            return Err("no schema came before it".to_owned());
        }
        let (repeat, null) = (bits("R", row.repeat)?, bits("Ø", row.null)?);
        let is_set = |bits: u64, index: usize| index < 64 && bits >> index & 1 == 1;
        let mut values = row.values.iter().flatten();
        for (index, (column, before)) in self.columns.iter().zip(&mut self.before).enumerate() {
            if is_set(repeat, index) {
                if before.is_none() {
                    return Err(format!("`{}` repeats a row that is not there", column.name));
                }
                continue;
            }
            if is_set(null, index) {
                *before = Some(None);
                continue;
            }
            let raw = match &row.values {
                Some(_) => values.next().copied(),
                None => row.named.iter().find(|(name, _)| *name == column.name).map(|(_, raw)| *raw),
            };
            let raw = raw.ok_or_else(|| format!("it has no value for `{}`", column.name))?;
            *before =
                Some(value::text(raw, column, lists).map_err(|why| format!("`{}`: {why}", column.name))?);
        }
        match values.count() {
            0 => Ok(()),
            left => Err(format!("{left} of its values belong to no column")),
        }
    }

    fn value(&self, name: &str, outer: &[Named]) -> Result<Option<String>, String> {
        if let Some(place) = self.place(name) {
            return Ok(self.before[place].clone().flatten());
        }
        let lent = outer.iter().find(|(lent, _)| lent == name);
        lent.map(|(_, value)| value.clone()).ok_or_else(|| format!("its schema has no column `{name}`"))
    }

    fn named(&self) -> Vec<Named> {
        let values = self.before.iter().map(|before| before.clone().flatten());
        self.columns.iter().map(|column| column.name.clone()).zip(values).collect()
    }
}

fn innermost(members: &Members<'_>) -> usize {
    let below = |row: &Row<'_>| row.below.iter().flatten().map(innermost).max().unwrap_or_default();
    let level =
        |(level, rows): &(usize, Vec<Row<'_>>)| rows.iter().map(below).max().unwrap_or_default().max(*level);
    members.0.iter().map(level).max().unwrap_or_default()
}

fn bits(key: &str, raw: Option<&RawValue>) -> Result<u64, String> {
    raw.map_or(Ok(0), |raw| {
        raw.get().parse().map_err(|_| format!("`{key}` is {}, which are no bits", cut(raw)))
    })
}

fn cut(raw: &RawValue) -> String {
    raw.get().chars().take(40).collect()
}
