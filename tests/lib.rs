//! What the tests stand on.
//!
//! - [`context`]: private servers, databases, folders and processes of a test
//! - [`simulator`]: a fake marketplace that knows the truth

pub mod context;
pub mod simulator;
