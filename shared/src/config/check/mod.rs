//! The rules behind the shape: what the words of the files mean together. Pure.
//!
//! - [`value`]: texts that mean a duration, a size, a zone, a type, a place in a body
//! - [`pipeline`], [`source`], [`window`], [`mapping`]: one file each
//! - [`whole`]: what files say about each other

pub(super) mod mapping;
pub(super) mod pipeline;
pub(super) mod source;
pub(super) mod value;
pub(super) mod whole;
pub(super) mod window;
