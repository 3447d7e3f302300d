//! Pages -> mapped, typed, checked rows -> CSV bytes; quality figures.
//!
//! - [`fields`]: the mapping, compiled to a trie that a page is read through in one pass
//! - [`list`]: follows the rest of a path through lists; [`absent`]: what a path may have meant that leads nowhere
//! - [`records`]: finds the records in a page
//! - [`row`]: one record -> one checked CSV line, or the reasons why not
//! - [`check`], [`text`], [`number`], [`time`], [`zone`], [`json`]: the checks by type
//! - [`place`]: which rows are the chunk's; [`distinct`]: which came already
//! - [`csv`], [`quality`]: what comes out
//!
//! Nothing is ever held as a tree of JSON values, and no number passes through a float: both cost more than all else.

use bytes::Bytes;
use nstore_shared::{
    config::{path::FieldPath, spec::Records},
    contract::{Column, Contract},
    retry::FailureClass,
    storage::marker::{ChunkWarning, Quality},
};
use serde_json::value::RawValue;

use crate::extract::{Expected, Page, PageFormat, Span};

mod absent;
mod check;
mod csv;
mod distinct;
mod fields;
mod json;
mod list;
mod number;
mod place;
mod quality;
mod records;
mod row;
mod text;
mod time;
mod zone;

use fields::Node;
use row::RowWriter;

/// Why a page, or the whole mapping, cannot be used. A row that does not fit is no error: it is kept as a reject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefineError {
    /// The contract contradicts itself.
    #[error("the mapping of table `{table}` cannot be used: {reason}")]
    Contract {
        /// The target table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are no UTF-8.
    #[error("the page of {origin} is not UTF-8: byte {at} fits no character; ask the source for UTF-8")]
    Encoding {
        /// Where the page came from.
        origin: String,
        /// Bytes before the first bad one.
        at: usize,
    },
    /// The document stops in the middle.
    #[error("the page of {origin} is cut off after {bytes} bytes: {reason}")]
    CutOff {
        /// Where the page came from.
        origin: String,
        /// Its size.
        bytes: usize,
        /// What the parser says.
        reason: String,
    },
    /// No JSON.
    #[error("the page of {origin} is no JSON: {reason}")]
    Syntax {
        /// Where the page came from.
        origin: String,
        /// What the parser says.
        reason: String,
    },
    /// The selector meets no array.
    #[error(
        "the page of {origin} has no list of records at `{selector}`: {found}; correct `records.selector`"
    )]
    NoRecords {
        /// Where the page came from.
        origin: String,
        /// The path that was looked for.
        selector: String,
        /// What is there instead.
        found: String,
    },
    /// Two rows have the same key and different values.
    #[error(
        "the key ({key}) of table `{table}` is not unique: {example} came with different values{values}{next}"
    )]
    NotUnique {
        /// The target table.
        table: String,
        /// The columns of the key.
        key: String,
        /// The key of the two.
        example: String,
        /// Where they differ, as far as it is known.
        values: String,
        /// What to do.
        next: &'static str,
        /// They came with one page: no change of the source in between explains it.
        one_page: bool,
    },
    /// There are records, and all of them lie outside the chunk.
    #[error(
        "all {records} records lie outside the chunk, such as `{column}` {}: the window is asked in another zone or unit \
         than the source means, or `range_column` is not the time that the window is about; compare `window` and \
         `timezone` with the source's documentation", examples.join(", ")
    )]
    AllOutside {
        /// How many.
        records: u64,
        /// The column that says which chunk a row belongs to.
        column: String,
        /// The times of some.
        examples: Vec<String>,
    },
}

impl RefineError {
    /// What kind of failure it is for the chunk.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Contract { .. } | Self::AllOutside { .. } => FailureClass::Config,
            // the row may have changed while the list was read
            Self::CutOff { .. } | Self::NotUnique { one_page: false, .. } => FailureClass::Transient,
            Self::NotUnique { .. } => FailureClass::Data,
            Self::Encoding { .. } | Self::Syntax { .. } | Self::NoRecords { .. } => FailureClass::Data,
        }
    }
}

/// What became of the records of one page: `records = rows + rejected + outside + duplicates`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageFigures {
    /// Records read.
    pub records: u64,
    /// Rows written.
    pub rows: u64,
    /// Records that do not fit the contract.
    pub rejected: u64,
    /// Records outside the chunk, dropped.
    pub outside: u64,
    /// Rows equal to an earlier one of the chunk, dropped.
    pub duplicates: u64,
}

/// Records outside a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutsideRecords {
    /// All of them.
    pub all: u64,
    /// Those that nobody asked for: the rest lies where the window is asked wider than the chunk.
    pub unasked: u64,
    /// Those that lie more than a step of the window's bounds from what was asked for.
    pub far: u64,
    /// The times of some that were not asked for, at most three.
    pub examples: Vec<String>,
}

/// Turns the pages of one chunk into CSV lines.
pub struct Refiner {
    table: String,
    header: Bytes,
    trie: Node,
    selector: FieldPath,
    rows: RowWriter,
    columns: Vec<Column>,
    /// For each column what may have been meant, once a page had records without its field.
    hints: Option<Vec<Option<String>>>,
}

impl Refiner {
    /// Compiles the contract for one chunk.
    ///
    /// # Errors
    /// [`RefineError::Contract`] when it names columns that it does not have, or a pattern that is none.
    pub fn new(contract: &Contract, records: &Records, span: Span) -> Result<Self, RefineError> {
        let rows = RowWriter::new(contract, span)
            .map_err(|reason| RefineError::Contract { table: contract.table.clone(), reason })?;
        let selector = records.selector.clone();
        let mut header = Vec::new();
        csv::line(&mut header, contract.columns.iter().map(|column| column.name.as_str()));
        Ok(Self {
            table: contract.table.clone(),
            header: header.into(),
            trie: Node::compile(&contract.columns),
            selector,
            rows,
            columns: contract.columns.clone(),
            hints: None,
        })
    }

    /// Tells it what the source may send outside of the chunk; unless told, nothing.
    #[must_use]
    pub fn expecting(mut self, expected: &Expected) -> Self {
        self.rows.expect(expected);
        self
    }

    /// The artifact's first line.
    pub fn header(&self) -> Bytes {
        self.header.clone()
    }

    /// Appends a page's rows to `out` as CSV lines and its misfits to `rejects` as JSON lines.
    ///
    /// # Errors
    /// When the page cannot be read as a whole, or a key came with different values; both buffers are then as before, and
    /// the refiner is spent.
    pub fn page(
        &mut self,
        page: &Page,
        out: &mut Vec<u8>,
        rejects: &mut Vec<u8>,
    ) -> Result<PageFigures, RefineError> {
        let PageFormat::Json = page.format;
        let body = std::str::from_utf8(&page.body)
            .map_err(|e| RefineError::Encoding { origin: page.origin.clone(), at: e.valid_up_to() })?;
        let (rows_before, rejects_before) = (out.len(), rejects.len());
        let read = records::read(body, &self.selector, &self.trie, &mut self.rows, out, rejects);
        let figures = match (read, self.not_unique()) {
            (Ok(figures), None) => figures,
            (read, conflict) => {
                out.truncate(rows_before);
                rejects.truncate(rejects_before);
                return match (read, conflict) {
                    (Err(fault), _) => Err(fault.into_error(page, &self.selector)),
                    (Ok(_), conflict) => conflict.map_or(Ok(PageFigures::default()), Err),
                };
            }
        };
        if figures.records > 0 && self.hints.is_none() && self.rows.absent().next().is_some() {
            self.hints = Some(self.hints_from(body));
        }
        Ok(figures)
    }

    fn not_unique(&self) -> Option<RefineError> {
        let (conflict, key) = self.rows.conflict()?;
        let one_page = conflict.values.is_some();
        let values = conflict.values.as_ref().map_or_else(String::new, |values| format!(": {values}"));
        let next = if one_page {
            "; name the columns in `key` that identify a row"
        } else {
            " on another page; name the columns in `key` that identify a row, unless the source changed the row while \
             the list was read"
        };
        let (table, example) = (self.table.clone(), conflict.key.clone());
        Some(RefineError::NotUnique { table, key, example, values, next, one_page })
    }

    /// What may have been meant by the path of each column whose field no record had so far.
    fn hints_from(&self, body: &str) -> Vec<Option<String>> {
        let list = self.selector.find(body).ok().flatten();
        let records = list.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
        let records = records.unwrap_or_default();
        let mut hints = vec![None; self.columns.len()];
        for (column, _) in self.rows.absent() {
            hints[column] = absent::hint(&self.columns[column].from, &records);
        }
        hints
    }

    /// The records so far that lie outside the chunk.
    pub fn outside(&self) -> OutsideRecords {
        let outside = &self.rows.tally().outside;
        OutsideRecords {
            all: outside.all,
            unasked: outside.unasked,
            far: outside.far,
            examples: outside.examples.clone(),
        }
    }

    /// How many different keys the rows so far have; `None` where the table has no key. A total that a source states
    /// agrees only with records that differ.
    pub fn distinct_keys(&self) -> Option<u64> {
        self.rows.keys()
    }

    /// What must not be taken for an empty chunk: of all records that came, none is of the chunk, and not only because
    /// it was asked wider than it is.
    ///
    /// # Errors
    /// [`RefineError::AllOutside`].
    pub fn check_window(&self, rows: u64) -> Result<(), RefineError> {
        let tally = self.rows.tally();
        let Some((column, whole_days)) = self.rows.range_column() else { return Ok(()) };
        let elsewhere = if whole_days { tally.outside.unasked } else { tally.outside.far };
        if rows > 0 || tally.rejected > 0 || elsewhere == 0 {
            return Ok(());
        }
        let (column, examples) = (column.to_owned(), tally.outside.examples.clone());
        Err(RefineError::AllOutside { records: tally.outside.all, column, examples })
    }

    /// What is to be known of the rows so far besides the figures.
    pub fn warnings(&self) -> Vec<ChunkWarning> {
        let tally = self.rows.tally();
        let hint = |column: usize| self.hints.as_ref().and_then(|hints| hints[column].clone());
        let mut warnings: Vec<ChunkWarning> = self
            .rows
            .absent()
            .map(|(column, rule)| ChunkWarning::FieldAbsent {
                column: rule.name.clone(),
                path: rule.path.clone(),
                hint: hint(column),
            })
            .collect();
        if tally.outside.far > 0 {
            let (records, examples) = (tally.outside.far, tally.outside.examples.clone());
            warnings.push(ChunkWarning::OutsideWindow { records, examples });
        }
        if tally.duplicates > 0 {
            let (rows, example) = (tally.duplicates, tally.duplicate.clone());
            warnings.push(ChunkWarning::DuplicatesDropped { rows, example });
        }
        warnings.extend(self.rows.repeated_times());
        warnings
    }

    /// The figures on all pages so far.
    pub fn finish(self) -> Quality {
        self.rows.finish()
    }
}

#[cfg(test)]
mod tests;
