//! Rows of an exported file: its columns are looked up by their headers; sums and notes are left out. Pure.

use nstore_shared::config::spec::browser::SheetLayout;

use super::{Table, page};

/// The rows of an exported file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The columns that were asked for.
    pub table: Table,
    /// How many rows the file has below its headers, those that were left out included: what a limit of the export counts.
    pub counted: u64,
}

/// What is wrong with an exported file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// It holds nothing at all, not even headers.
    #[error("the exported file is empty")]
    Empty,
    /// It is a web page, by its title: most often a sign-in or an error.
    #[error("{} came instead of the exported file", page::words(.0))]
    Page(String),
    /// It lacks columns that were asked for.
    #[error("the exported file has no column {}; its headers are {}{}", listed(.missing), listed(.there), .hint)]
    Missing {
        /// The names that were asked for in vain.
        missing: Vec<String>,
        /// The headers that are there.
        there: Vec<String>,
        /// What may help, after a semicolon; or nothing.
        hint: String,
    },
    /// A name that was asked for stands above two columns.
    #[error("the exported file has more than one column `{0}`")]
    Twice(String),
    /// A row of another length than the headers: unquoted separators, or a file that was cut off.
    #[error("line {line} of the exported file has {found} fields instead of {expected}")]
    Ragged {
        /// From 1.
        line: u64,
        /// As many as there are headers.
        expected: u64,
        /// In that line.
        found: u64,
    },
    /// Its text is not in the encoding that it should have.
    #[error("line {line} of the exported file is not valid {encoding}; {hint}")]
    Encoding {
        /// From 1.
        line: u64,
        /// The encoding that was tried.
        encoding: String,
        /// What may help.
        hint: &'static str,
    },
    /// The line that should hold the headers is not there.
    #[error("the exported file has no line {0}, which `header_row` names")]
    NoHeader(u32),
    /// There are fewer rows than `skip_footer` leaves out.
    #[error("`skip_footer` leaves out {wanted} rows at the end, and the exported file has {there}")]
    NoFooter {
        /// As many as are left out.
        wanted: u32,
        /// As many as there are.
        there: u64,
    },
    /// A row that `skip_footer` leaves out looks like any other.
    #[error(
        "line {line} of the exported file, which `skip_footer` leaves out, looks like a row: `{text}`; if it is a sum, name how it begins in `drop_rows`"
    )]
    FooterIsRow {
        /// From 1.
        line: u64,
        /// Its texts.
        text: String,
    },
    /// It ends within a quoted field.
    #[error("the exported file ends within a quoted field: it was cut off")]
    CutOff,
    /// It is no workbook, or a damaged one.
    #[error("the exported file is no readable xlsx workbook: {0}")]
    Workbook(String),
    /// It has no sheet of the name that was asked for.
    #[error("the exported file has no sheet `{name}`; its sheets are {}", listed(.there))]
    NoSheet {
        /// The name that was asked for.
        name: String,
        /// The sheets that are there.
        there: Vec<String>,
    },
}

/// As many headers are told; there may be thousands in what is no table.
const TOLD: usize = 40;

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let told: Vec<String> = names.iter().take(TOLD).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > TOLD { format!(" and {} more", names.len() - TOLD) } else { String::new() };
    told.join(", ") + &more
}

/// The places of the columns that were asked for. Case and blanks around a name do not count, unless two headers
/// differ by nothing else.
pub(super) fn places<S: AsRef<str>>(headers: &[String], wanted: &[S]) -> Result<Vec<usize>, SheetError> {
    let mut found = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for name in wanted {
        let name = name.as_ref();
        let exact: Vec<usize> = matching(headers, |header| header == name);
        let alike = || matching(headers, |header| plain(header) == plain(name));
        match if exact.is_empty() { alike() } else { exact }[..] {
            [] => missing.push(name.to_owned()),
            [place] => found.push(place),
            _ => return Err(SheetError::Twice(name.to_owned())),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let there = headers.iter().filter(|header| !header.is_empty()).cloned().collect();
    Err(SheetError::Missing { missing, there, hint: String::new() })
}

/// A row below the headers.
pub(super) struct Record {
    /// Its line, from 1.
    pub(super) line: u64,
    /// Its fields; an empty one is `None`.
    pub(super) fields: Vec<Option<String>>,
}

/// The wanted columns of the rows that are neither sums nor notes. `width`: as many fields has each of them.
pub(super) fn rows(
    mut records: Vec<Record>,
    places: &[usize],
    width: Option<usize>,
    layout: &SheetLayout,
) -> Result<Sheet, SheetError> {
    let counted = records.len() as u64;
    let Some(kept) = records.len().checked_sub(layout.skip_footer as usize) else {
        return Err(SheetError::NoFooter { wanted: layout.skip_footer, there: counted });
    };
    let footer = records.split_off(kept);
    records.retain(|record| !is_dropped(record, &layout.drop_rows));
    if let Some(last) = records.last()
        && let Some(row) = footer.iter().find(|row| looks_alike(row, last, places))
    {
        let text: Vec<&str> = row.fields.iter().flatten().map(String::as_str).collect();
        return Err(SheetError::FooterIsRow { line: row.line, text: text.join(" | ") });
    }
    let mut table = Table::default();
    for record in records {
        if let Some(expected) = width.filter(|width| *width != record.fields.len()) {
            let (expected, found) = (expected as u64, record.fields.len() as u64);
            return Err(SheetError::Ragged { line: record.line, expected, found });
        }
        table.rows.push(places.iter().map(|place| record.fields.get(*place).cloned().flatten()).collect());
    }
    Ok(Sheet { table, counted })
}

fn is_dropped(record: &Record, beginnings: &[String]) -> bool {
    let first = record.fields.iter().flatten().next().map(|text| plain(text));
    first.is_some_and(|first| beginnings.iter().any(|text| first.starts_with(&plain(text))))
}

/// Words that a row of sums begins with.
const SUMS: [&str; 8] = ["total", "grand total", "sum", "average", "count", "gesamt", "summe", "overall"];

/// Whether a row of the footer has a value in each column, of the same kind as the last row's.
fn looks_alike(row: &Record, last: &Record, places: &[usize]) -> bool {
    let value = |record: &Record, place: &usize| record.fields.get(*place).cloned().flatten();
    let alike = |place| {
        value(row, place)
            .is_some_and(|text| value(last, place).is_none_or(|other| kind(&text) == kind(&other)))
    };
    let first = row.fields.iter().flatten().next().map(|text| plain(text)).unwrap_or_default();
    !SUMS.iter().any(|word| first.starts_with(word)) && places.iter().all(alike)
}

/// What a text is made of: digits and the signs of numbers, digits and other signs, or words alone.
fn kind(text: &str) -> u8 {
    let is_digit = |sign: char| sign.is_ascii_digit();
    match (text.contains(is_digit), text.chars().all(|sign| is_digit(sign) || " .,+-()'%".contains(sign))) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

fn matching(headers: &[String], fits: impl Fn(&str) -> bool) -> Vec<usize> {
    headers.iter().enumerate().filter(|(_, header)| fits(header)).map(|(place, _)| place).collect()
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> Vec<String> {
        names.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let there = headers(&["Value", " timestamp ", "STATUS"]);
        assert_eq!(places(&there, &["Timestamp", "value", "Status"]), Ok(vec![1, 0, 2]));
        assert_eq!(places(&headers(&["a", "A"]), &["A", "a"]), Ok(vec![1, 0]));
        assert_eq!(places(&headers(&["a", "a"]), &["A"]), Err(SheetError::Twice("A".to_owned())));
    }

    #[test]
    fn what_is_missing_is_told_with_what_is_there() {
        let error = places(&headers(&["Time", "", "Value"]), &["Timestamp", "value", "x"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the exported file has no column `Timestamp`, `x`; its headers are `Time`, `Value`"
        );
        let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        assert!(places(&many, &["x"]).unwrap_err().to_string().ends_with("`39` and 10 more"));
    }
}
