//! The rules behind the shape: what the words of the files mean together. Pure.
//!
//! - [`value`], [`address`]: what a text means by itself: a duration, a zone, a type, a place, an address
//! - [`pipeline`], [`source`], [`mapping`]: one file each; of a source, [`api`] with its [`window`], or [`browser`]
//! - [`whole`]: what files say about each other

mod address;
mod api;
mod browser;
pub(super) mod mapping;
pub(super) mod pipeline;
pub(super) mod source;
pub(super) mod value;
pub(super) mod whole;
mod window;
