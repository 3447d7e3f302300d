//! Whether an existing table takes what a source will bring. Pure: facts in, problems out, all at once.

use nstore_shared::{
    chunk::{ChunkRange, UploadMode},
    contract::{Column, ColumnType},
    storage::manifest::{SourcePlan, Upload},
};

use crate::db::tables::{Table, TableColumn};

/// What was found on a table or a plan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// What keeps it from being loaded.
    pub(super) problems: Vec<String>,
    /// What is worth a word.
    pub(super) notes: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// What is wrong with a plan, whatever table it meets.
pub(super) fn check_plan(plan: &SourcePlan, upload: &Upload, found: &mut Findings) {
    let contract = &plan.contract;
    let range_column = contract.range_column.as_deref().and_then(|name| contract.column(name));
    let Some(purpose) = deletes_by_range(plan, upload) else { return };
    match range_column.map(|column| column.kind) {
        None => found.problem(format!("{purpose} needs a range_column in the mapping")),
        Some(ColumnType::Timestamptz) => {}
        Some(ColumnType::Date) => {
            if plan.chunks.iter().any(|range| matches!(range, ChunkRange::Instants { .. })) {
                found.problem("a range_column of type date cannot hold chunks below a day");
            }
        }
        Some(other) => {
            found.problem(format!("the range_column is {other}: {purpose} needs date or timestamptz"));
        }
    }
}

/// What deletes rows by the range column, if anything does.
fn deletes_by_range(plan: &SourcePlan, upload: &Upload) -> Option<&'static str> {
    match plan.upload_mode {
        UploadMode::ReplaceRange => Some("replace_range"),
        UploadMode::Append if plan.contract.key.is_empty() && upload.reload => Some("--reload"),
        UploadMode::Append | UploadMode::Replace => None,
    }
}

/// Whether loads delete rows of the target.
pub(super) fn deletes(plan: &SourcePlan, upload: &Upload) -> bool {
    plan.upload_mode == UploadMode::Replace || deletes_by_range(plan, upload).is_some()
}

/// Appends that skip rows which are there already, by their key.
pub(super) fn skips(plan: &SourcePlan) -> bool {
    plan.upload_mode == UploadMode::Append && !plan.contract.key.is_empty()
}

/// What is wrong with a table that stands already.
pub(super) fn check_table(plan: &SourcePlan, upload: &Upload, table: &Table, found: &mut Findings) {
    if !["r", "p"].contains(&table.kind.as_str()) {
        found.problem("it is a view or something else that is no plain table");
        return;
    }
    check_rights(plan, upload, table, found);
    for wanted in &plan.contract.columns {
        match table.columns.iter().find(|column| column.name == wanted.name) {
            None => found.problem(format!("column `{}` ({}) is missing", wanted.name, wanted.kind)),
            Some(column) => check_column(wanted, column, found),
        }
    }
    for column in &table.columns {
        let filled = plan.contract.column(&column.name).is_some() || column.has_default || column.generated;
        if column.not_null && !filled {
            found.problem(format!(
                "column `{}` is NOT NULL without a default, and the mapping does not fill it",
                column.name
            ));
        }
    }
    check_key(plan, table, found);
    check_range_column(plan, upload, table, found);
}

/// Rows are deleted by it, so it must hold what the mapping says.
fn check_range_column(plan: &SourcePlan, upload: &Upload, table: &Table, found: &mut Findings) {
    let Some(purpose) = deletes_by_range(plan, upload) else { return };
    let Some(wanted) = plan.contract.range_column.as_deref().and_then(|name| plan.contract.column(name))
    else {
        return;
    };
    let Some(column) = table.columns.iter().find(|column| column.name == wanted.name) else { return };
    if column.base != wanted.kind.to_string() {
        found.problem(format!("{purpose} needs its range_column `{}` to be {}", wanted.name, wanted.kind));
    }
}

fn check_rights(plan: &SourcePlan, upload: &Upload, table: &Table, found: &mut Findings) {
    if !table.may_insert {
        found.problem("this role may not INSERT into it");
    }
    let deletes = plan.upload_mode == UploadMode::Replace || deletes_by_range(plan, upload).is_some();
    if deletes && !(table.may_delete && table.may_select) {
        found.problem(format!("upload mode {} needs the rights to SELECT and DELETE", plan.upload_mode));
    }
    if skips(plan) && !table.may_select {
        found.problem("append with a key needs the right to SELECT");
    }
}

fn check_key(plan: &SourcePlan, table: &Table, found: &mut Findings) {
    let key = &plan.contract.key;
    let mut sorted = key.clone();
    sorted.sort_unstable();
    for unique in table.uniques.iter().filter(|unique| **unique != sorted) {
        found.note(format!(
            "({}) is unique: rows with values that are present are refused",
            unique.join(", ")
        ));
    }
    if key.is_empty() {
        return;
    }
    let unique = table.uniques.contains(&sorted);
    if plan.upload_mode != UploadMode::Append {
        if !unique {
            found.note(format!(
                "no unique constraint on the key ({}): a key that two chunks have is not noticed",
                key.join(", ")
            ));
        }
        return;
    }
    if !unique {
        found.problem(format!("append with the key ({}) needs a unique constraint on it", key.join(", ")));
    }
    for column in table.columns.iter().filter(|column| key.contains(&column.name) && !column.not_null) {
        found.note(format!("key column `{}` may be null: rows without it are never skipped", column.name));
    }
}

fn check_column(wanted: &Column, column: &TableColumn, found: &mut Findings) {
    if column.generated {
        found.problem(format!("column `{}` is generated: it cannot be filled", column.name));
        return;
    }
    if column.always_identity {
        found.problem(format!("column `{}` is an identity that is always generated", column.name));
        return;
    }
    match fit(wanted.kind, column) {
        Fit::Yes => {}
        Fit::Mostly(why) => found.note(format!("column `{}` is {}: {why}", column.name, column.shown)),
        Fit::No(why) => found.problem(format!(
            "column `{}` is {}, the mapping says {}: {why}",
            column.name, column.shown, wanted.kind
        )),
    }
    if column.not_null && !wanted.required {
        let what = match &column.default_sql {
            Some(default) => format!("takes the default {default}"),
            None => "is refused".to_owned(),
        };
        found.note(format!("column `{}` is NOT NULL: a row without a value {what}", column.name));
    }
}

enum Fit {
    Yes,
    Mostly(&'static str),
    No(&'static str),
}

/// Whether values of a mapping's type go into a column as they are.
fn fit(wanted: ColumnType, column: &TableColumn) -> Fit {
    const TYPE: &str = "the types do not go together";
    const REFUSED: &str = "values that do not fit are refused";
    let base = column.base.as_str();
    if ["text", "varchar", "bpchar", "citext"].contains(&base) {
        let limited = base != "text" && column.modifier > 0;
        return match wanted {
            ColumnType::Text if limited => Fit::Mostly("longer values are refused"),
            ColumnType::Text => Fit::Yes,
            _ if limited => Fit::No(TYPE),
            _ => Fit::Mostly("values are stored as text"),
        };
    }
    match (wanted, base) {
        (ColumnType::Bigint, "int8")
        | (ColumnType::Double, "float8")
        | (ColumnType::Boolean, "bool")
        | (ColumnType::Date, "date" | "timestamp")
        | (ColumnType::Jsonb, "jsonb" | "json") => Fit::Yes,
        (ColumnType::Timestamptz, "timestamptz") => match column.modifier {
            -1 | 6 => Fit::Yes,
            _ => Fit::No("fractions of a second would be rounded"),
        },
        (ColumnType::Bigint | ColumnType::Double, "numeric") if column.modifier == -1 => Fit::Yes,
        (ColumnType::Bigint, "numeric") => fit_numeric(19, 0, column.modifier),
        (ColumnType::Numeric { precision, scale }, "numeric") => {
            fit_numeric(i32::from(precision), i32::from(scale), column.modifier)
        }
        (ColumnType::Bigint, "int4" | "int2") => Fit::Mostly("larger values are refused"),
        (ColumnType::Numeric { scale: 0, .. }, "int8" | "int4" | "int2") => {
            Fit::Mostly("larger values are refused")
        }
        (ColumnType::Numeric { .. } | ColumnType::Double, "float4" | "float8") => {
            Fit::No("digits would be lost")
        }
        (ColumnType::Numeric { .. } | ColumnType::Double, "int8" | "int4" | "int2") => {
            Fit::No("digits after the point are refused")
        }
        (ColumnType::Timestamptz, "timestamp") => Fit::No("the zone would be dropped in silence"),
        (ColumnType::Text, "uuid" | "inet" | "cidr" | "macaddr" | "xml") => Fit::Mostly(REFUSED),
        (ColumnType::Text, _) if column.kind == "e" => Fit::Mostly(REFUSED),
        _ => Fit::No(TYPE),
    }
}

/// A numeric column's modifier holds its precision and scale; without one it takes anything.
fn fit_numeric(precision: i32, scale: i32, modifier: i32) -> Fit {
    if modifier < 4 {
        return Fit::Yes;
    }
    let packed = modifier - 4;
    // the scale is a signed number of 11 bits
    let (has_precision, has_scale) = ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024);
    if has_scale < scale {
        Fit::No("digits after the point would be rounded")
    } else if has_precision - has_scale < precision - scale {
        Fit::Mostly("larger values are refused")
    } else {
        Fit::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, modifier: i32) -> TableColumn {
        TableColumn {
            name: "c".into(),
            shown: base.into(),
            base: base.into(),
            kind: "b".into(),
            modifier,
            not_null: false,
            has_default: false,
            generated: false,
            always_identity: false,
            stored: base.into(),
            default_sql: None,
        }
    }

    fn verdict(wanted: ColumnType, base: &str, modifier: i32) -> char {
        match fit(wanted, &column(base, modifier)) {
            Fit::Yes => 'y',
            Fit::Mostly(_) => 'm',
            Fit::No(_) => 'n',
        }
    }

    #[test]
    fn nothing_is_rounded_or_shifted_in_silence() {
        let numeric = |precision, scale| ColumnType::Numeric { precision, scale };
        let modifier = |precision: i32, scale: i32| ((precision << 16) | scale) + 4;
        for (wanted, base, modifier, expected) in [
            (ColumnType::Text, "text", -1, 'y'),
            (ColumnType::Text, "varchar", 24, 'm'),
            (ColumnType::Text, "int8", -1, 'n'),
            (ColumnType::Bigint, "int4", -1, 'm'),
            (ColumnType::Bigint, "bool", -1, 'n'),
            (ColumnType::Timestamptz, "timestamp", -1, 'n'),
            (ColumnType::Timestamptz, "timestamptz", 0, 'n'),
            (ColumnType::Date, "timestamptz", -1, 'n'),
            (ColumnType::Double, "float4", -1, 'n'),
            (numeric(12, 2), "float8", -1, 'n'),
            (numeric(12, 2), "numeric", -1, 'y'),
            (numeric(12, 2), "numeric", modifier(12, 2), 'y'),
            (numeric(12, 2), "numeric", modifier(10, 2), 'm'),
            (numeric(12, 2), "numeric", modifier(12, 1), 'n'),
        ] {
            assert_eq!(verdict(wanted, base, modifier), expected, "{wanted} into {base} {modifier}");
        }
    }
}
