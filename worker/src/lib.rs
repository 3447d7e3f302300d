//! The worker: claims chunks, extracts them, stores their CSVs, reports.
//!
//! - [`extract`]: a chunk's range -> pages of its source
//! - [`refine`]: pages -> mapped, checked rows -> CSV bytes
//! - the engine: claim loop, executor, heartbeat, probe

pub mod extract;
pub mod refine;
