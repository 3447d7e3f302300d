//! The rules of a mapping: a contract for its target table. Pure.

use super::value;
use crate::{
    config::{document::Document, nearest, numbers::NumberStyle, path::FieldPath, raw::mapping as raw},
    contract::{Column, ColumnType, Contract, RejectLimit},
};

/// Columns that every table of Postgres has already.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// More columns than this no table of Postgres can have.
const MOST_COLUMNS: usize = 1600;

/// The contract of a mapping file, with its rules checked.
pub(crate) fn contract(doc: &mut Document, raw: &raw::MappingFile) -> Contract {
    let table = table(doc, &raw.table);
    let allow = &raw.rejects.allow.0;
    let rejects = value::reject_limit(allow).unwrap_or(RejectLimit::Rows(0));
    let columns = columns(doc, raw);
    if raw.percent.is_some() && raw.numbers.is_none() && !raw.columns.values().any(|c| c.numbers.is_some()) {
        let hint = "add `numbers: \"1,234.50\"` with the signs of its numbers".to_owned();
        doc.fault(&["percent"], "`percent` says something only where `numbers` does", Some(hint));
    }
    let contract = Contract {
        table,
        key: raw.key.clone(),
        range_column: raw.range_column.clone(),
        rejects,
        nul: raw.nul,
        ambiguous: raw.ambiguous,
        columns,
    };
    key(doc, &contract);
    range_column(doc, &contract);
    contract
}

fn table(doc: &mut Document, name: &str) -> String {
    if let Some((schema, rest)) = name.split_once('.') {
        let hint =
            format!("write `table: {rest}`; the schema `{schema}` belongs into pipeline.yaml under postgres");
        doc.fault(&["table"], "a table is named without its schema", Some(hint));
    }
    doc.take(&["table"], value::identifier("table", name), ());
    name.to_owned()
}

fn columns(doc: &mut Document, raw: &raw::MappingFile) -> Vec<Column> {
    let names = doc.keys(&["columns"]);
    if names.is_empty() || names.len() > MOST_COLUMNS {
        let message = format!("a table has 1 to {MOST_COLUMNS} columns, not {}", names.len());
        doc.fault(&["columns"], message, Some("name: { type: text }".to_owned()));
    }
    names.iter().filter_map(|name| Some(column(doc, name, raw.columns.get(name)?, raw))).collect()
}

fn column(doc: &mut Document, name: &str, raw: &raw::ColumnEntry, file: &raw::MappingFile) -> Column {
    let place = ["columns", name];
    if let Err(wrong) = value::identifier("column", name) {
        doc.fault_at_key(&place, wrong.message, wrong.hint);
    } else if SYSTEM_COLUMNS.contains(&name) {
        let hint = format!("rename it, and say `from: {name}`");
        doc.fault_at_key(&place, format!("every table has a system column `{name}` already"), Some(hint));
    }
    let kind = value::column_type(&raw.kind).unwrap_or(ColumnType::Text);
    let from = raw.from.as_ref().and_then(|path| value::field_path(path).ok());
    let place = ["columns", name, "format"];
    let format = raw.format.as_ref().and_then(|text| value::record_format(text).ok());
    let dated = matches!(kind, ColumnType::Date | ColumnType::Timestamptz);
    if raw.format.is_some() && !dated && doc.clean(&["columns", name]) {
        let hint = "remove it, or give the column one of these types".to_owned();
        doc.fault_at_key(&place, "only `date` and `timestamptz` columns have a format", Some(hint));
    }
    let null_values = raw.null_values.as_ref().unwrap_or(&file.null_values);
    Column {
        from: from.unwrap_or_else(|| FieldPath::key(name)),
        format,
        required: raw.required,
        on_absent: raw.on_absent,
        numbers: numbers(doc, name, kind, raw, file),
        null_values: null_values.iter().map(|value| value.0.clone()).collect(),
        ..Column::new(name, kind)
    }
}

/// The column's own number style, or that of the mapping.
fn numbers(
    doc: &mut Document,
    name: &str,
    kind: ColumnType,
    raw: &raw::ColumnEntry,
    file: &raw::MappingFile,
) -> Option<NumberStyle> {
    let is_number = matches!(kind, ColumnType::Bigint | ColumnType::Numeric { .. } | ColumnType::Double);
    let written = raw.numbers.as_ref().or(file.numbers.as_ref().filter(|_| is_number));
    let clean = doc.clean(&["columns", name]);
    if clean && raw.numbers.is_some() && !is_number {
        let hint = "remove it, or give the column one of these types".to_owned();
        let message = "only `bigint`, `numeric` and `double` columns have a number style";
        doc.fault(&["columns", name, "numbers"], message, Some(hint));
    }
    if clean && raw.percent.is_some() && (written.is_none() || !is_number) {
        let hint = "add `numbers: \"1,234.50\"` with the signs of its numbers".to_owned();
        let message = "`percent` says something only where `numbers` does";
        doc.fault(&["columns", name, "percent"], message, Some(hint));
    }
    let style = value::number_style(written?).ok()?;
    Some(NumberStyle { percent: raw.percent.or(file.percent).unwrap_or_default(), ..style })
}

fn unknown_column(doc: &mut Document, path: &[&str], name: &str) {
    let names = doc.keys(&["columns"]);
    let hint = nearest::hint(name, "columns", &names.iter().map(String::as_str).collect::<Vec<_>>());
    doc.fault(path, format!("there is no column `{name}`"), hint);
}

fn key(doc: &mut Document, contract: &Contract) {
    let known = doc.keys(&["columns"]);
    for (index, name) in contract.key.iter().enumerate() {
        let place = index.to_string();
        let path = ["key", place.as_str()];
        if contract.key[..index].contains(name) {
            doc.fault(
                &path,
                format!("column `{name}` stands in the key twice"),
                Some("remove one".to_owned()),
            );
        } else if !known.contains(name) {
            unknown_column(doc, &path, name);
        } else if let Some(column) = contract.column(name)
            && doc.clean(&["columns", name])
        {
            if !column.required {
                let hint = "add `required: true` to the column: a key holds no null".to_owned();
                doc.fault(&path, format!("key column `{name}` is not required"), Some(hint));
            }
            if column.kind == ColumnType::Jsonb {
                let hint = "choose columns of other types".to_owned();
                doc.fault(&path, format!("key column `{name}` is of type jsonb"), Some(hint));
            }
        }
    }
}

fn range_column(doc: &mut Document, contract: &Contract) {
    let Some(name) = &contract.range_column else { return };
    let path = ["range_column"];
    if !doc.keys(&["columns"]).contains(name) {
        unknown_column(doc, &path, name);
        return;
    }
    let Some(column) = contract.column(name).filter(|_| doc.clean(&["columns", name])) else { return };
    if !matches!(column.kind, ColumnType::Timestamptz | ColumnType::Date) {
        let hint = "a range column is of type timestamptz or date".to_owned();
        doc.fault(&path, format!("range column `{name}` is of type {}", column.kind), Some(hint));
    } else if !column.required {
        let hint = "add `required: true` to the column: a row without it lies in no chunk".to_owned();
        doc.fault(&path, format!("range column `{name}` is not required"), Some(hint));
    }
}
