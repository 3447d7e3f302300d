//! The rules of a dashboard's `read` step: the lanes and their columns. Pure.

use std::collections::BTreeMap;

use super::{
    browser::{Place, selector},
    source::time,
    value,
};
use crate::config::{
    cell_format::CellFormat,
    nearest,
    path::FieldPath,
    raw::browser as raw,
    spec::browser::{AnswerFormat, ExportFormat, Lane, LaneHow, LaneSpec, Read, SheetLayout},
};

/// Where Power BI cuts an export off.
const CSV_CAP: u64 = 30_000;
const XLSX_CAP: u64 = 150_000;

/// How the rows are read.
pub(super) fn read(mut place: Place<'_>, raw: &raw::Read) -> Read {
    known_columns(&mut place, raw);
    for (name, there) in
        [("response", raw.response.is_some()), ("export", raw.export.is_some()), ("grid", raw.grid.is_some())]
    {
        if there && !raw.lanes.iter().any(|lane| lane.to_string() == name) {
            let hint = format!("add `{name}` to `lanes`, or remove `{name}:`");
            place.fault(&["read", name], format!("`{name}` is described, but no lane of this step"), &hint);
        }
    }
    unused_keys(&mut place, raw);
    usable_values(&mut place, raw);
    if let Some(lane) = raw.response.as_ref().filter(|lane| lane.format == AnswerFormat::Json)
        && lane.cap.is_none()
        && raw.total.is_none()
    {
        let hint = "add `total`, where the page says how many rows there are, or `cap`, how many an answer has at most";
        place.fault(&["read", "response"], "nothing shows whether a json answer is whole", hint);
    }
    let mut lanes = Vec::new();
    for (at, name) in raw.lanes.iter().enumerate() {
        let word = name.to_string();
        if raw.lanes[..at].contains(name) {
            place.fault(
                &["read", "lanes", &at.to_string()],
                format!("lane `{word}` is listed twice"),
                "once",
            );
        }
        match lane(raw, *name) {
            Some(lane) => lanes.push(lane),
            None => {
                let hint = format!("describe it: `{word}: {{ … }}` beside `lanes`, or remove it");
                place.fault(
                    &["read", "lanes", &at.to_string()],
                    format!("nothing says how to read lane `{word}`"),
                    &hint,
                );
            }
        }
    }
    Read {
        lanes,
        columns: raw.columns.clone(),
        allow_empty: raw.allow_empty,
        empty: raw.empty.as_deref().map(selector),
        total: raw.total.as_ref().map(|total| selector(&total.selector)),
        busy: raw.busy.as_deref().map(selector),
        ignore: raw.ignore.clone(),
        settle: time(&raw.settle),
    }
}

/// What has no meaning for a format would be ignored in silence.
fn unused_keys(place: &mut Place<'_>, raw: &raw::Read) {
    let response = raw.response.as_ref().filter(|lane| lane.format == AnswerFormat::Dsr);
    let (csv, xlsx) = (ExportFormat::Csv, ExportFormat::Xlsx);
    let export = |format: ExportFormat| raw.export.as_ref().is_some_and(|lane| lane.format == format);
    for (unused, path, format) in [
        (response.is_some(), ["read", "response", "records"], "dsr"),
        (response.is_some(), ["read", "response", "parts"], "dsr"),
        (export(csv), ["read", "export", "sheet"], "csv"),
        (export(xlsx), ["read", "export", "delimiter"], "xlsx"),
        (export(xlsx), ["read", "export", "encoding"], "xlsx"),
    ] {
        if unused && place.has(&path) {
            let message = format!("`{}` means nothing for `format: {format}`", path[2]);
            place.fault(&path, message, "remove it");
        }
    }
}

/// What the shape of the file cannot tell: encodings, and paths of a JSON answer.
fn usable_values(place: &mut Place<'_>, raw: &raw::Read) {
    if let Some(label) = raw.export.as_ref().and_then(|lane| lane.encoding.as_deref())
        && encoding_rs::Encoding::for_label(label.as_bytes()).is_none()
    {
        let hint = "for example utf-8, utf-16le, windows-1252, iso-8859-2 or shift_jis";
        place.fault(&["read", "export", "encoding"], format!("`{label}` is not a known encoding"), hint);
    }
    if raw.export.as_ref().is_some_and(|lane| lane.drop_rows.iter().any(|text| text.trim().is_empty())) {
        let message = "an empty text would match every row";
        place.fault(&["read", "export", "drop_rows"], message, "name the text that such rows begin with");
    }
    let Some(lane) = raw.response.as_ref().filter(|lane| lane.format == AnswerFormat::Json) else { return };
    for (column, name) in &lane.names {
        if let Err(error) = name.parse::<FieldPath>() {
            let hint = format!("write {}", crate::config::path::FORMS);
            place.fault(&["read", "response", "names", column], error.to_string(), &hint);
        }
    }
    if let Some(Err(error)) = lane.records.as_ref().map(|path| path.parse::<FieldPath>()) {
        let hint = format!("write {}", crate::config::path::FORMS);
        place.fault(&["read", "response", "records"], error.to_string(), &hint);
    }
}

/// Names and formats must be of columns that are read.
fn known_columns(place: &mut Place<'_>, raw: &raw::Read) {
    let columns: Vec<&str> = raw.columns.iter().map(String::as_str).collect();
    let sections = ["response", "export", "grid"].map(|lane| [lane, "names"]).into_iter();
    let sections = sections.chain(["response", "export", "grid"].map(|lane| [lane, "formats"]));
    let mut paths: Vec<Vec<&str>> = sections.map(|[lane, section]| vec!["read", lane, section]).collect();
    paths.push(vec!["read", "formats"]);
    for path in paths {
        for name in place.keys(&path) {
            if !columns.contains(&name.as_str()) {
                let hint = nearest::hint(&name, "columns", &columns).unwrap_or_default();
                let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
                place.fault(&path, format!("`{name}` is none of the `columns`"), &hint);
            }
        }
    }
}

fn lane(raw: &raw::Read, name: Lane) -> Option<LaneSpec> {
    let (how, names, formats, cap) = match name {
        Lane::Response => {
            let lane = raw.response.as_ref()?;
            let records = lane.records.as_deref().unwrap_or_default().parse().unwrap_or_default();
            let parts = lane.parts.unwrap_or_default();
            let how = LaneHow::Response { url: lane.url.clone(), format: lane.format, records, parts };
            (how, &lane.names, &lane.formats, lane.cap)
        }
        Lane::Export => {
            let lane = raw.export.as_ref()?;
            let cap = if lane.format == ExportFormat::Csv { CSV_CAP } else { XLSX_CAP };
            let how = LaneHow::Export {
                clicks: lane.clicks.iter().map(|click| selector(&click.0)).collect(),
                format: lane.format,
                layout: SheetLayout {
                    delimiter: lane.delimiter,
                    sheet: lane.sheet.clone(),
                    encoding: lane.encoding.clone(),
                    header_row: lane.header_row,
                    skip_footer: lane.skip_footer,
                    drop_rows: lane.drop_rows.clone(),
                },
            };
            (how, &lane.names, &lane.formats, lane.cap.or(Some(cap)))
        }
        Lane::Grid => {
            let lane = raw.grid.as_ref()?;
            let by_header = !lane.names.is_empty();
            let how = LaneHow::Grid {
                selector: selector(&lane.selector),
                by_header,
                trim: lane.trim,
                paginate: None,
            };
            (how, &lane.names, &lane.formats, lane.cap)
        }
    };
    let name_of = |column: &String| names.get(column).unwrap_or(column).clone();
    let format_of = |column: &String| {
        let text = formats.get(column).or_else(|| raw.formats.get(column))?;
        Some((column.clone(), value::cell_format(&text.0).ok()?))
    };
    Some(LaneSpec {
        how,
        names: raw.columns.iter().map(name_of).collect(),
        formats: raw.columns.iter().filter_map(format_of).collect::<BTreeMap<String, CellFormat>>(),
        cap,
    })
}
