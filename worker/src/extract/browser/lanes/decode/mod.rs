//! What a lane brought, as bytes -> rows of text in the order of the columns that were asked for. Pure.
//!
//! - [`dsr`]: Power BI's query answer
//! - [`json`]: any other JSON answer
//! - [`csv`], [`xlsx`]: exported files; both look their columns up by header (`sheet`)
//! - [`format`]: localised text -> plain text
//! - `page`: tells an HTML page from data

use nstore_shared::config::cell_format::CellFormat;

pub mod csv;
pub mod dsr;
pub mod format;
pub mod json;
mod page;
pub mod sheet;
pub mod xlsx;

/// Rows of text or null, each with one value for every column that was asked for, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The rows, in the order in which they came.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Turns localised text into plain text, by the declared format of each column; `None` leaves a column alone.
    pub fn apply(&mut self, formats: &[Option<&CellFormat>]) {
        for row in &mut self.rows {
            for (value, format) in row.iter_mut().zip(formats) {
                if let (Some(text), Some(format)) = (value, format)
                    && let Some(plain) = format::plain(format, text)
                {
                    *text = plain;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_apply_to_their_column_and_leave_what_does_not_fit() {
        let row = |values: [Option<&str>; 3]| values.map(|value| value.map(str::to_owned)).to_vec();
        let mut table = Table {
            rows: vec![
                row([Some("01/08/2025"), Some("1,5"), Some("1,5")]),
                row([None, Some("n/a"), Some("x")]),
            ],
        };
        let (day, number) = ("%d/%m/%Y".parse().unwrap(), "1.234,56".parse().unwrap());
        table.apply(&[Some(&day), Some(&number), None]);
        assert_eq!(
            table.rows,
            [row([Some("2025-08-01"), Some("1.5"), Some("1,5")]), row([None, Some("n/a"), Some("x")])]
        );
    }
}
