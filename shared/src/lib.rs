//! What the coordinator and the workers both speak, and nothing else.
//!
//! - [`chunk`]: ids, ranges and states; pure
//! - [`retry`]: failure classes and the back-off decision; pure
//! - [`config`]: YAML files -> all their faults, or plain structs
//! - [`contract`]: what a target table's rows look like
//! - [`redis`]: the queue, the fleet and the vault; the only user of the Redis crates
//! - [`storage`]: manifests, markers and artifacts; the only user of `object_store`
//! - [`proven`]: what storage proves, in the queue's words
//! - [`chromium`]: which browser a host has
//! - [`private`]: what a process writes is for its own user alone
//! - [`telemetry`]: tracing set-up
//! - [`terminal`]: the way to standard output and standard error
//! - [`health`]: signs of life, and the check that looks for them
//! - [`guard`]: what keeps the promises, as test builds may take it away

pub mod chromium;
pub mod chunk;
pub mod config;
pub mod contract;
pub mod guard;
pub mod health;
pub mod private;
pub mod proven;
pub mod redis;
pub mod retry;
pub mod storage;
pub mod telemetry;
pub mod terminal;
