//! Columns of an exported file, looked up by their headers. Pure.

use super::page;

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
    #[error("the exported file has no column {}; its headers are {}", listed(.missing), listed(.there))]
    Missing {
        /// The names that were asked for in vain.
        missing: Vec<String>,
        /// The headers that are there.
        there: Vec<String>,
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
    /// Text in no encoding that is known.
    #[error("line {0} of the exported file is no utf-8")]
    Encoding(u64),
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
    Err(SheetError::Missing { missing, there })
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
