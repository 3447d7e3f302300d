//! What the tests stand on.
//!
//! - [`context`]: private servers, databases, folders and processes of a test
//! - [`histories`]: what may happen to the queue, and what must come of it
//! - [`simulator`]: a fake marketplace that knows the truth

pub mod context;
pub mod histories;
pub mod simulator;
