//! What a dashboard reads against what its mapping takes: a name that only one of the two has would load nothing but
//! nulls. Pure.

use super::whole::Whole;
use crate::{
    chunk::SourceId,
    config::{
        document::Document,
        nearest,
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
        let field = column.from.join(".");
        if !names.contains(&field.as_str()) {
            let message =
                format!("mapping `{mapping}` takes the field `{field}`, which is none of the `columns`");
            doc.fault(&path, message, nearest::hint(&field, "columns", &names));
        }
    }
    // cells that are told by their place need a name, taken or not
    if has_places(read) || !doc.clean(&path) {
        return;
    }
    for (at, name) in read.columns.iter().enumerate() {
        if !contract.columns.iter().any(|column| column.from.join(".") == *name) {
            let path = ["steps", &step, "read", "columns", &at.to_string()];
            let hint = format!("remove it, or take it in mappings/{mapping}.yaml");
            let message = format!("`{name}` is read, and mapping `{mapping}` takes no field of that name");
            whole.warn(id, doc.remark(&path, message, Some(hint)));
        }
    }
}

fn has_places(read: &Read) -> bool {
    read.lanes.iter().any(|lane| matches!(lane.how, LaneHow::Grid { by_header: false, .. }))
}
