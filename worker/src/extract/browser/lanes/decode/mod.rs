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
    /// Turns localised text into plain text, by the declared format of each column; `None` leaves a column alone. Texts
    /// that stand for no value, such as `N/A`, stay as they are: what they mean is the mapping's matter.
    ///
    /// # Errors
    /// The first cell that does not fit its column's format.
    pub fn apply(&mut self, formats: &[Option<&CellFormat>]) -> Result<(), Misfit> {
        let mut misfit: Option<Misfit> = None;
        let mut fits = vec![false; formats.len()];
        for (at, row) in self.rows.iter_mut().enumerate() {
            for (column, (value, format)) in row.iter_mut().zip(formats).enumerate() {
                let (Some(text), Some(format)) = (value, format) else { continue };
                if let Some(plain) = format::plain(format, text) {
                    (*text, fits[column]) = (plain, true);
                } else if !stands_for_nothing(text) && misfit.is_none() {
                    let (cell, format) = (text.chars().take(CELL_CHARS).collect(), format.to_string());
                    misfit = Some(Misfit { column, row: at + 1, cell, format, fits_others: false });
                }
            }
        }
        match misfit {
            None => Ok(()),
            Some(misfit) => Err(Misfit { fits_others: fits[misfit.column], ..misfit }),
        }
    }
}

/// No more of a cell is told, in characters.
const CELL_CHARS: usize = 100;

/// A cell that does not fit the format of its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The column's place, from 0.
    pub column: usize,
    /// The row, from 1.
    pub row: usize,
    /// The cell's text.
    pub cell: String,
    /// The declared format.
    pub format: String,
    /// Whether other cells of the column fit: then the cell is wrong, not the format.
    pub fits_others: bool,
}

/// Texts in place of a value that is not there.
fn stands_for_nothing(text: &str) -> bool {
    const WORDS: [&str; 11] =
        ["", "n/a", "na", "#n/a", "null", "none", "nil", "nan", "(blank)", "unknown", "?"];
    let text = text.trim();
    let is_dash = |sign: char| matches!(sign, '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{2026}' | '\u{2212}');
    text.chars().all(is_dash) || WORDS.contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_apply_to_their_column_and_name_what_does_not_fit() {
        let row = |values: [Option<&str>; 3]| values.map(|value| value.map(str::to_owned)).to_vec();
        let mut table = Table {
            rows: vec![
                row([Some("01/08/2025"), Some("1,5"), Some("1,5")]),
                row([None, Some("n/a"), Some("x")]),
            ],
        };
        let (day, number) = ("%d/%m/%Y".parse().unwrap(), "1.234,56".parse().unwrap());
        assert_eq!(table.apply(&[Some(&day), Some(&number), None]), Ok(()));
        assert_eq!(
            table.rows,
            [row([Some("2025-08-01"), Some("1.5"), Some("1,5")]), row([None, Some("n/a"), Some("x")])]
        );
        // the first row is plain by now: the format fits none of the days, and one of the numbers
        let misfit = table.clone().apply(&[Some(&day), None, None]).unwrap_err();
        let told = (misfit.column, misfit.row, &*misfit.cell, &*misfit.format, misfit.fits_others);
        assert_eq!(told, (0, 1, "2025-08-01", "%d/%m/%Y", false));
        table.rows[0][1] = Some("7".to_owned());
        table.rows[1][1] = Some("0,123".to_owned());
        let dotted = "1.234,56".parse().unwrap();
        assert_eq!(table.clone().apply(&[None, Some(&dotted), None]), Ok(()));
        table.rows[1][1] = Some("seven".to_owned());
        let misfit = table.apply(&[None, Some(&dotted), None]).unwrap_err();
        assert_eq!((misfit.column, misfit.row, misfit.fits_others), (1, 2, true));
    }
}
