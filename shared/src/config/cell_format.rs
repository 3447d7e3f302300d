//! Stand-in until merged.
use std::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};
/// How a page writes a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CellFormat {
    /// strftime.
    Time(String),
}
/// Wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format")]
pub struct CellFormatError(pub String);
impl FromStr for CellFormat {
    type Err = CellFormatError;
    fn from_str(t: &str) -> Result<Self, CellFormatError> { Ok(Self::Time(t.to_owned())) }
}
impl TryFrom<String> for CellFormat { type Error = CellFormatError; fn try_from(t: String) -> Result<Self, CellFormatError> { t.parse() } }
impl From<CellFormat> for String { fn from(f: CellFormat) -> Self { f.to_string() } }
impl fmt::Display for CellFormat { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { let Self::Time(t) = self; f.write_str(t) } }
