//! All that people read: progress on standard error, results on standard output.
//!
//! - `bars` and `lines`: live progress, on a terminal and elsewhere
//! - `pace`: rows per second and the time left; pure
//! - `report`: the result of a run, `failures` its failed chunks
//! - [`plan`]: what a run would do
//! - `runs`, `workers`, `connections`, `letters`: lists
//! - `outline`, [`quantity`], `redact`: documents, numbers and addresses as text

use std::io::IsTerminal as _;

use nstore_shared::terminal;
use serde::Serialize;

use crate::run::View;

mod bars;
pub(super) mod connections;
mod failures;
pub(super) mod letters;
mod lines;
pub(super) mod outline;
mod pace;
pub(super) mod plan;
pub(super) mod quantity;
pub(super) mod redact;
pub(super) mod report;
pub(super) mod runs;
mod table;
pub(super) mod workers;

/// Live progress: bars on a terminal, plain lines elsewhere.
pub(super) fn progress(loads: bool) -> Box<dyn View> {
    if std::io::stderr().is_terminal() {
        Box::new(bars::Bars::new(loads))
    } else {
        Box::new(lines::Lines::new(loads))
    }
}

/// Prints a result. A reader that has gone away (`| head`) is no fault.
pub(super) fn print(text: &str) {
    terminal::print(text);
}

/// Prints a result as one JSON document.
pub(super) fn print_json(document: &(impl Serialize + ?Sized)) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => print(&text),
        Err(error) => terminal::tell(&format!("error: the answer cannot be written as json: {error}")),
    }
}
