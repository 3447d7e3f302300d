//! Power BI's query answer (`DSR`) -> rows. Pure.
//!
//! - `wire`: its shape; `value`: one value; `rows`: from rows that leave out what repeats, to whole ones
//!
//! An answer holds the results of one or several queries. Which one is wanted is told by the names that it selects.

use serde_json::value::RawValue;

use super::{Table, page};
use rows::Rows;
use wire::{Answer, Complaints, QueryResult, Shapes};

mod rows;
mod value;
mod wire;

/// What a query's answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Which query of the answer it is, from 0.
    pub query: usize,
    /// Its rows.
    pub table: Table,
    /// Whether they are all.
    pub completeness: Completeness,
}

/// Whether an answer holds all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It says so, and has no restart tokens.
    Complete,
    /// There are more, behind these restart tokens (JSON, for the next query's window).
    More(String),
    /// It does not say, and has no restart tokens either.
    Unknown,
}

/// Why an answer has no rows to give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsrError {
    /// It is a web page, by its title.
    #[error("{} came instead of the query's answer", page::words(.0))]
    Page(String),
    /// It is no JSON.
    #[error("the query's answer is no json: {0}")]
    Syntax(String),
    /// The service says that the query failed, whatever the status was.
    #[error("the query failed: {0}")]
    Failed(String),
    /// No result selects the wanted names.
    #[error("no query of the answer selects {}; there are {}", wanted.join(", "), listed(.there))]
    NoSuchQuery {
        /// What was asked for.
        wanted: Vec<String>,
        /// The names that each result selects.
        there: Vec<Vec<String>>,
    },
    /// Several results select the wanted names, and as many others.
    #[error("{count} queries of the answer select {}: name a column that only one of them has", wanted.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: Vec<String>,
        /// How many results fit alike.
        count: usize,
    },
    /// It is not made as such answers are.
    #[error("the query's answer cannot be read: {0}")]
    Broken(String),
}

fn listed(queries: &[Vec<String>]) -> String {
    if queries.is_empty() {
        return "none".to_owned();
    }
    queries.iter().map(|names| format!("[{}]", names.join(", "))).collect::<Vec<_>>().join(" and ")
}

/// The rows of the query that selects the wanted names (or columns of the answer, such as `G0`).
///
/// # Errors
/// When there is no such query, it failed, or its answer makes no sense.
pub fn decode<S: AsRef<str>>(bytes: &[u8], wanted: &[S]) -> Result<Decoded, DsrError> {
    if let Some(title) = page::title(bytes) {
        return Err(DsrError::Page(title));
    }
    let wanted: Vec<&str> = wanted.iter().map(AsRef::as_ref).collect();
    let answer: Answer<'_> = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|e| explain(&e))?;
    let (query, result, columns) = choose(&answer, &wanted)?;
    if let Some(said) = complaint(result) {
        return Err(DsrError::Failed(said));
    }
    let dsr = result.result.as_ref().and_then(|result| result.data.as_ref()).and_then(|data| data.dsr);
    let dsr = dsr.ok_or_else(|| DsrError::Broken("it has no data".to_owned()))?;
    let shapes: Shapes<'_> = serde_json::from_str(dsr.get()).map_err(|e| explain(&e))?;
    let [shape] = &shapes.shapes[..] else {
        return Err(DsrError::Broken(format!("it has {} data shapes instead of one", shapes.shapes.len())));
    };
    let rows = Rows::read(shape, &columns).map_err(DsrError::Broken)?;
    let completeness = match shape.restart.filter(|tokens| tokens.get() != "[]") {
        Some(tokens) => Completeness::More(tokens.get().to_owned()),
        None if shape.complete => Completeness::Complete,
        None => Completeness::Unknown,
    };
    Ok(Decoded { query, table: Table { rows }, completeness })
}

/// A result's place in the answer, the result, and the columns of its rows that hold the wanted names.
type Chosen<'r, 'a> = (usize, &'r QueryResult<'a>, Vec<&'r str>);

/// The result that selects all wanted names and the fewest others.
fn choose<'r, 'a>(answer: &'r Answer<'a>, wanted: &[&str]) -> Result<Chosen<'r, 'a>, DsrError> {
    let results = answer.results.iter().enumerate();
    let fitting: Vec<_> =
        results.filter_map(|(at, result)| Some((at, result, columns(result, wanted)?))).collect();
    let others = |result: &QueryResult<'_>| selected(result).count();
    let Some(fewest) = fitting.iter().map(|(_, result, _)| others(result)).min() else {
        let said = answer.odata.or(answer.error).map(said);
        return Err(match said.or_else(|| answer.results.iter().find_map(complaint)) {
            Some(said) => DsrError::Failed(said),
            None => DsrError::NoSuchQuery {
                wanted: owned(wanted),
                there: answer.results.iter().map(names).collect(),
            },
        });
    };
    let mut best = fitting.into_iter().filter(|(_, result, _)| others(result) == fewest);
    match (best.next(), best.count()) {
        (Some(only), 0) => Ok(only),
        (_, more) => Err(DsrError::Ambiguous { wanted: owned(wanted), count: more + 1 }),
    }
}

fn selected<'r>(result: &'r QueryResult<'_>) -> impl Iterator<Item = &'r wire::Selected> {
    let data = result.result.as_ref().and_then(|result| result.data.as_ref());
    data.and_then(|data| data.descriptor.as_ref()).into_iter().flat_map(|descriptor| &descriptor.select)
}

/// The column of each wanted name; `None` when one of them is not selected.
fn columns<'r>(result: &'r QueryResult<'_>, wanted: &[&str]) -> Option<Vec<&'r str>> {
    let column = |name: &&str| {
        let by_name = selected(result).find(|selected| selected.name.as_deref() == Some(name));
        let found =
            by_name.or_else(|| selected(result).find(|selected| selected.column.as_deref() == Some(name)));
        found?.column.as_deref()
    };
    wanted.iter().map(column).collect()
}

fn names(result: &QueryResult<'_>) -> Vec<String> {
    selected(result)
        .filter_map(|selected| selected.name.clone().or_else(|| selected.column.clone()))
        .collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(str::to_owned).collect()
}

/// What the service says about a result that failed.
fn complaint(result: &QueryResult<'_>) -> Option<String> {
    let outcome = result.result.as_ref();
    let outer = result.error.or(outcome.and_then(|outcome| outcome.odata.or(outcome.error)));
    let dsr = || outcome?.data.as_ref()?.dsr;
    let inner = || -> Option<&RawValue> {
        let complaints: Complaints<'_> = serde_json::from_str(dsr()?.get()).ok()?;
        let shapes = complaints.failed.iter().chain(&complaints.shapes);
        complaints.odata.or_else(|| shapes.filter_map(|shape| shape.odata).next())
    };
    outer.or_else(inner).map(said)
}

/// No longer text of an error is told, in characters.
const SAID_LIMIT: usize = 500;

/// The words of an error: `{code, message: {value}}`, or with a plain message, or whatever it is.
fn said(error: &RawValue) -> String {
    let read: serde_json::Value = serde_json::from_str(error.get()).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let message = text(&read["message"]["value"]).or_else(|| text(&read["message"])).or_else(|| text(&read));
    let whole = match (text(&read["code"]), message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => error.get().to_owned(),
    };
    whole.chars().take(SAID_LIMIT).collect()
}

fn explain(error: &serde_json::Error) -> DsrError {
    match error.classify() {
        serde_json::error::Category::Data => DsrError::Broken(error.to_string()),
        _ => DsrError::Syntax(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
