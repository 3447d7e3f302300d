//! An exported xlsx workbook -> rows. Pure.
//!
//! Numbers in a workbook are binary floats. They come out as text of at most 15 digits, as many as the program
//! shows that wrote them; whole numbers come out whole. Dates come out as the naive local times that they are.

use std::io::Cursor;

use calamine::{Data, ExcelDateTime, Reader as _, Xlsx, XlsxError};

use nstore_shared::config::spec::browser::SheetLayout;

use super::{
    page,
    sheet::{self, Record, Sheet, SheetError},
};

/// From here on a float skips whole numbers.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// The first day after 9999-12-31, in days as workbooks count them.
const END_OF_TIME: f64 = 2_958_466.0;
/// Columns of a workbook, at most. One that claims more is damaged.
const MOST_COLUMNS: usize = 16_384;

/// A row that holds anything: its number from 0, and its cells from the first column on.
type Line = (u32, Vec<Option<String>>);

/// The columns of the wanted headers in a sheet, the first unless one is named. The headers are in the row that the layout
/// names, or else the first row that holds all of them, since notes may stand above.
///
/// Empty rows are passed over. So is a row below an empty one that holds nothing but one text in the sheet's
/// first column: a note on the filters that were applied.
///
/// # Errors
/// When it is no workbook, or lacks the sheet or a column.
pub fn decode<S: AsRef<str>>(bytes: &[u8], layout: &SheetLayout, wanted: &[S]) -> Result<Sheet, SheetError> {
    if let Some(title) = page::title(bytes) {
        return Err(SheetError::Page(title));
    }
    let lines = lines(bytes, layout.sheet.as_deref())?;
    let (header, places) = match layout.header_row {
        Some(row) => named_header(&lines, row, wanted)?,
        None => header(&lines, wanted)?,
    };
    let columns = lines[header].1.iter().flatten().count();
    let mut records = Vec::new();
    for pair in lines[header..].windows(2) {
        let ((above, _), (number, cells)) = (&pair[0], &pair[1]);
        if *number > above + 1 && columns > 1 && is_note(cells) {
            continue;
        }
        records.push(Record { line: u64::from(*number) + 1, fields: cells.clone() });
    }
    sheet::rows(records, &places, None, layout)
}

fn is_note(cells: &[Option<String>]) -> bool {
    cells.iter().flatten().count() == 1 && cells[0].is_some()
}

/// The rows that hold anything. Read cell by cell: a stray cell at a far corner costs no memory for what lies between.
fn lines(bytes: &[u8], sheet: Option<&str>) -> Result<Vec<Line>, SheetError> {
    let unreadable = |error: XlsxError| SheetError::Workbook(error.to_string());
    let mut workbook: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    let there = workbook.sheet_names();
    let name = match sheet {
        Some(name) => there
            .iter()
            .find(|known| known.as_str() == name)
            .ok_or_else(|| SheetError::NoSheet { name: name.to_owned(), there: there.clone() })?,
        None => there.first().ok_or_else(|| SheetError::Workbook("it has no sheet".to_owned()))?,
    };
    let mut cells = workbook.worksheet_cells_reader(name).map_err(unreadable)?;
    let mut lines: Vec<Line> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = cell.get_position();
        let Some(text) = text(Data::from(cell.get_value().clone())) else { continue };
        let column = usize::try_from(column).unwrap_or(MOST_COLUMNS);
        if column >= MOST_COLUMNS {
            return Err(SheetError::Workbook(format!("a cell stands in column {column}")));
        }
        match lines.last() {
            Some((last, _)) if *last == row => {}
            Some((last, _)) if *last > row => {
                return Err(SheetError::Workbook("its rows are out of order".to_owned()));
            }
            _ => lines.push((row, Vec::new())),
        }
        if let Some((_, values)) = lines.last_mut() {
            values.resize(values.len().max(column + 1), None);
            values[column] = Some(text);
        }
    }
    Ok(lines)
}

/// The row that the layout names, from 1, and the places of the wanted headers in it.
fn named_header<S: AsRef<str>>(
    lines: &[Line],
    row: u32,
    wanted: &[S],
) -> Result<(usize, Vec<usize>), SheetError> {
    let found = lines.iter().position(|(number, _)| number + 1 == row);
    let index = found.ok_or(SheetError::NoHeader(row))?;
    let headers: Vec<String> = lines[index].1.iter().map(|cell| cell.clone().unwrap_or_default()).collect();
    sheet::places(&headers, wanted).map(|places| (index, places))
}

/// The row of the headers, and the places of the wanted ones in it.
fn header<S: AsRef<str>>(lines: &[Line], wanted: &[S]) -> Result<(usize, Vec<usize>), SheetError> {
    // of the rows that lack a name, the one that lacks the fewest is most likely meant
    let mut nearest: Option<(usize, SheetError)> = None;
    for (index, (_, cells)) in lines.iter().enumerate() {
        let headers: Vec<String> = cells.iter().map(|cell| cell.clone().unwrap_or_default()).collect();
        match sheet::places(&headers, wanted) {
            Ok(places) => return Ok((index, places)),
            Err(error) => {
                let lacks = match &error {
                    SheetError::Missing { missing, .. } => missing.len(),
                    _ => 0,
                };
                if nearest.as_ref().is_none_or(|(least, _)| lacks < *least) {
                    nearest = Some((lacks, error));
                }
            }
        }
    }
    Err(nearest.map_or(SheetError::Empty, |(_, error)| error))
}

/// A cell as text; `None` when it is empty.
fn text(cell: Data) -> Option<String> {
    match cell {
        Data::Empty => None,
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            Some(text).filter(|text| !text.is_empty())
        }
        Data::Int(number) => Some(number.to_string()),
        Data::Float(number) => Some(decimal(number)),
        Data::Bool(value) => Some(value.to_string()),
        Data::DateTime(time) => Some(moment(&time)),
        // a formula that failed; the mapping rejects it
        Data::Error(error) => Some(error.to_string()),
    }
}

/// A float without the noise of its last binary digits.
fn decimal(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < EXACT {
        return format!("{}", number + 0.0);
    }
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{rounded}")
}

/// A date as `2025-08-01T00:15:00`; a length of time as its hours, `25:30:00`; what is out of reach as its number.
fn moment(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if !(0.0..END_OF_TIME).contains(&days) {
        return decimal(days);
    }
    if time.is_duration() {
        let seconds = time.as_duration().map_or(0, |length| length.num_seconds());
        return format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    time.as_datetime().map_or_else(|| decimal(days), |time| super::format::iso(&time))
}

#[cfg(test)]
mod tests;
