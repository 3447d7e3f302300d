//! A value as it must stand in Postgres, and a checksum over rows that SQL computes in the same way.

use std::fmt::Write as _;

use chrono::NaiveDate;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One column's value in one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// No value.
    Null,
    /// `text`.
    Text(String),
    /// `bigint`.
    Int(i64),
    /// `numeric(_,2)`, as hundredths.
    Hundredths(i64),
    /// `numeric(_,4)`, as ten-thousandths.
    TenThousandths(i64),
    /// `double precision`.
    Double(f64),
    /// `boolean`.
    Bool(bool),
    /// `date`.
    Date(NaiveDate),
    /// `timestamptz`, as microseconds since 1970.
    Time(i64),
    /// `jsonb`.
    Json(Value),
}

impl Cell {
    /// A text, if there is one.
    pub(crate) fn text(value: Option<&str>) -> Self {
        value.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }

    /// A JSON value; its `null` is no value.
    pub(crate) fn json(value: Value) -> Self {
        if value.is_null() { Self::Null } else { Self::Json(value) }
    }

    /// A time in milliseconds since 1970, if there is one.
    pub(crate) fn millis(value: Option<i64>) -> Self {
        value.map_or(Self::Null, |millis| Self::Time(millis * 1000))
    }

    /// As `checksum.sql` spells it; `None` for NULL.
    fn canonical(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Hundredths(number) => hundredths(*number),
            Self::TenThousandths(number) => ten_thousandths(*number),
            Self::Double(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
            Self::Date(day) => day.format("%Y-%m-%d").to_string(),
            Self::Time(micros) => micros.to_string(),
            Self::Json(value) => jsonb(value),
        })
    }
}

/// `1234.50`
pub(crate) fn hundredths(number: i64) -> String {
    decimal(number, 2)
}

/// `1234.5000`
pub(crate) fn ten_thousandths(number: i64) -> String {
    decimal(number, 4)
}

fn decimal(number: i64, places: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (number, one) = (number.unsigned_abs(), 10u64.pow(places));
    format!("{sign}{}.{:0width$}", number / one, number % one, width = places as usize)
}

/// A JSON value as Postgres prints its `jsonb`: keys by length, then by bytes; a blank after `,` and `:`.
pub(crate) fn jsonb(value: &Value) -> String {
    let mut out = String::new();
    write_jsonb(value, &mut out);
    out
}

fn write_jsonb(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                write_jsonb(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            out.push('{');
            for (n, (key, item)) in fields.into_iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                let _ = write!(out, "{}: ", Value::String(key.clone()));
                write_jsonb(item, out);
            }
            out.push('}');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

/// The checksum of one row: the first 60 bits of the sha256 of its values, each led by its length.
pub(crate) fn row_checksum(cells: &[Cell]) -> u64 {
    let mut text = String::with_capacity(cells.len() * 24);
    for cell in cells {
        match cell.canonical() {
            Some(value) => {
                let _ = write!(text, "V{}:{value};", value.len());
            }
            None => text.push_str("N;"),
        }
    }
    let digest = Sha256::digest(text.as_bytes());
    let head: [u8; 8] = std::array::from_fn(|n| digest[n]);
    u64::from_be_bytes(head) >> 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jsonb_sorts_keys_by_length_first() {
        let value = json!({"bb": 1, "a": [1.5, null, {}], "aa": "x\n\u{1}é\"", "é": true});
        assert_eq!(jsonb(&value), r#"{"a": [1.5, null, {}], "aa": "x\n\u0001é\"", "bb": 1, "é": true}"#);
    }

    #[test]
    fn a_null_is_no_text() {
        let checksum = |cell| row_checksum(&[cell]);
        assert_ne!(checksum(Cell::Null), checksum(Cell::Text(String::new())));
        assert_ne!(checksum(Cell::Null), checksum(Cell::Text("N;".to_owned())));
        assert_eq!(hundredths(-5), "-0.05");
        assert_eq!(hundredths(123_450), "1234.50");
        assert_eq!(ten_thousandths(-10_050), "-1.0050");
    }
}
