//! What a dashboard reads against what its mapping takes: a name that only one of the two has would load nothing but
//! nulls. Pure.

use super::whole::Whole;
use crate::{
    chunk::SourceId,
    config::{
        document::Document,
        nearest,
        path::{FieldPath, PathStep},
        spec::{
            ExtractSpec, SourceSpec,
            browser::{LaneHow, Read},
        },
    },
    contract::Contract,
};

/// Each field of the mapping is one of the columns that are read, and each of these is taken by the mapping.
pub(super) fn agree(
    id: &SourceId,
    doc: &mut Document,
    spec: &SourceSpec,
    contract: &Contract,
    mapping: &str,
    whole: &mut Whole,
) {
    let ExtractSpec::Browser(browser) = &spec.extract else { return };
    let Some(read) = browser.read() else { return };
    let step = (0..).map(|at: usize| at.to_string()).take_while(|at| doc.has(&["steps", at]));
    let Some(step) = step.filter(|at| doc.has(&["steps", at, "read"])).last() else { return };
    let path = ["steps", &step, "read", "columns"];
    let names: Vec<&str> = read.columns.iter().map(String::as_str).collect();
    for column in &contract.columns {
        let field = column.from.as_str();
        if only_key(&column.from).is_some_and(|key| names.contains(&key)) {
            continue;
        }
        let message =
            format!("mapping `{mapping}` takes the field `{field}`, which is not one of the `columns`");
        let flat = column.from.flat_key().filter(|flat| names.contains(flat));
        let hint = match flat {
            // rows that are read from a page have no fields inside fields
            Some(flat) => Some(format!("write it in quotes in mappings/{mapping}.yaml: from: '\"{flat}\"'")),
            None => nearest::hint(field, "columns", &names),
        };
        doc.fault(&path, message, hint);
    }
    number_styles(doc, contract, mapping);
    // cells that are told by their place need a name, taken or not
    if has_places(read) || !doc.clean(&path) {
        return;
    }
    for (at, name) in read.columns.iter().enumerate() {
        if !contract.columns.iter().any(|column| only_key(&column.from) == Some(name)) {
            let path = ["steps", &step, "read", "columns", &at.to_string()];
            let hint = format!("remove it, or take it in mappings/{mapping}.yaml");
            let message = format!("`{name}` is read, and mapping `{mapping}` takes no field of that name");
            whole.warn(id, doc.remark(&path, message, Some(hint)));
        }
    }
}

/// The key that a path is, if it is one key.
fn only_key(path: &FieldPath) -> Option<&str> {
    match path.steps() {
        [PathStep::Key(key)] => Some(key),
        _ => None,
    }
}

/// Cells are converted where they are read. A style in the mapping would meet plain numbers there, and could take the
/// decimal point of `1.234` for a sign between groups.
fn number_styles(doc: &mut Document, contract: &Contract, mapping: &str) {
    if let Some(column) = contract.columns.iter().find(|column| column.numbers.is_some()) {
        let message = format!(
            "mapping `{mapping}` has a number style for `{}`, which only HTTP sources may have",
            column.name
        );
        let hint =
            format!("remove `numbers` from mappings/{mapping}.yaml, and say it under `formats` of each lane");
        doc.fault(&["mapping"], message, Some(hint));
    }
}

fn has_places(read: &Read) -> bool {
    read.lanes.iter().any(|lane| matches!(lane.how, LaneHow::Grid { by_header: false, .. }))
}
