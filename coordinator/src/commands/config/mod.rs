//! `nstore config …`: looks at the configuration, and tries what it names.

pub(super) mod connections;
mod probe;
pub(super) mod schema;
pub(super) mod show;
pub(super) mod validate;
