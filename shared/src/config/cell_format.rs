//! How a page writes the values of a column. Pure.
//!
//! A time is declared by a strftime pattern (`%d/%m/%Y %H:%M`), a number by the sample that says which signs group
//! and part its digits: `1,234.56`, `1.234,56`, `1 234,56`, `1'234.56`, `1234.56`, `1234,56`.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use chrono::{
    DateTime, FixedOffset,
    format::{Fixed, Item, Parsed, StrftimeItems, parse},
};
use serde::{Deserialize, Serialize};

/// A column's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CellFormat {
    /// A day, perhaps with a time: a strftime pattern.
    Time(String),
    /// A number.
    Number {
        /// The sign between groups of digits, if any; a space stands for all kinds of space.
        group: Option<char>,
        /// The sign before the decimals.
        decimal: char,
    },
}

/// What is wrong with the declaration of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellFormatError {
    /// Neither a pattern nor a sample.
    #[error(
        "`{0}` is neither a strftime pattern such as %d/%m/%Y nor a sample of a number such as {SAMPLES}"
    )]
    Unknown(String),
    /// A pattern that cannot be read.
    #[error("`{0}` is no strftime pattern; as in %Y-%m-%d %H:%M:%S, write %% for a plain %")]
    Pattern(String),
    /// A pattern that names no day.
    #[error("`{0}` names no day; a pattern needs year, month and day")]
    NoDay(String),
    /// A pattern that reads a zone by its name, which does not tell an offset.
    #[error("`{0}` reads a zone by its name, which does not tell an offset; use %z")]
    ZoneName(String),
}

const SAMPLES: &str = "1,234.56, 1.234,56, 1 234,56, 1'234.56, 1234.56 or 1234,56";

impl FromStr for CellFormat {
    type Err = CellFormatError;

    fn from_str(text: &str) -> Result<Self, CellFormatError> {
        if text.contains('%') { time(text) } else { number(text) }
    }
}

impl fmt::Display for CellFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(pattern) => f.pad(pattern),
            Self::Number { group, decimal } => {
                f.write_char('1')?;
                group.map_or(Ok(()), |group| f.write_char(group))?;
                write!(f, "234{decimal}56")
            }
        }
    }
}

impl TryFrom<String> for CellFormat {
    type Error = CellFormatError;
    fn try_from(text: String) -> Result<Self, CellFormatError> {
        text.parse()
    }
}

impl From<CellFormat> for String {
    fn from(format: CellFormat) -> Self {
        format.to_string()
    }
}

/// The plain form of a sign that comes in several: spaces and apostrophes.
pub fn plain_sign(sign: char) -> char {
    match sign {
        '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' => ' ',
        '\u{2019}' => '\'',
        other => other,
    }
}

fn time(pattern: &str) -> Result<CellFormat, CellFormatError> {
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    if items.contains(&Item::Error) {
        return Err(CellFormatError::Pattern(pattern.to_owned()));
    }
    if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
        return Err(CellFormatError::ZoneName(pattern.to_owned()));
    }
    if !names_a_day(&items) {
        return Err(CellFormatError::NoDay(pattern.to_owned()));
    }
    Ok(CellFormat::Time(pattern.to_owned()))
}

/// Writes a time and reads it back.
fn names_a_day(items: &[Item<'_>]) -> bool {
    let sample: DateTime<FixedOffset> = DateTime::UNIX_EPOCH.into();
    let mut text = String::new();
    let mut parsed = Parsed::new();
    write!(text, "{}", sample.format_with_items(items.iter())).is_ok()
        && parse(&mut parsed, &text, items.iter()).is_ok()
        && (parsed.to_naive_date().is_ok() || parsed.timestamp().is_some())
}

fn number(sample: &str) -> Result<CellFormat, CellFormatError> {
    let signs: Vec<char> = sample.trim().chars().map(plain_sign).collect();
    match signs[..] {
        ['1', '2', '3', '4', decimal @ ('.' | ','), '5', '6'] => {
            Ok(CellFormat::Number { group: None, decimal })
        }
        ['1', group @ (',' | '.' | ' ' | '\''), '2', '3', '4', decimal @ ('.' | ','), '5', '6']
            if group != decimal =>
        {
            Ok(CellFormat::Number { group: Some(group), decimal })
        }
        _ => Err(CellFormatError::Unknown(sample.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_and_written() {
        for text in [
            "1,234.56",
            "1.234,56",
            "1 234,56",
            "1'234.56",
            "1234.56",
            "1234,56",
            "1 234.56",
            "%d/%m/%Y",
            "%Y-%m-%d %H:%M:%S",
            "%d.%m.%y %I:%M %p",
            "%s",
            "%Y-%m-%dT%H:%M:%S%.f%:z",
            "%d %b %Y",
            "%+",
        ] {
            let format: CellFormat = text.parse().unwrap();
            assert_eq!(format.to_string(), text);
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<CellFormat>(&json).unwrap(), format);
        }
        let narrow: CellFormat = "1\u{202f}234,56".parse().unwrap();
        assert_eq!(narrow, CellFormat::Number { group: Some(' '), decimal: ',' });
        assert_eq!("1\u{2019}234.56".parse::<CellFormat>().unwrap().to_string(), "1'234.56");
    }

    #[test]
    fn what_is_no_declaration_says_what_would_be_one() {
        let told = |text: &str| text.parse::<CellFormat>().unwrap_err();
        for text in ["", "1,234", "1,234,56", "1.234.56", "1234", "12,34.56", "1_234.56", "date", "1,234.567"]
        {
            assert_eq!(told(text), CellFormatError::Unknown(text.to_owned()));
        }
        assert!(told("x").to_string().contains("1'234.56"));
        assert_eq!(told("%Q"), CellFormatError::Pattern("%Q".to_owned()));
        assert_eq!(told("100%"), CellFormatError::Pattern("100%".to_owned()));
        for text in ["%H:%M", "%m/%d", "%%", "%Y"] {
            assert_eq!(told(text), CellFormatError::NoDay(text.to_owned()));
        }
        assert_eq!(told("%Y-%m-%d %Z"), CellFormatError::ZoneName("%Y-%m-%d %Z".to_owned()));
        assert!(serde_json::from_str::<CellFormat>("\"%H\"").is_err());
    }
}
