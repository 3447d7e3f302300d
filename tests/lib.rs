//! What the tests stand on.
//!
//! - [`context`]: private servers, databases, folders and processes of a test

pub mod context;
