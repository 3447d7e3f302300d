//! The rules behind the shape: what the words of the files mean together. Pure.
//!
//! - [`value`], [`address`]: what a text means by itself: a duration, a zone, a type, a place, an address
//! - [`pipeline`], [`source`], [`window`], [`mapping`]: one file each
//! - [`whole`]: what files say about each other

mod address;
pub(super) mod mapping;
pub(super) mod pipeline;
pub(super) mod source;
pub(super) mod value;
pub(super) mod whole;
pub(super) mod window;
