//! The rules behind the shape: what the words of the files mean together. Pure.
//!
//! - [`value`], [`address`]: what a text means by itself: a duration, a zone, a type, a place, an address;
//!   [`keys`]: of a keyboard
//! - [`pipeline`], [`source`], [`mapping`]: one file each; of a source, [`api`] with its [`window`], or [`browser`] with its
//!   [`lanes`]
//! - [`unencrypted`]: secrets that would travel over plain http
//! - [`whole`]: what files say about each other; [`fields`]: what is read and what is taken

mod address;
mod api;
mod browser;
mod fields;
mod keys;
mod lanes;
pub(super) mod mapping;
pub(super) mod pipeline;
pub(super) mod source;
mod unencrypted;
pub(super) mod value;
pub(super) mod whole;
mod window;
