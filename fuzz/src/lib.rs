//! The decoders alone, compiled from where they stand: with the worker's other crates a build with a sanitizer
//! would take many minutes.

// under the names by which the decoders know what they import
extern crate self as nstore_shared;

#[path = "../../shared/src/config/cell_format.rs"]
mod cell_format;

/// The part of the shared configuration that decoders read.
pub mod config {
    pub use super::cell_format;
}

#[path = "../../worker/src/extract/browser/lanes/decode/mod.rs"]
pub mod decode;
