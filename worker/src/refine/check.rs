//! What is asked of the values of one column. Pure.

use std::io::Write as _;

use nstore_shared::{
    config::{numbers::NumberStyle, path::PathStep},
    contract::{Column, ColumnType, Contract},
};

use super::{
    fields, number,
    time::{Moment, Reader, TimeFault},
    zone::LocalZone,
};

/// One column's rules.
pub(super) struct Rule {
    pub(super) name: String,
    /// Where its field is, for messages.
    pub(super) path: String,
    /// The steps of the path behind the value that the trie finds.
    pub(super) rest: Vec<PathStep>,
    pub(super) check: Check,
    pub(super) required: bool,
    /// How its texts write numbers.
    pub(super) numbers: Option<NumberStyle>,
    pub(super) null_values: Vec<String>,
}

/// What a value must be.
pub(super) enum Check {
    Text,
    Bigint,
    Numeric { precision: u16, scale: u16 },
    Double,
    Boolean,
    Date(Reader),
    Timestamptz(Reader),
    Jsonb,
}

impl Rule {
    /// Compiles a column; the error says what is wrong with it.
    pub(super) fn new(contract: &Contract, column: &Column) -> Result<Self, String> {
        let reader = || Reader::new(column.format.as_ref());
        let check = match column.kind {
            ColumnType::Text => Check::Text,
            ColumnType::Bigint => Check::Bigint,
            ColumnType::Numeric { precision, scale } => Check::Numeric { precision, scale },
            ColumnType::Double => Check::Double,
            ColumnType::Boolean => Check::Boolean,
            ColumnType::Date => Check::Date(reader()?),
            ColumnType::Timestamptz => Check::Timestamptz(reader()?),
            ColumnType::Jsonb => Check::Jsonb,
        };
        let (keys, rest) = fields::split(&column.from);
        if keys.is_empty() {
            return Err(format!("the path `{}` of column `{}` names no field", column.from, column.name));
        }
        // a row without a key or a place in time could never be found again
        let needed =
            contract.key.contains(&column.name) || contract.range_column.as_ref() == Some(&column.name);
        Ok(Self {
            name: column.name.clone(),
            path: column.from.as_str().to_owned(),
            rest: rest.to_vec(),
            check,
            required: column.required || needed,
            numbers: column.numbers,
            null_values: column.null_values.clone(),
        })
    }
}

impl Check {
    /// Writes a number or boolean; a date or time is left to the caller.
    pub(super) fn scalar(
        &self,
        plain: &str,
        is_text: bool,
        zone: &mut LocalZone,
        out: &mut Vec<u8>,
    ) -> Result<Option<Moment>, Option<TimeFault>> {
        match self {
            Self::Bigint => write_integer(number::integer(plain).ok_or(None)?, plain, out),
            Self::Numeric { precision, scale } if number::fits_numeric(plain, *precision, *scale) => {
                number::write_plain(plain, out);
            }
            // what was checked digit by digit needs no quotes
            Self::Double if number::fits_double(plain) => out.extend_from_slice(plain.as_bytes()),
            Self::Boolean => {
                let value = truth(plain, is_text).ok_or(None)?;
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Self::Date(reader) => {
                return reader.day(plain, zone.zone).map(|day| Some(Moment::Day(day))).map_err(Some);
            }
            Self::Timestamptz(reader) => {
                return reader.instant(plain, zone).map(|micros| Some(Moment::Instant(micros))).map_err(Some);
            }
            Self::Numeric { .. } | Self::Double | Self::Text | Self::Jsonb => return Err(None),
        }
        Ok(None)
    }

    /// What a value should be, in a reject's reason.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Bigint => "bigint".to_owned(),
            Self::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            Self::Double => "double".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Date(reader) => format!("date {}", reader.words()),
            Self::Timestamptz(reader) => format!("timestamptz {}", reader.words()),
            Self::Jsonb => "jsonb".to_owned(),
        }
    }
}

/// Appends an integer as Postgres takes it: without a plus, a point or an exponent.
fn write_integer(value: i64, text: &str, out: &mut Vec<u8>) {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.first().is_some_and(|digit| (b'1'..=b'9').contains(digit))
        && digits.iter().all(u8::is_ascii_digit)
    {
        out.extend_from_slice(text.as_bytes());
    } else {
        // a Vec takes every write
        let _ = write!(out, "{value}");
    }
}

/// JSON's booleans, and what databases and spreadsheets make of them.
fn truth(plain: &str, is_text: bool) -> Option<bool> {
    match plain {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        "t" if is_text => Some(true),
        "f" if is_text => Some(false),
        _ => None,
    }
}
