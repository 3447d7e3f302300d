//! How a page writes the values of a column. Pure.
//!
//! A time is declared by a strftime pattern (`%d/%m/%Y %H:%M`), a number by the sample that says which signs group
//! and part its digits: `1,234.56`, `1.234,56`, `1 234,56`, `1'234.56`, `1234.56`, `1234,56` (see [`super::numbers`]).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    numbers::{NumberStyle, Percent, SAMPLES},
    time_pattern::{TimePattern, TimePatternError},
};

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
    /// A pattern whose words name two zones.
    #[error("{0}; name the zone once")]
    TwoZones(String),
}

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
                NumberStyle { group: *group, decimal: *decimal, percent: Percent::Fraction }.fmt(f)
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

fn time(pattern: &str) -> Result<CellFormat, CellFormatError> {
    match TimePattern::new(pattern) {
        Ok(_) => Ok(CellFormat::Time(pattern.to_owned())),
        Err(TimePatternError::Syntax(pattern)) => Err(CellFormatError::Pattern(pattern)),
        Err(TimePatternError::NoDay(pattern)) => Err(CellFormatError::NoDay(pattern)),
        Err(TimePatternError::TwoZones(error)) => Err(CellFormatError::TwoZones(error.to_string())),
    }
}

fn number(sample: &str) -> Result<CellFormat, CellFormatError> {
    let style: NumberStyle = sample.parse().map_err(|_| CellFormatError::Unknown(sample.to_owned()))?;
    Ok(CellFormat::Number { group: style.group, decimal: style.decimal })
}

impl CellFormat {
    /// The style of a number. A percent sign divides by a hundred: an export may hold 0.125 where the page shows 12.5%.
    pub fn number_style(&self) -> Option<NumberStyle> {
        match *self {
            Self::Number { group, decimal } => {
                Some(NumberStyle { group, decimal, percent: Percent::Fraction })
            }
            Self::Time(_) => None,
        }
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
        assert!("%Y-%m-%d %H:%M %Z".parse::<CellFormat>().is_ok());
        assert!(told("%F %TZ +05:30").to_string().contains("two zones, `Z` and `+05:30`"));
        assert!(serde_json::from_str::<CellFormat>("\"%H\"").is_err());
    }
}
