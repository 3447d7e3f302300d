//! The worker: claims chunks, extracts them, stores their CSVs, reports.
//!
//! - [`engine`]: claim loops, execution of grants, heartbeat; [`run`] is the entry
//! - [`extract`]: a chunk's range -> pages of its source
//! - [`refine`]: pages -> mapped, checked rows -> CSV bytes
//! - [`probe`]: asks a source for one page, without queue and storage
//! - [`cli`]: what the binary understands

pub mod cli;
pub mod engine;
pub mod extract;
pub mod probe;
pub mod refine;

pub use engine::{WorkerConfig, WorkerError, run};
