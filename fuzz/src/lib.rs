//! The decoders alone, compiled from where they are: with the worker's other crates a build with a sanitizer
//! would take many minutes.

// under the names by which the decoders know what they import
extern crate self as nstore_shared;

use serde::{Deserialize, Serialize};

#[path = "../../shared/src/config/cell_format.rs"]
pub mod cell_format;
#[path = "../../shared/src/config/spec/browser/lanes.rs"]
pub mod lanes;
#[path = "../../shared/src/config/nearest.rs"]
pub mod nearest;
#[path = "../../shared/src/config/numbers.rs"]
pub mod numbers;
#[path = "../../shared/src/config/path.rs"]
pub mod path;
#[path = "../../shared/src/config/time_pattern.rs"]
pub mod time_pattern;
#[path = "../../shared/src/config/zone_mark.rs"]
pub mod zone_mark;

/// Where an element is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector(pub String);

/// The part of the shared configuration that decoders read.
pub mod config {
    pub use super::{cell_format, nearest, numbers, path, time_pattern, zone_mark};

    /// The part of a source's description that they read.
    pub mod spec {
        pub use super::super::lanes as browser;
    }
}

#[path = "../../worker/src/extract/browser/lanes/decode/mod.rs"]
pub mod decode;
