//! Pages -> mapped, typed, checked rows -> CSV bytes; quality figures.
//!
//! - [`fields`]: the mapping, compiled to a trie that a page is read through in one pass
//! - [`records`]: finds the records in a page
//! - [`row`]: one record -> one checked CSV line, or the reasons why not
//! - [`text`], [`number`], [`time`], [`zone`], [`json`]: the checks by type
//! - [`csv`], [`quality`]: what comes out
//!
//! Nothing is ever held as a tree of JSON values, and no number passes through a float: both cost more than all else.

use bytes::Bytes;
use nstore_shared::{
    config::{path::FieldPath, spec::Records},
    contract::Contract,
    retry::FailureClass,
    storage::marker::Quality,
};

use crate::extract::{Page, PageFormat, Span};

mod csv;
mod fields;
mod json;
mod number;
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
}

impl RefineError {
    /// What kind of failure it is for the chunk.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Contract { .. } => FailureClass::Config,
            Self::CutOff { .. } => FailureClass::Transient,
            Self::Encoding { .. } | Self::Syntax { .. } | Self::NoRecords { .. } => FailureClass::Data,
        }
    }
}

/// What became of the records of one page: `records = rows + rejected + outside`.
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
}

/// Turns the pages of one chunk into CSV lines.
pub struct Refiner {
    header: Bytes,
    trie: Node,
    selector: FieldPath,
    rows: RowWriter,
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
        Ok(Self { header: header.into(), trie: Node::compile(&contract.columns), selector, rows })
    }

    /// The artifact's first line.
    pub fn header(&self) -> Bytes {
        self.header.clone()
    }

    /// Appends a page's rows to `out` as CSV lines and its misfits to `rejects` as JSON lines.
    ///
    /// # Errors
    /// When the page cannot be read as a whole; both buffers are then as before, and the refiner is spent.
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
        read.map_err(|fault| {
            out.truncate(rows_before);
            rejects.truncate(rejects_before);
            fault.into_error(page, &self.selector)
        })
    }

    /// The figures on all pages so far.
    pub fn finish(self) -> Quality {
        self.rows.finish()
    }
}

#[cfg(test)]
mod tests;
