//! One value of Power BI's query answer -> text. Pure.
//!
//! Numbers keep the text that they came as. What is not written as its type says is handed on as it is: the mapping
//! rejects the row, and the others are not lost with it.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::value::RawValue;

use super::super::format;
use super::wire::Column;

/// The numbers of the types that need a word; all others are handed on as they are.
const DECIMAL: u32 = 2;
const DOUBLE: u32 = 3;
const INTEGER: u32 = 4;
const BOOLEAN: u32 = 5;
const DATETIME: u32 = 7;

/// The lists that values are indexes of, by name.
pub(super) type Dictionaries<'a> = HashMap<String, Vec<&'a RawValue>>;

/// A value of `C`; `None` for a plain JSON null.
pub(super) fn text(
    raw: &RawValue,
    column: &Column,
    lists: &Dictionaries<'_>,
) -> Result<Option<String>, String> {
    let Some(name) = &column.dictionary else { return plain(raw, column.kind) };
    let list = lists.get(name).ok_or_else(|| format!("there is no dictionary `{name}`"))?;
    // a value beside the dictionary comes as the text that it is
    let Ok(index) = raw.get().parse::<usize>() else {
        return match raw.get().as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Err(format!("{} is no index of dictionary `{name}`", raw.get())),
            _ => plain(raw, column.kind),
        };
    };
    let entry = list
        .get(index)
        .ok_or_else(|| format!("dictionary `{name}` of {} entries has no entry {index}", list.len()))?;
    plain(entry, column.kind)
}

fn plain(raw: &RawValue, kind: u32) -> Result<Option<String>, String> {
    let text = match raw.get() {
        "null" => return Ok(None),
        text if text.starts_with('"') => {
            serde_json::from_str(text).map_err(|error| format!("a text is none: {error}"))?
        }
        text => text.to_owned(),
    };
    Ok(Some(match kind {
        DECIMAL | DOUBLE | INTEGER => number(text),
        BOOLEAN => boolean(text),
        DATETIME => moment(text),
        _ => text,
    }))
}

/// Without the letter that tells its type: `12.5D`, `12.5M`, `123L`.
fn number(text: String) -> String {
    match text.strip_suffix(['D', 'M', 'L', 'd', 'm', 'l']) {
        Some(number) if number.ends_with(|last: char| last.is_ascii_digit() || last == '.') => {
            number.to_owned()
        }
        _ => text,
    }
}

fn boolean(text: String) -> String {
    match text.as_str() {
        "0" => "false".to_owned(),
        "1" => "true".to_owned(),
        _ => text,
    }
}

/// Milliseconds since 1970 of a naive local time.
fn moment(text: String) -> String {
    let time = text.parse().ok().and_then(DateTime::from_timestamp_millis);
    time.map_or(text, |time| format::iso(&time.naive_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, kind: u32) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(raw).unwrap();
        plain(raw, kind).unwrap()
    }

    #[test]
    fn values_by_type() {
        for (raw, kind, expected) in [
            (r#""12.5D""#, DECIMAL, "12.5"),
            (r#""-0.0001M""#, DECIMAL, "-0.0001"),
            ("12345678901234567890.123456789", DECIMAL, "12345678901234567890.123456789"),
            ("1.50", DOUBLE, "1.50"),
            (r#""1.5E-05D""#, DOUBLE, "1.5E-05"),
            (r#""NaND""#, DOUBLE, "NaND"),
            (r#""123L""#, INTEGER, "123"),
            ("9223372036854775807", INTEGER, "9223372036854775807"),
            ("true", BOOLEAN, "true"),
            ("0", BOOLEAN, "false"),
            ("1754007300000", DATETIME, "2025-08-01T00:15:00"),
            ("1754007300007", DATETIME, "2025-08-01T00:15:00.007"),
            ("-1", DATETIME, "1969-12-31T23:59:59.999"),
            ("99999999999999999", DATETIME, "99999999999999999"),
            (r#""yesterday""#, DATETIME, "yesterday"),
            (r#""12L""#, 1, "12L"),
            (r#""\u00fc\n""#, 1, "ü\n"),
            ("7", 99, "7"),
        ] {
            assert_eq!(read(raw, kind).as_deref(), Some(expected), "{raw} as {kind}");
        }
        assert_eq!(read("null", DECIMAL), None);
    }
}
