//! The coordinator: plans runs, queues their chunks, loads what workers stored, reports.
//!
//! - [`plan`]: range -> chunks; pure
//! - [`db`]: the Postgres room
//! - [`load`]: committed CSVs -> tables, exactly once
//! - [`run`]: submit, watch, reconcile, finish
//! - [`local`]: private servers and workers for one machine
//! - [`serve`]: the daemon that loads detached runs
//! - [`cli`] and [`commands`]: one async fn per verb

pub mod cli;
pub mod commands;
pub mod db;
pub mod load;
pub mod local;
pub mod plan;
pub mod run;
pub mod serve;
