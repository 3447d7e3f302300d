//! Private servers and workers for one machine.
//!
//! - [`redis_server`] and [`postgres_server`]: one server each, as a child of this process
//! - [`binaries`]: where their programs are, and what to install when they are not
//! - [`workers`]: worker processes
//! - [`sandbox`]: whether their browsers run in a sandbox
//! - `secret`: how passwords and keys are kept, and folders that only their owner enters
//! - [`site`]: all of it, for one directory
//! - [`owner`]: as whom PostgreSQL runs, and where its data can be reached by that user
//!
//! All of it blocks for as long as a server takes to start or stop: seconds. From async code call it inside
//! `tokio::task::spawn_blocking`, or where nothing else runs yet.

pub mod binaries;
mod child;
mod dir_lock;
mod error;
pub mod owner;
pub mod postgres_server;
mod proc;
pub mod redis_server;
pub mod sandbox;
mod secret;
pub mod site;
pub mod workers;

pub use error::ServerError;
pub use postgres_server::{PostgresOptions, PostgresServer};
pub use redis_server::{RedisOptions, RedisServer};
pub use site::{Addresses, Local, LocalError, LocalFacts, LocalOptions};
pub use workers::Slots;
